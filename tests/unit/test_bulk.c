/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Messages by pointer: every size, every error, beside handles. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { MOST = 20000 };

static struct fixture f;
static void *out[MOST];

static struct ist_pool_stats stats_of(void)
{
	struct ist_pool_stats stats;

	ist_driver_pool_stats(f.driver, &stats);
	return stats;
}

static void set_up(size_t pool)
{
	f = fixture_make(4 * pool, pool);
}

static void must_alloc(size_t size, unsigned count)
{
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, size, count, out), 0);
}

static void must_free(unsigned count)
{
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, out, count), 0);
}

/* Frees one, and that it is answered so and counted. */
static void check_free(void *vaddr, int expected)
{
	struct ist_pool_stats before = stats_of(), after;

	assert_int_equal(ist_driver_pool_free_bulk(f.driver, &vaddr, 1), expected);
	after = stats_of();
	assert_int_equal(after.misuses, before.misuses + (expected != 0));
	assert_int_equal(after.frees, before.frees + (expected == 0));
	if (expected)
		assert_int_equal(after.used, before.used);
}

/* Aligned, in the pool, apart from each other, of the right physical addresses. */
static void check_messages(size_t size, unsigned count)
{
	size_t granules = (size + 7) / 8, pool = stats_of().size;
	char *taken = calloc(pool / 8, 1);

	for (unsigned i = 0; i < count; i++) {
		size_t offset = (size_t)((char *)out[i] - f.carve_out.start);

		assert_int_equal(offset % 8, 0);
		assert_true(offset < pool && size <= pool - offset);
		assert_int_equal(ist_driver_pool_paddr(f.driver, out[i]), PADDR + offset);
		for (size_t g = 0; g < granules; g++)
			assert_int_equal(taken[offset / 8 + g]++, 0);
		memset(out[i], (int)i, size);
	}
	free(taken);
}

static void one_size(size_t size, unsigned count)
{
	struct ist_pool_stats before = stats_of(), during;

	must_alloc(size, count);
	check_messages(size, count);
	during = stats_of();
	assert_int_equal(during.used, before.used + size * count);
	assert_int_equal(during.allocs, before.allocs + count);
	must_free(count);
	during = stats_of();
	assert_int_equal(during.used, before.used);
	assert_int_equal(during.frees, before.frees + count);
	assert_int_equal(during.largest_free, before.largest_free);
	assert_int_equal(during.misuses, before.misuses);
}

static void every_size(void **state)
{
	const size_t pools[] = {4 * KIB, 16 * KIB, 256 * KIB};

	(void)state;
	for (int p = 0; p < 3; p++) {
		const size_t whole = pools[p];

		set_up(whole);
		for (size_t size = 1; size < 300; size += size < 70 ? 1 : 13) {
			one_size(size, 1);
			one_size(size, 8);
			one_size(size, (unsigned)(whole / ((size + 7) / 8 * 8)) / 2);
		}
		for (size_t size = 300; size <= whole / 2; size = size * 5 / 4)
			one_size(size, 2);
		one_size(whole - 1, 1);
		one_size(whole, 1);
		one_size(1, (unsigned)(whole / 8) < MOST ? (unsigned)(whole / 8) : MOST);
		fixture_drop(&f);
	}
}

static void null_arguments_and_zeroes(void **state)
{
	void *untouched = &f;

	(void)state;
	set_up(16 * KIB);
	out[0] = untouched;
	assert_int_equal(ist_driver_pool_alloc_bulk(NULL, 64, 1, out), -EINVAL);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, 64, 1, NULL), -EINVAL);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, 64, 0, out), -EINVAL);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, 0, 1, out), -EINVAL);
	assert_ptr_equal(out[0], untouched);
	assert_int_equal(ist_driver_pool_free_bulk(NULL, out, 1), -EINVAL);
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, NULL, 1), -EINVAL);
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, NULL, 0), 0);
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, out, 0), 0);
	assert_int_equal(stats_of().misuses, 0);
	assert_int_equal(ist_driver_pool_paddr(NULL, out), 0);
	fixture_drop(&f);
}

