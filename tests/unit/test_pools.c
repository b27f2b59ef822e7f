/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Both pools, each through the same tests: sizes, errors, contents, statistics, misuse. */
#include <errno.h>
#include <string.h>

#include "support/support.h"

static struct fixture fixture;

static void each_pool(void (*test)(const struct any_pool *pool))
{
	struct any_pool pools[3];

	for (int i = 0; i < 3; i++) {
		fixture = fixture_make(128 * KIB, 32 * KIB);
		pools[0] = any_driver(fixture.driver);
		pools[1] = any_client(fixture.client);
		pools[2] = any_client_nozero(fixture.client);
		test(&pools[i]);
		fixture_drop(&fixture);
	}
}

static struct ist_pool_stats stats_of(const struct any_pool *pool)
{
	struct ist_pool_stats stats;

	pool->stats(pool, &stats);
	return stats;
}

static void check_alloc_refused(const struct any_pool *pool, size_t size, int error)
{
	const struct ist_shm untouched = {.pool = 77, .generation = 78};
	struct ist_shm shm = untouched;
	uint64_t failures = stats_of(pool).failures;

	assert_int_equal(pool->alloc(pool, size, &shm), error);
	assert_memory_equal(&shm, &untouched, sizeof(shm));
	assert_int_equal(stats_of(pool).failures, failures + (error == -ENOSPC));
}

/* That the largest request said to succeed does, and none larger. */
static void check_largest(const struct any_pool *pool, size_t largest)
{
	struct ist_shm shm;

	check_alloc_refused(pool, largest + 1, -ENOSPC);
	if (largest == 0)
		return;
	assert_int_equal(pool->alloc(pool, largest, &shm), 0);
	assert_int_equal(ist_shm_free(&shm), 0);
}

static void one_size(const struct any_pool *pool, size_t size)
{
	struct ist_pool_stats before = stats_of(pool), during;
	struct ist_shm shm;
	size_t taken = (size + pool->granule - 1) / pool->granule * pool->granule;

	assert_int_equal(pool->alloc(pool, size, &shm), 0);
	assert_int_equal(shm.view.size, size);
	assert_int_equal((uintptr_t)shm.view.vaddr % pool->granule, 0);
	assert_int_equal(shm.view.paddr % pool->granule, 0);
	assert_ptr_equal(shm.view.vaddr, fixture.carve_out.start + (shm.view.paddr - PADDR));
	during = stats_of(pool);
	assert_int_equal(during.used, before.used + size);
	assert_int_equal(during.allocs, before.allocs + 1);
	assert_true(during.largest_free <= before.largest_free - taken);
	check_largest(pool, during.largest_free);
	memset(shm.view.vaddr, 0xee, taken);
	assert_int_equal(ist_shm_free(&shm), 0);
	during = stats_of(pool);
	assert_int_equal(during.used, before.used);
	assert_int_equal(during.allocs, during.frees);
	assert_int_equal(during.largest_free, before.largest_free);
}

static void sizes_of(const struct any_pool *pool)
{
	size_t whole = stats_of(pool).size;
	const size_t sizes[] = {1, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, whole - 1, whole};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		one_size(pool, sizes[i]);
	check_alloc_refused(pool, 0, -EINVAL);
	check_alloc_refused(pool, whole + 1, -ENOSPC);
	check_alloc_refused(pool, SIZE_MAX, -ENOSPC);
	check_alloc_refused(pool, SIZE_MAX - 4094, -ENOSPC);
	check_alloc_refused(pool, SIZE_MAX / 2 + 1, -ENOSPC);
}

static void sizes(void **state)
{
	(void)state;
	each_pool(sizes_of);
}

static void null_arguments(void **state)
{
	struct ist_shm shm;
	struct ist_pool_stats stats = {.size = 99};

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	assert_int_equal(ist_driver_pool_alloc(NULL, 1, &shm), -EINVAL);
	assert_int_equal(ist_driver_pool_alloc(fixture.driver, 1, NULL), -EINVAL);
	assert_int_equal(ist_client_pool_alloc(NULL, 1, &shm), -EINVAL);
	assert_int_equal(ist_client_pool_alloc(fixture.client, 1, NULL), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_nozero(NULL, 1, &shm), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_nozero(fixture.client, 1, NULL), -EINVAL);
	assert_int_equal(ist_shm_free(NULL), -EINVAL);
	ist_driver_pool_stats(NULL, &stats);
	ist_client_pool_stats(NULL, &stats);
	assert_int_equal(stats.size, 99);
	ist_driver_pool_stats(fixture.driver, NULL);
	ist_client_pool_stats(fixture.client, NULL);
	fixture_drop(&fixture);
}

