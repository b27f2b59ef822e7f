/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a manager can be asked to do with freed memory: zero it, and hold it back. */
#include <errno.h>
#include <string.h>

#include "support/support.h"

enum { HELD = 8 };

static struct fixture hardened(uint32_t flags, uint32_t quarantine)
{
	struct fixture f = {.carve_out = carve_out_make(1 * MIB, 0)};
	struct ist_manager_config config = {.vaddr = f.carve_out.start,
	                                    .paddr = PADDR,
	                                    .size = 1 * MIB,
	                                    .driver_pool_size = 64 * KIB,
	                                    .flags = flags,
	                                    .quarantine = quarantine};

	assert_int_equal(ist_manager_create(&config, &f.manager), 0);
	f.driver = ist_manager_driver_pool(f.manager);
	f.client = ist_manager_client_pool(f.manager);
	return f;
}

static void check_zeroed(const struct any_pool *pool, size_t size)
{
	size_t bytes = (size + pool->granule - 1) / pool->granule * pool->granule;
	struct ist_shm shm;
	char *at;

	assert_int_equal(pool->alloc(pool, size, &shm), 0);
	at = shm.view.vaddr;
	memset(at, 0x77, bytes);
	assert_int_equal(ist_shm_free(&shm), 0);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(at[i], 0);
}

static void freed_memory_is_zeroed(void **state)
{
	(void)state;
	for (uint32_t quarantine = 0; quarantine <= HELD; quarantine += HELD) {
		struct fixture f = hardened(IST_MANAGER_ZERO_ON_FREE, quarantine);
		struct any_pool pools[] = {any_driver(f.driver), any_client_nozero(f.client)};

		for (int i = 0; i < 2; i++) {
			const size_t sizes[] = {1, 8, 100, 1000, 5000, 20000};

			for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
				check_zeroed(&pools[i], sizes[s]);
		}
		fixture_drop(&f);
	}
}

static struct ist_pool_stats stats_of(const struct any_pool *pool)
{
	struct ist_pool_stats stats;

	pool->stats(pool, &stats);
	return stats;
}

/* A place comes back only after HELD others have been freed. */
static void check_held_back(const struct any_pool *pool)
{
	size_t size = 3 * pool->granule;
	void *freed[HELD];
	struct ist_shm shm;

	for (int i = 0; i < 100; i++) {
		assert_int_equal(pool->alloc(pool, size, &shm), 0);
		for (int j = 0; j < HELD && j < i; j++)
			assert_ptr_not_equal(shm.view.vaddr, freed[j]);
		freed[i % HELD] = shm.view.vaddr;
		assert_int_equal(ist_shm_free(&shm), 0);
	}
	assert_int_equal(stats_of(pool).used, 0);
	assert_int_equal(stats_of(pool).allocs, stats_of(pool).frees);
	assert_true(stats_of(pool).cached >= HELD * size);
	/* It is not lost: a request that needs it gets it. */
	assert_int_equal(pool->alloc(pool, stats_of(pool).size, &shm), 0);
	assert_int_equal(ist_shm_free(&shm), 0);
	assert_int_equal(pool->alloc(pool, stats_of(pool).size, &shm), 0);
	assert_int_equal(ist_shm_free(&shm), 0);
}

static void freed_memory_is_held_back(void **state)
{
	struct fixture f = hardened(0, HELD);
	struct any_pool pools[] = {any_driver(f.driver), any_client(f.client)};

	(void)state;
	check_held_back(&pools[0]);
	check_held_back(&pools[1]);
	fixture_drop(&f);
}

/* A stale copy is refused while its memory is held back, and later. */
static void stale_copies(void **state)
{
	struct fixture f = hardened(IST_MANAGER_ZERO_ON_FREE, HELD);
	struct ist_shm shm, copy, other;

	(void)state;
	assert_int_equal(ist_driver_pool_alloc(f.driver, 64, &shm), 0);
	copy = shm;
	assert_int_equal(ist_shm_free(&shm), 0);
	for (int i = 0; i < 2 * HELD; i++) {
		assert_int_equal(ist_shm_free(&copy), -EALREADY);
		assert_int_equal(ist_driver_pool_alloc(f.driver, 64, &other), 0);
		assert_int_equal(ist_shm_free(&copy), -EALREADY);
		assert_int_equal(ist_shm_free(&other), 0);
	}
	fixture_drop(&f);
}

static void unknown_flags(void **state)
{
	struct carve_out carve_out = carve_out_make(1 * MIB, 0);
	struct ist_manager_config config = {
	        .vaddr = carve_out.start, .paddr = PADDR, .size = 1 * MIB, .flags = 2};
	struct ist_manager *manager = NULL;

	(void)state;
	assert_int_equal(ist_manager_create(&config, &manager), -EINVAL);
	config.flags = 1u << 31;
	assert_int_equal(ist_manager_create(&config, &manager), -EINVAL);
	assert_null(manager);
	carve_out_drop(&carve_out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(freed_memory_is_zeroed),
	        cmocka_unit_test(freed_memory_is_held_back),
	        cmocka_unit_test(stale_copies),
	        cmocka_unit_test(unknown_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