static void foreign_and_interior(void **state)
{
	static const size_t sizes[] = {1, 9, 17, 24, 25, 56, 57, 64, 400, 4096, 4097, 9000};
	char local[16];

	(void)state;
	set_up(16 * KIB);
	check_free(NULL, -EINVAL);
	check_free(local, -EINVAL);
	check_free(f.carve_out.start - 8, -EINVAL);
	check_free(f.carve_out.start + 16 * KIB, -EINVAL);
	check_free((void *)UINTPTR_MAX, -EINVAL);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		must_alloc(sizes[s], 1);
		for (size_t inside = 1; inside < sizes[s]; inside += inside < 80 ? 1 : 97)
			check_free((char *)out[0] + inside, -EINVAL);
		check_free(out[0], 0);
	}
	fixture_drop(&f);
}

static void freed_already(void **state)
{
	static const size_t sizes[] = {1, 9, 17, 25, 57, 64, 400, 5000, 16384};

	(void)state;
	set_up(16 * KIB);
	check_free(f.carve_out.start + 64, -EALREADY); /* never allocated */
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		must_alloc(sizes[s], 1);
		check_free(out[0], 0);
		check_free(out[0], -EALREADY);
	}
	/* Twice within one call: the others are freed all the same, the first error is told. */
	must_alloc(64, 40);
	out[40] = out[39];
	out[41] = (char *)out[0] + 8;
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, out + 1, 41), -EALREADY);
	assert_int_equal(stats_of().misuses, 2 * 9 + 1 - 9 + 2);
	assert_int_equal(stats_of().used, 64);
	out[1] = (char *)out[0] + 8;
	out[2] = out[0];
	out[3] = out[0];
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, out + 1, 3), -EINVAL);
	assert_int_equal(stats_of().used, 0);
	fixture_drop(&f);
}

static void mixed_sizes_in_one_free(void **state)
{
	uint64_t seed = 3;
	unsigned count = 0;

	(void)state;
	set_up(256 * KIB);
	for (int round = 0; round < 200; round++) {
		for (count = 0; count < 300; count++) {
			size_t size = 1 + random_below(&seed, random_below(&seed, 3) ? 700 : 40);
			struct ist_shm shm;

			if (random_below(&seed, 4)) {
				assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, size, 1, &out[count]),
				                 0);
			} else {
				assert_int_equal(ist_driver_pool_alloc(f.driver, size, &shm), 0);
				out[count] = shm.view.vaddr;
			}
		}
		for (unsigned i = count - 1; i > 0; i--) {
			unsigned j = (unsigned)random_below(&seed, i + 1);
			void *swap = out[i];

			out[i] = out[j];
			out[j] = swap;
		}
		must_free(count);
		assert_int_equal(stats_of().used, 0);
	}
	assert_int_equal(stats_of().misuses, 0);
	assert_int_equal(stats_of().largest_free, 256 * KIB);
	fixture_drop(&f);
}

/* Of each size, out of a magazine and not: freed by pointer, the handle is stale, also when the place lives again. */
static void handles_freed_by_pointer(void **state)
{
	static const size_t sizes[] = {1, 8, 9, 16, 17, 24, 25, 56, 57, 64, 400, 4096, 4097, 9000};

	(void)state;
	set_up(64 * KIB);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (int round = 0; round < 3; round++) {
			struct ist_shm shm, stale, next;

			assert_int_equal(ist_driver_pool_alloc(f.driver, sizes[s], &shm), 0);
			stale = shm;
			check_free(shm.view.vaddr, 0);
			assert_int_equal(ist_shm_free(&shm), -EALREADY);
			assert_memory_equal(&shm, &stale, sizeof(shm));
			check_free(stale.view.vaddr, -EALREADY);
			assert_int_equal(ist_driver_pool_alloc(f.driver, sizes[s], &next), 0);
			assert_ptr_equal(next.view.vaddr, stale.view.vaddr);
			assert_int_equal(ist_shm_free(&stale), -EALREADY);
			assert_int_equal(ist_shm_free(&next), 0);
			must_alloc(sizes[s], 1);
			assert_ptr_equal(out[0], stale.view.vaddr);
			assert_true(ist_shm_free(&stale) != 0);
			check_free(out[0], 0);
		}
	}
	fixture_drop(&f);
}

static void pointers_of_freed_handles(void **state)
{
	struct ist_shm shm;

	(void)state;
	set_up(64 * KIB);
	for (size_t size = 1; size < 6000; size = size * 3 / 2 + 1) {
		assert_int_equal(ist_driver_pool_alloc(f.driver, size, &shm), 0);
		out[0] = shm.view.vaddr;
		assert_int_equal(ist_shm_free(&shm), 0);
		check_free(out[0], -EALREADY);
	}
	fixture_drop(&f);
}