/* Fill the pool with the smallest objects, free every other one: half is free, but no two granules together. */
static void exhaustion_of(const struct any_pool *pool)
{
	size_t count = stats_of(pool).size / pool->granule;
	struct ist_shm *all = test_calloc(count, sizeof(*all)), extra;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(pool->alloc(pool, pool->granule, &all[i]), 0);
	assert_int_equal(stats_of(pool).largest_free, 0);
	check_alloc_refused(pool, 1, -ENOSPC);
	for (size_t i = 0; i < count; i += 2)
		assert_int_equal(ist_shm_free(&all[i]), 0);
	assert_int_equal(stats_of(pool).largest_free, pool->granule);
	check_alloc_refused(pool, pool->granule + 1, -ENOSPC);
	assert_int_equal(pool->alloc(pool, pool->granule, &extra), 0);
	assert_int_equal(ist_shm_free(&extra), 0);
	for (size_t i = 1; i < count; i += 2)
		assert_int_equal(ist_shm_free(&all[i]), 0);
	/* All of it has merged at once. */
	assert_int_equal(pool->alloc(pool, stats_of(pool).size, &extra), 0);
	assert_int_equal(ist_shm_free(&extra), 0);
	test_free(all);
}

static void exhaustion(void **state)
{
	(void)state;
	each_pool(exhaustion_of);
}

static void client_memory_is_zeroed_to_the_end_of_its_page(void **state)
{
	struct ist_shm shm;

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	for (size_t size = 1; size < 3 * IST_PAGE_SIZE; size += 1000) {
		size_t pages = (size + IST_PAGE_SIZE - 1) / IST_PAGE_SIZE * IST_PAGE_SIZE;

		assert_int_equal(ist_client_pool_alloc(fixture.client, size, &shm), 0);
		for (size_t i = 0; i < pages; i++)
			assert_int_equal(((char *)shm.view.vaddr)[i], 0);
		assert_int_equal(((unsigned char *)shm.view.vaddr)[pages], 0xa5); /* and not a byte further */
		assert_int_equal(((unsigned char *)shm.view.vaddr)[-1], 0xa5);
		memset(shm.view.vaddr, 0xa5, pages);
		assert_int_equal(ist_shm_free(&shm), 0);
	}
	fixture_drop(&fixture);
}

static void other_memory_keeps_its_contents(void **state)
{
	struct ist_shm shm;

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	assert_int_equal(ist_driver_pool_alloc(fixture.driver, 4096, &shm), 0);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(((unsigned char *)shm.view.vaddr)[i], 0xa5);
	assert_int_equal(ist_shm_free(&shm), 0);
	assert_int_equal(ist_client_pool_alloc_nozero(fixture.client, 4096, &shm), 0);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(((unsigned char *)shm.view.vaddr)[i], 0xa5);
	assert_int_equal(ist_shm_free(&shm), 0);
	fixture_drop(&fixture);
}

/* Every misuse leaves the handle and the pool as they were, and is counted. */
static void check_free_refused(const struct any_pool *pool, const struct ist_shm *shm, int error)
{
	struct ist_shm copy = *shm;
	struct ist_pool_stats before = stats_of(pool), after;

	assert_int_equal(ist_shm_free(&copy), error);
	assert_memory_equal(&copy, shm, sizeof(copy));
	after = stats_of(pool);
	assert_int_equal(after.misuses, before.misuses + 1);
	after.misuses = before.misuses;
	assert_memory_equal(&before, &after, sizeof(before));
}

