/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Threads that allocate, hand over and free what others allocated. Every granule has an owner byte: a granule that
 * is handed out twice is found at once. What nobody may see: a wrong owner, changed contents, a spurious refusal.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/crew.h"
#include "support/support.h"

enum { THREADS = 6, SHELVES = 512 };

/* Objects lie on shelves between their owners: whoever takes one owns it. The state says who may touch the handle. */
enum shelf_state { EMPTY, BUSY, FULL };

struct shelf {
	_Atomic int state;
	struct ist_shm shm;
	unsigned char fill;
};

static struct shelf shelves[SHELVES];
static struct any_pool pool;
static char *pool_start;
static void *owned_memory;
static _Atomic unsigned char *owned; /* a byte a granule */
static _Atomic long errors, refusals, allocations;
static size_t max_size;

static void mark(const struct ist_shm *shm, unsigned char from, unsigned char to)
{
	size_t first = (size_t)((char *)shm->view.vaddr - pool_start) / pool.granule;
	size_t count = (shm->view.size + pool.granule - 1) / pool.granule;

	for (size_t g = first; g < first + count; g++) {
		if (atomic_exchange_explicit(&owned[g], to, memory_order_relaxed) != from)
			atomic_fetch_add(&errors, 1);
	}
}

static void stock(struct shelf *shelf, uint64_t *seed)
{
	size_t size = 1 + random_below(seed, random_below(seed, 8) ? max_size / 16 : max_size);
	int result = pool.alloc(&pool, size, &shelf->shm);

	if (result) {
		atomic_fetch_add(result == -ENOSPC ? &refusals : &errors, 1);
		atomic_store_explicit(&shelf->state, EMPTY, memory_order_release);
		return;
	}
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	mark(&shelf->shm, 0, 1);
	shelf->fill = (unsigned char)random_next(seed);
	memset(shelf->shm.view.vaddr, shelf->fill, size);
	atomic_store_explicit(&shelf->state, FULL, memory_order_release);
}

static void clear(struct shelf *shelf)
{
	const unsigned char *bytes = shelf->shm.view.vaddr;
	struct ist_shm copy = shelf->shm;

	for (size_t i = 0; i < shelf->shm.view.size; i++) {
		if (bytes[i] != shelf->fill) {
			atomic_fetch_add(&errors, 1);
			break;
		}
	}
	mark(&shelf->shm, 1, 0);
	if (ist_shm_free(&shelf->shm) || ist_shm_free(&copy) != -EALREADY)
		atomic_fetch_add(&errors, 1);
	atomic_store_explicit(&shelf->state, EMPTY, memory_order_release);
}

static void *work(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (long i = 0; i < scaled(40000); i++) {
		struct shelf *shelf = &shelves[random_below(&seed, SHELVES)];
		int seen = atomic_load_explicit(&shelf->state, memory_order_relaxed);

		if (seen == BUSY ||
		    !atomic_compare_exchange_strong_explicit(&shelf->state, &seen, BUSY, memory_order_acquire,
		                                             memory_order_relaxed))
			continue;
		if (seen == EMPTY)
			stock(shelf, &seed);
		else
			clear(shelf);
	}
	return NULL;
}

static void run(struct any_pool which, char *start, size_t size, size_t largest)
{
	uint64_t seeds[THREADS];
	struct crew crew;
	struct ist_pool_stats stats;

	pool = which;
	pool_start = start;
	max_size = largest;
	owned_memory = calloc(size / which.granule, 1);
	owned = owned_memory;
	assert_non_null(owned);
	for (int i = 0; i < THREADS; i++)
		seeds[i] = (uint64_t)i + 1;
	crew_start(&crew, THREADS, work, seeds, sizeof(seeds[0]));
	crew_join(&crew);
	for (int i = 0; i < SHELVES; i++) {
		if (shelves[i].state == FULL)
			clear(&shelves[i]);
	}
	pool.stats(&pool, &stats);
	print_message("%s: %ld allocations, %ld refusals, errors (must be 0): %ld\n", which.name, allocations,
	              refusals, errors);
	assert_int_equal(errors, 0);
	assert_int_equal(stats.used, 0);
	assert_int_equal(stats.largest_free, stats.size);
	assert_int_equal(stats.failures, refusals);
	assert_true(allocations > 0);
	free(owned_memory);
	allocations = refusals = 0;
}

static void driver_pool(void **state)
{
	struct fixture f = fixture_make(256 * KIB, 128 * KIB);

	(void)state;
	run(any_driver(f.driver), f.carve_out.start, 128 * KIB, 16 * KIB);
	fixture_drop(&f);
}

