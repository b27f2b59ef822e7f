/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Every allocation of bookkeeping memory fails in turn, once and for good: an error each time, and nothing leaks. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "platform/platform.h"
#include "support/failing_heap.h"
#include "support/guest.h"

static int create(struct carve_out *c, struct ist_manager **out)
{
	struct ist_manager_config config = {.vaddr = c->start, .paddr = PADDR, .size = c->size};

	return ist_manager_create(&config, out);
}

static void sweep(void (*plan)(int nth, bool for_good), void (*end)(void))
{
	struct carve_out c = carve_out_make(64 * KIB, 0);
	struct ist_manager *const untouched = (struct ist_manager *)(uintptr_t)0x5a5a;
	size_t maps;

	/* Once without failures, so that what stays for good is there. */
	struct ist_manager *manager;
	assert_int_equal(create(&c, &manager), 0);
	assert_int_equal(ist_manager_destroy(manager), 0);
	maps = count_maps();

	for (int for_good = 0; for_good < 2; for_good++) {
		int failed = 0, error;

		for (int nth = 1;; nth++) {
			manager = untouched;
			plan(nth, for_good);
			error = create(&c, &manager);
			end();
			if (!error)
				break;
			failed++;
			assert_int_equal(error, -ENOMEM);
			assert_ptr_equal(manager, untouched);
			assert_int_equal(count_maps(), maps);
			/* It works again at once. */
			assert_int_equal(create(&c, &manager), 0);
			assert_int_equal(ist_manager_destroy(manager), 0);
			assert_int_equal(count_maps(), maps);
		}
		assert_int_equal(ist_manager_destroy(manager), 0);
		assert_true(failed >= 1); /* the sweep met something */
	}
	carve_out_drop(&c);
}

static void plan_map(int nth, bool for_good)
{
	platform_fail_map((unsigned)nth, for_good);
}

static void end_map(void)
{
	platform_fail_map(0, 0);
}

static void plan_heap(int nth, bool for_good)
{
	heap_fail(nth, for_good);
}

static void end_heap(void)
{
	heap_fail(0, false);
}

static void mappings_fail(void **state)
{
	(void)state;
	sweep(plan_map, end_map);
}

static void heap_allocations_fail(void **state)
{
	(void)state;
	sweep(plan_heap, end_heap);
}

static void registry_cannot_grow(void **state)
{
	/* 64 slots are in the first block, two a manager: the 33rd manager needs another block. */
	enum { COUNT = 32 };
	struct carve_out c[COUNT + 1];
	struct ist_manager *m[COUNT + 1];

	(void)state;
	for (int i = 0; i <= COUNT; i++)
		c[i] = carve_out_make(64 * KIB, 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(create(&c[i], &m[i]), 0);
	platform_fail_map(2, 0); /* the first one is the manager's own */
	assert_int_equal(create(&c[COUNT], &m[COUNT]), -ENOMEM);
	platform_fail_map(0, 0);
	assert_int_equal(create(&c[COUNT], &m[COUNT]), 0);
	for (int i = 0; i <= COUNT; i++) {
		assert_int_equal(ist_manager_destroy(m[i]), 0);
		carve_out_drop(&c[i]);
	}
}

/* Rule 2: allocate and free take nothing from the heap. */
static void allocate_and_free_use_no_heap(void **state)
{
	struct fixture f = fixture_make(1 * MIB, 64 * KIB);
	struct ist_shm shm;
	long before = heap_calls();

	(void)state;
	plan_heap(1, true);
	for (size_t size = 1; size <= 64 * KIB; size = size * 3 + 1) {
		assert_int_equal(ist_driver_pool_alloc(f.driver, size, &shm), 0);
		assert_int_equal(ist_shm_free(&shm), 0);
		assert_int_equal(ist_client_pool_alloc(f.client, size, &shm), 0);
		assert_int_equal(ist_shm_free(&shm), 0);
	}
	end_heap();
	assert_int_equal(heap_calls(), before);
	fixture_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(registry_cannot_grow), /* first: it counts the process's slots */
	        cmocka_unit_test(mappings_fail),
	        cmocka_unit_test(heap_allocations_fail),
	        cmocka_unit_test(allocate_and_free_use_no_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