static void misuse_of(const struct any_pool *pool)
{
	size_t size = 3 * pool->granule + 1;
	struct ist_shm a, b, copy, altered;

	assert_int_equal(pool->alloc(pool, size, &a), 0);
	assert_int_equal(pool->alloc(pool, size, &b), 0);

	/* Interior and foreign addresses, on either side. */
	for (size_t step = 1; step < size; step++) {
		altered = a;
		altered.view.vaddr = (char *)a.view.vaddr + step;
		check_free_refused(pool, &altered, -EINVAL);
		altered = a;
		altered.view.paddr += step;
		check_free_refused(pool, &altered, -EINVAL);
		/* A consistent interior view, private members included. */
		altered = a;
		altered.view.vaddr = (char *)a.view.vaddr + step;
		altered.view.paddr += step;
		altered.view.size -= step;
		check_free_refused(pool, &altered, -EINVAL);
		step = step < 40 ? step : size - 1;
	}
	altered = a;
	altered.view.vaddr = &altered;
	check_free_refused(pool, &altered, -EINVAL);
	altered.view.vaddr = NULL;
	check_free_refused(pool, &altered, -EINVAL);

	/* Other sizes, also such that end where a neighbour ends. */
	const size_t sizes[] = {
	        0, 1, size - 1, size + 1, size - pool->granule, 2 * size, 8 * pool->granule, SIZE_MAX};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		altered = a;
		altered.view.size = sizes[i];
		check_free_refused(pool, &altered, -EINVAL);
	}

	/* The other allocation's place under this handle. */
	altered = a;
	altered.view.vaddr = b.view.vaddr;
	altered.view.paddr = b.view.paddr;
	check_free_refused(pool, &altered, -EINVAL);

	/* Twice: the cleared handle, and a copy. */
	copy = a;
	assert_int_equal(ist_shm_free(&a), 0);
	assert_int_equal(ist_shm_free(&a), -EINVAL);
	check_free_refused(pool, &copy, -EALREADY);

	/* A stale copy when its place is in use again, by the same size and by a larger run around it. */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(pool->alloc(pool, size, &a), 0);
		assert_ptr_equal(a.view.vaddr, copy.view.vaddr);
		check_free_refused(pool, &copy, -EALREADY);
		assert_int_equal(ist_shm_free(&a), 0);
	}
	assert_int_equal(ist_shm_free(&b), 0);
	assert_int_equal(pool->alloc(pool, stats_of(pool).size, &a), 0);
	check_free_refused(pool, &copy, -EALREADY);
	assert_int_equal(ist_shm_free(&a), 0);
}

static void misuse(void **state)
{
	(void)state;
	each_pool(misuse_of);
}

/* Any one bit of a handle, private members included, of messages and buffers that came from magazines and that did not. */
static void every_bit_counts(void **state)
{
	static const size_t sizes[] = {1, 8, 12, 20, 25, 64, 1000, 4096, 5000};
	struct any_pool pools[2];
	struct ist_shm shm, first;

	(void)state;
	fixture = fixture_make(64 * MIB, 4 * MIB);
	pools[0] = any_driver(fixture.driver);
	pools[1] = any_client_nozero(fixture.client);
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct any_pool *pool = &pools[i % 2];
		size_t size = sizes[i / 2] * (pool->granule / 8);

		for (int again = 0; again < 2; again++) {
			/* The second of these comes from a magazine, where there are any. */
			assert_int_equal(pool->alloc(pool, size, &first), 0);
			if (again) {
				assert_int_equal(ist_shm_free(&first), 0);
				assert_int_equal(pool->alloc(pool, size, &first), 0);
			}
			for (size_t bit = 0; bit < 8 * sizeof(shm); bit++) {
				struct ist_shm altered = first;

				((unsigned char *)&altered)[bit / 8] ^= (unsigned char)(1u << bit % 8);
				shm = altered;
				assert_true(ist_shm_free(&altered) < 0);
				assert_memory_equal(&altered, &shm, sizeof(shm));
			}
			assert_int_equal(ist_shm_free(&first), 0);
		}
	}
	fixture_drop(&fixture);
}

static void handles_that_name_no_pool(void **state)
{
	struct ist_shm shm, forged;

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	assert_int_equal(ist_driver_pool_alloc(fixture.driver, 64, &shm), 0);
	for (uint32_t slot = 0; slot < 100000; slot = slot * 5 + 1) {
		forged = shm;
		if (slot == (uint32_t)shm.pool)
			continue;
		forged.pool = (shm.pool & ~(uint64_t)UINT32_MAX) | slot;
		assert_int_equal(ist_shm_free(&forged), -EINVAL);
	}
	forged = shm;
	forged.pool |= UINT32_MAX;
	assert_int_equal(ist_shm_free(&forged), -EINVAL);
	forged = shm;
	forged.pool += UINT64_C(1) << 32;
	assert_int_equal(ist_shm_free(&forged), -EINVAL);
	memset(&forged, 0, sizeof(forged));
	assert_int_equal(ist_shm_free(&forged), -EINVAL);
	memset(&forged, 0xff, sizeof(forged));
	assert_int_equal(ist_shm_free(&forged), -EINVAL);
	assert_int_equal(ist_shm_free(&shm), 0);
	fixture_drop(&fixture);
}