static void tiny_driver_pool(void **state)
{
	struct fixture f = fixture_make(64 * KIB, 0);

	(void)state;
	run(any_driver(f.driver), f.carve_out.start, 16 * KIB, 4 * KIB);
	assert_true(refusals >= 0);
	fixture_drop(&f);
}

static void client_pool(void **state)
{
	struct fixture f = fixture_make(16 * MIB, 0);

	(void)state;
	run(any_client_nozero(f.client), f.carve_out.start + 16 * KIB, 16 * MIB - 16 * KIB, 4 * MIB);
	fixture_drop(&f);
}

/* As many objects as threads can hold: with room for all of them, not one request may be refused. */
enum { HOLD = 8 };
static _Atomic long spurious;
static size_t object_size;

static void *hold_and_drop(void *arg)
{
	struct ist_shm held[HOLD];
	uint64_t seed = *(uint64_t *)arg;

	memset(held, 0, sizeof(held));
	for (long i = 0; i < scaled(100000); i++) {
		struct ist_shm *shm = &held[random_below(&seed, HOLD)];

		if (shm->view.size) {
			if (ist_shm_free(shm))
				atomic_fetch_add(&errors, 1);
		} else if (pool.alloc(&pool, object_size, shm)) {
			atomic_fetch_add(&spurious, 1);
		}
	}
	for (int i = 0; i < HOLD; i++) {
		if (held[i].view.size && ist_shm_free(&held[i]))
			atomic_fetch_add(&errors, 1);
	}
	return NULL;
}

static void no_false_exhaustion(void **state)
{
	uint64_t seeds[THREADS];
	struct crew crew;

	(void)state;
	/* Sizes that tile the pool: free space is then never in pieces smaller than an object. */
	const struct {
		size_t size;
		bool client;
	} cases[] = {{8, false},    {64, false},           {512, false},
	             {1024, false}, {IST_PAGE_SIZE, true}, {64 * KIB, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t need = cases[i].size * THREADS * HOLD;
		size_t exact = (need + IST_PAGE_SIZE - 1) / IST_PAGE_SIZE * IST_PAGE_SIZE;
		struct fixture f = cases[i].client ? fixture_make(IST_PAGE_SIZE + exact, IST_PAGE_SIZE)
		                                   : fixture_make(2 * exact, exact);

		pool = cases[i].client ? any_client_nozero(f.client) : any_driver(f.driver);
		object_size = cases[i].size;
		for (int t = 0; t < THREADS; t++)
			seeds[t] = (uint64_t)t + 11;
		crew_start(&crew, THREADS, hold_and_drop, seeds, sizeof(seeds[0]));
		crew_join(&crew);
		assert_int_equal(spurious, 0);
		assert_int_equal(errors, 0);
		fixture_drop(&f);
	}
}

/* All threads free copies of the same handles: exactly one of each may succeed. */
enum { CONTESTED = 64 };
static struct ist_shm contested[CONTESTED];
static _Atomic long obeyed;
static pthread_barrier_t barrier;

static void *free_the_same(void *arg)
{
	(void)arg;
	for (long round = 0; round < scaled(2000); round++) {
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
			for (int i = 0; i < CONTESTED; i++) {
				if (pool.alloc(&pool, object_size, &contested[i]))
					atomic_fetch_add(&errors, 1);
			}
		}
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < CONTESTED; i++) {
			struct ist_shm copy = contested[i];
			int result = ist_shm_free(&copy);

			if (result == 0)
				atomic_fetch_add_explicit(&obeyed, 1, memory_order_relaxed);
			else if (result != -EALREADY)
				atomic_fetch_add(&errors, 1);
		}
	}
	return NULL;
}

static void double_free_by_all_at_once(void **state)
{
	enum { RACERS = 3 };
	char unused[RACERS];
	struct fixture f = fixture_make(1 * MIB, 64 * KIB);
	struct crew crew;

	(void)state;
	for (int client = 0; client < 2; client++) {
		pool = client ? any_client_nozero(f.client) : any_driver(f.driver);
		object_size = client ? 5000 : 100;
		atomic_store(&obeyed, 0);
		pthread_barrier_init(&barrier, NULL, RACERS);
		crew_start(&crew, RACERS, free_the_same, unused, 1);
		crew_join(&crew);
		pthread_barrier_destroy(&barrier);
		assert_int_equal(errors, 0);
		assert_int_equal(obeyed, scaled(2000) * CONTESTED);
	}
	fixture_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(driver_pool),
	        cmocka_unit_test(tiny_driver_pool),
	        cmocka_unit_test(client_pool),
	        cmocka_unit_test(no_false_exhaustion),
	        cmocka_unit_test(double_free_by_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