/* All of the pool, and not one more; a refusal leaves no trace, neither in out nor in the pool nor in what it counts. */
static void exhaustion_is_all_or_none(void **state)
{
	static const size_t sizes[] = {1,  8,   16,   32,
	                               64, 256, 1024, 4096}; /* of which the pool holds a whole number */
	const size_t whole = 64 * KIB;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t rounded = (sizes[s] + 7) / 8 * 8;
		unsigned fit = (unsigned)(whole / rounded);
		struct ist_pool_stats before, after;
		struct ist_shm shm;

		set_up(whole);
		assert_int_equal(ist_driver_pool_alloc(f.driver, rounded, &shm), 0);
		for (unsigned i = 0; i < MOST; i++)
			out[i] = &out[i];
		before = stats_of();
		for (unsigned most = fit + 2; most >= fit; most--) {
			assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, sizes[s], most, out), -ENOSPC);
			for (unsigned i = 0; i < MOST; i++)
				assert_ptr_equal(out[i], &out[i]);
		}
		after = stats_of();
		assert_int_equal(after.failures, before.failures + 3);
		assert_int_equal(after.allocs, before.allocs);
		assert_int_equal(after.frees, before.frees);
		assert_int_equal(after.used, before.used);
		assert_int_equal(after.largest_free, before.largest_free);
		assert_int_equal(ist_shm_free(&shm), 0);
		one_size(sizes[s], fit);
		fixture_drop(&f);
	}
	set_up(whole);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, whole + 1, 1, out), -ENOSPC);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, SIZE_MAX, 1, out), -ENOSPC);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, SIZE_MAX, UINT32_MAX, out), -ENOSPC);
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, 1, UINT32_MAX, out), -ENOSPC);
	fixture_drop(&f);
}

/* What lies in magazines of other sizes is brought back before anybody is refused. */
static void no_false_exhaustion(void **state)
{
	(void)state;
	set_up(64 * KIB);
	for (int round = 0; round < 20; round++) {
		for (size_t size = 8; size <= 512; size += 8)
			one_size(size, 32);
		/* That may have emptied them; after some calls they are in use again. */
		for (int i = 0; i < 1000 && stats_of().cached == 0; i++)
			one_size(8, 4);
		assert_true(stats_of().cached > 0);
		one_size(stats_of().largest_free, 1);
		assert_int_equal(stats_of().largest_free, 64 * KIB);
	}
	fixture_drop(&f);
}

static void hardened_pools(void **state)
{
	(void)state;
	for (uint32_t quarantine = 0; quarantine <= 8; quarantine += 8) {
		struct ist_manager_config config = {.paddr = PADDR,
		                                    .size = 1 * MIB,
		                                    .driver_pool_size = 64 * KIB,
		                                    .flags = IST_MANAGER_ZERO_ON_FREE,
		                                    .quarantine = quarantine};

		f = (struct fixture){.carve_out = carve_out_make(1 * MIB, 0)};
		config.vaddr = f.carve_out.start;
		assert_int_equal(ist_manager_create(&config, &f.manager), 0);
		f.driver = ist_manager_driver_pool(f.manager);
		for (size_t size = 1; size < 9000; size = size * 2 + 1) {
			one_size(size, 5);
			for (int i = 0; i < 5; i++)
				assert_int_equal(*(char *)out[i], 0);
			check_free(out[0], -EALREADY);
			must_alloc(size, 1);
			must_free(1);
		}
		assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, 64, 1024, out), 0);
		assert_int_equal(ist_driver_pool_free_bulk(f.driver, out, 1024), 0);
		fixture_drop(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_size),
	        cmocka_unit_test(null_arguments_and_zeroes),
	        cmocka_unit_test(foreign_and_interior),
	        cmocka_unit_test(freed_already),
	        cmocka_unit_test(mixed_sizes_in_one_free),
	        cmocka_unit_test(handles_freed_by_pointer),
	        cmocka_unit_test(pointers_of_freed_handles),
	        cmocka_unit_test(exhaustion_is_all_or_none),
	        cmocka_unit_test(no_false_exhaustion),
	        cmocka_unit_test(hardened_pools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