/* A driver handle whose slot says client pool, and the other way round. */
static void handles_of_the_other_pool(void **state)
{
	struct ist_shm driver, client, mixed;

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	assert_int_equal(ist_driver_pool_alloc(fixture.driver, 64, &driver), 0);
	assert_int_equal(ist_client_pool_alloc(fixture.client, 64, &client), 0);
	mixed = driver;
	mixed.pool = client.pool;
	assert_int_equal(ist_shm_free(&mixed), -EINVAL);
	mixed = client;
	mixed.pool = driver.pool;
	assert_int_equal(ist_shm_free(&mixed), -EINVAL);
	assert_int_equal(ist_shm_free(&driver), 0);
	assert_int_equal(ist_shm_free(&client), 0);
	fixture_drop(&fixture);
}

static size_t fill(struct ist_driver_pool *pool, const size_t *sizes, size_t count, struct ist_shm *out)
{
	size_t bytes = 0, n = 0, refused = 0;

	/* Round after round of the mix until no size fits any more. */
	for (size_t i = 0; refused < count; i++) {
		if (ist_driver_pool_alloc(pool, sizes[i % count], &out[n])) {
			refused++;
			continue;
		}
		refused = 0;
		bytes += sizes[i % count];
		n++;
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ist_shm_free(&out[i]), 0);
	return bytes;
}

/* An ideal best fit fills 16 KiB to the last 31 bytes with multiples of 32; every mix must reach 95 % of that. */
static void four_pages_hold_any_mix_of_messages(void **state)
{
	const size_t messages[] = {32, 64, 160, 224, 384};
	static struct ist_shm shm[16 * KIB / 32];

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	for (unsigned subset = 1; subset < 32; subset++) {
		size_t sizes[5], count = 0, smallest, ideal;

		for (unsigned i = 0; i < 5; i++) {
			if (subset & 1u << i)
				sizes[count++] = messages[i];
		}
		smallest = sizes[0];
		ideal = 16 * KIB / smallest * smallest;
		assert_true(fill(fixture.driver, sizes, count, shm) * 100 >= ideal * 95);
	}
	fixture_drop(&fixture);
}

static size_t driver_largest(void)
{
	struct ist_pool_stats stats;

	ist_driver_pool_stats(fixture.driver, &stats);
	return stats.largest_free;
}

/* Free all that do not lie in the pool's first `bytes`; returns how many are left. */
static size_t keep_below(struct ist_shm *shm, size_t count, size_t bytes)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (shm[i].view.paddr < PADDR + bytes)
			shm[kept++] = shm[i];
		else
			assert_int_equal(ist_shm_free(&shm[i]), 0);
	}
	return kept;
}

/* Every size gets all there is, after the pool was full of any other size: no class starves another. */
static void no_size_starves_another(void **state)
{
	static struct ist_shm shm[16 * KIB / 8];

	(void)state;
	fixture = fixture_make(64 * KIB, 0);
	for (size_t first = 8; first <= 4096; first *= 2) {
		for (size_t size = 8; size <= 16 * KIB; size *= 2) {
			size_t n = 0, half;

			while (!ist_driver_pool_alloc(fixture.driver, first, &shm[n]))
				n++;
			half = n / 2;
			n = keep_below(shm, n, half * first);
			assert_in_range(n + 2, half, half + 4); /* not all lie on multiples of their size */
			half = n;
			while (!ist_driver_pool_alloc(fixture.driver, size, &shm[n]))
				n++;
			/* Where the first of them go depends on what is in magazines: that may cost a few. */
			assert_true((n - half) * size * 20 >= (16 * KIB - half * first) * 19 ||
			            n - half + 2 >= (16 * KIB - half * first) / size);
			assert_true(driver_largest() < size);
			while (n > 0)
				assert_int_equal(ist_shm_free(&shm[--n]), 0);
		}
	}
	fixture_drop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sizes),
	        cmocka_unit_test(null_arguments),
	        cmocka_unit_test(exhaustion),
	        cmocka_unit_test(client_memory_is_zeroed_to_the_end_of_its_page),
	        cmocka_unit_test(other_memory_keeps_its_contents),
	        cmocka_unit_test(misuse),
	        cmocka_unit_test(every_bit_counts),
	        cmocka_unit_test(handles_that_name_no_pool),
	        cmocka_unit_test(handles_of_the_other_pool),
	        cmocka_unit_test(four_pages_hold_any_mix_of_messages),
	        cmocka_unit_test(no_size_starves_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
