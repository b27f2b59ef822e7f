/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>

#include "support/support.h"

#define VADDR(x) ((void *)(uintptr_t)(x))

static const struct ist_view middle = {.vaddr = VADDR(0x10000), .paddr = 0x80000, .size = 0x1000};
/* Ends exactly at 2^64, on both sides. */
static const struct ist_view top = {
        .vaddr = VADDR(UINTPTR_MAX - 0xfff), .paddr = UINT64_MAX - 0xfff, .size = 0x1000};

static void contains_is_half_open(void **state)
{
	(void)state;
	assert_true(ist_view_contains_vaddr(&middle, VADDR(0x10000)));
	assert_true(ist_view_contains_vaddr(&middle, VADDR(0x10fff)));
	assert_false(ist_view_contains_vaddr(&middle, VADDR(0x11000)));
	assert_false(ist_view_contains_vaddr(&middle, VADDR(0xffff)));
	assert_true(ist_view_contains_paddr(&middle, 0x80000));
	assert_true(ist_view_contains_paddr(&middle, 0x80fff));
	assert_false(ist_view_contains_paddr(&middle, 0x81000));
	assert_false(ist_view_contains_paddr(&middle, 0x7ffff));
	assert_false(ist_view_contains_paddr(&middle, 0));
	assert_false(ist_view_contains_paddr(&middle, UINT64_MAX));
}

static void contains_at_the_top_of_the_address_space(void **state)
{
	(void)state;
	assert_true(ist_view_contains_vaddr(&top, VADDR(UINTPTR_MAX)));
	assert_true(ist_view_contains_vaddr(&top, VADDR(UINTPTR_MAX - 0xfff)));
	assert_false(ist_view_contains_vaddr(&top, VADDR(UINTPTR_MAX - 0x1000)));
	assert_false(ist_view_contains_vaddr(&top, NULL));
	assert_true(ist_view_contains_paddr(&top, UINT64_MAX));
	assert_true(ist_view_contains_paddr(&top, UINT64_MAX - 0xfff));
	assert_false(ist_view_contains_paddr(&top, UINT64_MAX - 0x1000));
	assert_false(ist_view_contains_paddr(&top, 0));
}

static void empty_and_null_views_contain_nothing(void **state)
{
	struct ist_view empty = {.vaddr = VADDR(0x10000), .paddr = 0x80000, .size = 0};

	(void)state;
	assert_false(ist_view_contains_vaddr(&empty, VADDR(0x10000)));
	assert_false(ist_view_contains_paddr(&empty, 0x80000));
	assert_false(ist_view_contains_vaddr(NULL, VADDR(0x10000)));
	assert_false(ist_view_contains_paddr(NULL, 0x80000));
}

static void check_slice(const struct ist_view *view, uint64_t from, uint64_t size)
{
	struct ist_view by_vaddr, by_paddr;
	uint64_t vaddr = (uint64_t)(uintptr_t)view->vaddr + from, paddr = view->paddr + from;

	assert_int_equal(ist_view_slice_by_vaddr(view, VADDR(vaddr), VADDR(vaddr + size), &by_vaddr), 0);
	assert_int_equal(ist_view_slice_by_paddr(view, paddr, paddr + size, &by_paddr), 0);
	assert_ptr_equal(by_vaddr.vaddr, VADDR(vaddr));
	assert_int_equal(by_vaddr.paddr, paddr);
	assert_int_equal(by_vaddr.size, size);
	assert_ptr_equal(by_paddr.vaddr, VADDR(vaddr));
	assert_int_equal(by_paddr.paddr, paddr);
	assert_int_equal(by_paddr.size, size);
}

static void check_refused(const struct ist_view *view, uint64_t from, uint64_t to)
{
	struct ist_view out = {.vaddr = VADDR(1), .paddr = 2, .size = 3};
	uint64_t vaddr = (uint64_t)(uintptr_t)view->vaddr;

	assert_int_equal(ist_view_slice_by_vaddr(view, VADDR(vaddr + from), VADDR(vaddr + to), &out),
	                 -ERANGE);
	assert_int_equal(ist_view_slice_by_paddr(view, view->paddr + from, view->paddr + to, &out), -ERANGE);
	assert_ptr_equal(out.vaddr, VADDR(1));
	assert_int_equal(out.paddr, 2);
	assert_int_equal(out.size, 3);
}

static void slices_inside(void **state)
{
	(void)state;
	check_slice(&middle, 0, 0x1000);
	check_slice(&middle, 0, 1);
	check_slice(&middle, 0xfff, 1);
	check_slice(&middle, 6, 512); /* the RPMB frame behind its header: odd and unaligned */
	check_slice(&middle, 1, 0xffe);
	check_slice(&top, 0, 0xfff);
	check_slice(&top, 0xffe, 1);
}

static void slices_that_are_empty_or_outside(void **state)
{
	(void)state;
	check_refused(&middle, 0, 0);
	check_refused(&middle, 0x1000, 0x1000);
	check_refused(&middle, 0x800, 0x7ff);
	check_refused(&middle, 0, 0x1001);
	check_refused(&middle, 0x1000, 0x1001);
	check_refused(&middle, (uint64_t)-1, 1);
	check_refused(&middle, (uint64_t)-1, 0x1000);
	check_refused(&top, 0x10, 0x10);
	check_refused(&top, 0, 0x1000); /* the end would be 2^64, which no address expresses */
	check_refused(&top, (uint64_t)-1, 0xfff);
}

static void a_slice_of_a_slice_is_bounded_by_the_slice(void **state)
{
	struct ist_view slice;

	(void)state;
	assert_int_equal(ist_view_slice_by_paddr(&middle, 0x80100, 0x80200, &slice), 0);
	check_slice(&slice, 0, 0x100);
	check_slice(&slice, 0x80, 0x80);
	check_refused(&slice, 0, 0x101);
	check_refused(&slice, (uint64_t)-1, 1);
	/* out may be the view itself */
	assert_int_equal(ist_view_slice_by_paddr(&slice, 0x80110, 0x80120, &slice), 0);
	assert_int_equal(slice.size, 0x10);
	assert_ptr_equal(slice.vaddr, VADDR(0x10110));
}

static void slices_of_null_and_empty(void **state)
{
	struct ist_view out, empty = {.vaddr = VADDR(0x10000), .paddr = 0x80000, .size = 0};

	(void)state;
	assert_int_equal(ist_view_slice_by_vaddr(NULL, VADDR(1), VADDR(2), &out), -EINVAL);
	assert_int_equal(ist_view_slice_by_paddr(NULL, 1, 2, &out), -EINVAL);
	assert_int_equal(ist_view_slice_by_vaddr(&middle, VADDR(0x10000), VADDR(0x10001), NULL), -EINVAL);
	assert_int_equal(ist_view_slice_by_paddr(&middle, 0x80000, 0x80001, NULL), -EINVAL);
	check_refused(&empty, 0, 0);
	check_refused(&empty, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(contains_is_half_open),
	        cmocka_unit_test(contains_at_the_top_of_the_address_space),
	        cmocka_unit_test(empty_and_null_views_contain_nothing),
	        cmocka_unit_test(slices_inside),
	        cmocka_unit_test(slices_that_are_empty_or_outside),
	        cmocka_unit_test(a_slice_of_a_slice_is_bounded_by_the_slice),
	        cmocka_unit_test(slices_of_null_and_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
