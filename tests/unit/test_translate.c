/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>

#include "manager/manager.h"
#include "support/support.h"

static struct fixture f;

static int set_up(void **state)
{
	(void)state;
	f = fixture_make(64 * KIB, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_drop(&f);
	return 0;
}

static void check_both_ways(uint64_t offset, size_t len)
{
	void *vaddr = NULL;
	uint64_t paddr = 1;

	assert_int_equal(ist_phys_to_virt(f.manager, PADDR + offset, len, &vaddr), 0);
	assert_ptr_equal(vaddr, f.carve_out.start + offset);
	assert_int_equal(ist_virt_to_phys(f.manager, f.carve_out.start + offset, len, &paddr), 0);
	assert_int_equal(paddr, PADDR + offset);
}

static void check_unknown(uint64_t offset, size_t len)
{
	void *vaddr = &vaddr;
	uint64_t paddr = 77;

	assert_int_equal(ist_phys_to_virt(f.manager, PADDR + offset, len, &vaddr), -ENOENT);
	assert_ptr_equal(vaddr, &vaddr);
	assert_int_equal(
	        ist_virt_to_phys(f.manager, (void *)((uintptr_t)f.carve_out.start + offset), len, &paddr),
	        -ENOENT);
	assert_int_equal(paddr, 77);
}

static void every_byte_of_both_pools(void **state)
{
	(void)state;
	for (uint64_t offset = 0; offset < 64 * KIB; offset += 61) {
		check_both_ways(offset, 1);
		check_both_ways(offset, 64 * KIB - offset);
		check_unknown(offset, 64 * KIB - offset + 1);
	}
	check_both_ways(64 * KIB - 1, 1);
	check_both_ways(16 * KIB - 4, 8); /* across the border of the pools: one mapping */
	check_unknown(64 * KIB, 1);
	check_unknown((uint64_t)-1, 1);
	check_unknown((uint64_t)-1, 2);
	check_unknown(64 * KIB - 1, SIZE_MAX / 2);
}

static void allocations_translate(void **state)
{
	struct ist_shm shm;
	void *vaddr;
	uint64_t paddr;

	(void)state;
	assert_int_equal(ist_client_pool_alloc(f.client, 5000, &shm), 0);
	assert_int_equal(ist_phys_to_virt(f.manager, shm.view.paddr, shm.view.size, &vaddr), 0);
	assert_ptr_equal(vaddr, shm.view.vaddr);
	assert_int_equal(ist_virt_to_phys(f.manager, shm.view.vaddr, shm.view.size, &paddr), 0);
	assert_int_equal(paddr, shm.view.paddr);
	assert_int_equal(ist_shm_free(&shm), 0);
}

static void bad_arguments(void **state)
{
	void *vaddr = &vaddr;
	uint64_t paddr = 77;

	(void)state;
	assert_int_equal(ist_phys_to_virt(NULL, PADDR, 1, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(f.manager, PADDR, 1, NULL), -EINVAL);
	assert_int_equal(ist_phys_to_virt(f.manager, PADDR, 0, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(f.manager, PADDR, SIZE_MAX, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(f.manager, UINT64_MAX, 2, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(f.manager, UINT64_MAX, 1, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(f.manager, 0, 1, &vaddr), -ENOENT);
	assert_ptr_equal(vaddr, &vaddr);
	assert_int_equal(ist_virt_to_phys(NULL, f.carve_out.start, 1, &paddr), -EINVAL);
	assert_int_equal(ist_virt_to_phys(f.manager, f.carve_out.start, 1, NULL), -EINVAL);
	assert_int_equal(ist_virt_to_phys(f.manager, f.carve_out.start, 0, &paddr), -EINVAL);
	assert_int_equal(ist_virt_to_phys(f.manager, f.carve_out.start, SIZE_MAX, &paddr), -EINVAL);
	assert_int_equal(ist_virt_to_phys(f.manager, (void *)UINTPTR_MAX, 2, &paddr), -EINVAL);
	assert_int_equal(ist_virt_to_phys(f.manager, (void *)UINTPTR_MAX, 1, &paddr), -ENOENT);
	assert_int_equal(ist_virt_to_phys(f.manager, NULL, 1, &paddr), -ENOENT);
	assert_int_equal(paddr, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(every_byte_of_both_pools, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(allocations_translate, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(bad_arguments, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
