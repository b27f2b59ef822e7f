/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Nothing that is free is out of reach, wherever it is: in the magazines of other CPUs, of CPUs that this thread may
 * not run on, of 64 pretended CPUs, or in the hands of threads that are filling or emptying magazines this moment.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "client/client_pool.h"
#include "driver/driver_pool.h"
#include "support/crew.h"
#include "support/support.h"

enum { OBJECTS_MAX = 16384 };

static struct fixture f;
static struct ist_shm objects[OBJECTS_MAX];

static void run_on(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* a CPU that we may not use: then wherever we are */
}

static unsigned cpus(void)
{
	return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

static size_t fill(size_t size)
{
	size_t count = 0;

	while (count < OBJECTS_MAX && ist_driver_pool_alloc(f.driver, size, &objects[count]) == 0)
		count++;
	return count;
}

static void *free_all(void *context)
{
	size_t count = *(size_t *)context;

	run_on(cpus() - 1);
	while (count > 0)
		assert_int_equal(ist_shm_free(&objects[--count]), 0);
	return NULL;
}

/* Where the first ones go depends on what is in magazines, so a few may not fit; but then nothing else does. */
static void check_full(size_t count, size_t size)
{
	struct ist_pool_stats stats;

	if (count == OBJECTS_MAX)
		return;
	ist_driver_pool_stats(f.driver, &stats);
	assert_true(stats.largest_free < size);
	assert_true(count * size >= 256 * KIB / 100 * 85);
}

/* Filled on one CPU, freed on another by a thread that is gone then, and filled again: as often as it can be. */
static void memory_in_other_magazines_is_found(void **state)
{
	const size_t sizes[] = {8, 24, 64, 200, 1024, 4096};

	(void)state;
	f = fixture_make(4 * MIB, 256 * KIB);
	run_on(0);
	for (int round = 0; round < 20; round++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			size_t count = fill(sizes[s]), again;
			pthread_t thread;

			check_full(count, sizes[s]);
			pthread_create(&thread, NULL, free_all, &count);
			pthread_join(thread, NULL);
			again = fill(sizes[s]);
			check_full(again, sizes[s]);
			while (again > 0)
				assert_int_equal(ist_shm_free(&objects[--again]), 0);
		}
	}
	fixture_drop(&f);
}

/* The whole pool as one request, when all of it lies scattered in magazines. */
static void magazines_merge(void **state)
{
	struct ist_shm whole;

	(void)state;
	f = fixture_make(4 * MIB, 256 * KIB);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < 700; i++)
			assert_int_equal(ist_driver_pool_alloc(f.driver, 1 + (i * 37) % 300, &objects[i]), 0);
		for (size_t i = 0; i < 700; i++)
			assert_int_equal(ist_shm_free(&objects[i]), 0);
		assert_int_equal(ist_driver_pool_alloc(f.driver, 256 * KIB, &whole), 0);
		assert_int_equal(ist_shm_free(&whole), 0);
	}
	fixture_drop(&f);
}

/* --- quotas: threads that together never want more than there is ------------------------------------------- */

struct member {
	unsigned number, threads;
	size_t size, quota;
	long tries, refused;
};

static void *stay_within_quota(void *context)
{
	struct member *member = context;
	struct ist_shm *mine = test_calloc(member->quota, sizeof(*mine));
	uint64_t seed = member->number * 7919 + 1;
	size_t count = 0;

	if (member->number % 2)
		run_on(member->number % cpus());
	for (long i = 0; i < member->tries; i++) {
		if (count < member->quota && (count == 0 || random_below(&seed, 2))) {
			if (ist_driver_pool_alloc(f.driver, member->size, &mine[count]))
				member->refused++;
			else
				count++;
		} else {
			size_t which = random_below(&seed, count);

			assert_int_equal(ist_shm_free(&mine[which]), 0);
			mine[which] = mine[--count];
			memset(&mine[count], 0, sizeof(mine[count]));
		}
	}
	while (count > 0)
		assert_int_equal(ist_shm_free(&mine[--count]), 0);
	test_free(mine);
	return NULL;
}

/* All of the pool is shared out; the last object of all is wanted again and again. */
static void share_out(size_t pool_size, size_t size, unsigned threads, long tries)
{
	struct member members[8];
	struct crew crew;
	size_t total = pool_size / size;
	long refused = 0;

	f = fixture_make(pool_size * 2 + 64 * KIB, pool_size);
	for (unsigned i = 0; i < threads; i++)
		members[i] = (struct member){
		        i, threads, size, total / threads + (i < total % threads), tries / (long)threads, 0};
	crew_start(&crew, (int)threads, stay_within_quota, members, sizeof(members[0]));
	crew_join(&crew);
	for (unsigned i = 0; i < threads; i++)
		refused += members[i].refused;
	print_message("%zu bytes of %zu, %u threads: %ld tries, refused (must be 0): %ld\n", size, pool_size,
	              threads, tries, refused);
	assert_int_equal(refused, 0);
	fixture_drop(&f);
}

static void nobody_is_refused_in_vain(void **state)
{
	(void)state;
	share_out(64 * KIB, 64, 2, scaled(400000));
	share_out(1 * MIB, 256, 4, scaled(400000));
	share_out(16 * KIB, 512, 4, scaled(200000));
	share_out(16 * KIB, 8, 3, scaled(200000));
	share_out(1 * MIB, 64, 6, scaled(400000));
}

static void sixty_four_cpus(void **state)
{
	(void)state;
	percpu_pretend_cpus(64);
	share_out(16 * KIB, 224, 8, scaled(100000));
	share_out(16 * KIB, 8, 8, scaled(100000));
	share_out(1 * MIB, 1024, 8, scaled(100000));
	percpu_pretend_cpus(0);
}

/* --- one thread of each CPU in the default pool -------------------------------------------------------------- */

static void *use_default_pool(void *context)
{
	const unsigned *number = context;
	struct ist_shm mine[4];
	uint64_t seed = *number + 99;

	run_on(*number % cpus());
	for (long i = 0; i < scaled(50000); i++) {
		int got = 0;

		/* Up to a quarter of the pool for each of four. */
		while (got < 4 &&
		       ist_driver_pool_alloc(f.driver, 1 + random_below(&seed, 900), &mine[got]) == 0)
			got++;
		assert_true(got >= 3);
		while (got > 0)
			assert_int_equal(ist_shm_free(&mine[--got]), 0);
	}
	return NULL;
}

static void four_pages_for_all_cpus(void **state)
{
	unsigned numbers[4] = {0, 1, 2, 3};
	struct crew crew;

	(void)state;
	f = fixture_make(64 * KIB, 0);
	crew_start(&crew, 4, use_default_pool, numbers, sizeof(numbers[0]));
	crew_join(&crew);
	fixture_drop(&f);
}

/* Who asks again and again of an exhausted pool must not cause a drain each time [slab.S4]. */
static void exhaustion_is_cheap(void **state)
{
	struct ist_shm extra;
	uint64_t drains;
	size_t count;

	(void)state;
	f = fixture_make(4 * MIB, 256 * KIB);
	count = fill(1024);
	drains = atomic_load(&f.driver->slabs.drains);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(ist_driver_pool_alloc(f.driver, 1024, &extra), -ENOSPC);
	assert_true(atomic_load(&f.driver->slabs.drains) - drains < 4);
	while (count > 0)
		assert_int_equal(ist_shm_free(&objects[--count]), 0);
	fixture_drop(&f);
}

static void free_first(size_t count)
{
	while (count > 0)
		assert_int_equal(ist_shm_free(&objects[--count]), 0);
}

/*
 * A CPU that keeps all it may of one class, and then keeps too much because the pool's share is divided anew, still keeps
 * some of a class that it has not used before: else each of these would go to the buddy for ever.
 */
static void no_class_is_left_out(void **state)
{
	const struct magazine *magazine;
	struct slabs *slabs;
	uint32_t block;
	struct ist_shm shm;
	unsigned class;
	size_t count;

	(void)state;
	run_on(0);
	f = fixture_make(8 * MIB, 2 * MIB);
	slabs = &f.driver->slabs;
	for (int i = 0; i < 40; i++) {
		for (count = 0; count < 400; count++)
			assert_int_equal(ist_driver_pool_alloc(f.driver, 512, &objects[count]), 0);
		free_first(count);
	}
	slabs->most_cached /= 8;
	atomic_store(&slabs->may_cache, slabs->most_cached);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(ist_driver_pool_alloc(f.driver, 72, &shm), 0);
		assert_int_equal(ist_shm_free(&shm), 0);
	}
	block = percpu_here(&slabs->percpu);
	class = (unsigned)PERCPU_CLASS(slabs_at(slabs, 9));
	assert_in_range(magazine_capacity(percpu_magazine(&slabs->percpu, block, class)), 1, UINT32_MAX);
	/* What was kept of the other class becomes less, step by step: each slow path looks at a few classes. */
	for (int i = 0; i < 400; i++) {
		for (count = 0; count < 20; count++)
			assert_int_equal(ist_driver_pool_alloc(f.driver, 72, &objects[count]), 0);
		free_first(count);
	}
	class = (unsigned)PERCPU_CLASS(slabs_at(slabs, 64));
	magazine = percpu_magazine(&slabs->percpu, block, class);
	assert_true(magazine_level(magazine, atomic_load(&magazine->word)) * 64 <= 2 * slabs->most_cached);
	fixture_drop(&f);
}

enum { MEET = 3 };

struct neighbour {
	size_t size;
	unsigned cpu;
	_Atomic int *arrived;
	struct neighbour *other;
	struct ist_shm shm[MEET];
	bool in_pages; /* the client pool's, of so many pages */
};

static void take_one(const struct neighbour *self, struct ist_shm *shm)
{
	if (self->in_pages)
		assert_int_equal(ist_client_pool_alloc_nozero(f.client, self->size * IST_PAGE_SIZE, shm), 0);
	else
		assert_int_equal(ist_driver_pool_alloc(f.driver, self->size, shm), 0);
}

static void wait_for(_Atomic int *arrived, int count)
{
	atomic_fetch_add(arrived, 1);
	while (atomic_load(arrived) < count) /* both run: they are on two CPUs if there are two */
		sched_yield();
}

/* And then what the other took is freed here, which may not mix them up. */
static void *take_some(void *context)
{
	struct neighbour *self = context;

	run_on(self->cpu);
	wait_for(self->arrived, 2);
	for (unsigned i = 0; i < MEET; i++)
		take_one(self, &self->shm[i]);
	wait_for(self->arrived, 4);
	for (unsigned i = 0; i < MEET; i++)
		assert_int_equal(ist_shm_free(&self->other->shm[i]), 0);
	wait_for(self->arrived, 6);
	for (unsigned i = 0; i < MEET; i++)
		take_one(self, &self->shm[i]);
	return NULL;
}

/* How many of the pairs of messages that two CPUs took share a line of state; and how many pairs there were. */
static unsigned shared_lines(size_t size, bool in_pages, unsigned *met)
{
	_Atomic int arrived = 0;
	struct neighbour two[2] = {
	        {.size = size, .cpu = 0, .arrived = &arrived, .other = &two[1], .in_pages = in_pages},
	        {.size = size, .cpu = 1, .arrived = &arrived, .other = &two[0], .in_pages = in_pages}};
	pthread_t threads[2];
	unsigned shared = 0, in_line = in_pages ? 8 : CACHE_LINE;

	f = fixture_make(in_pages ? 17 * MIB : 1 * MIB, 64 * KIB);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_some, &two[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < MEET * MEET; i++) {
		const struct ist_shm *a = &two[0].shm[i / MEET], *b = &two[1].shm[i % MEET];

		if (!a->token || !b->token || token_block(a->token) == token_block(b->token))
			continue;
		++*met;
		shared += a->index / in_line == b->index / in_line;
	}
	for (unsigned i = 0; i < 2 * MEET; i++)
		assert_int_equal(ist_shm_free(&two[i / MEET].shm[i % MEET]), 0);
	fixture_drop(&f);
	return shared;
}

/*
 * Each CPU's messages have lines of state of their own, where a batch of them fills lines without a rest; else CPUs that never
 * meet would slow each other down. Only two that refill at the same moment may be unlucky. (Of other sizes a batch may share
 * the lines at its ends: whole lines would leave holes.)
 */
static void cpus_do_not_share_lines(void **state)
{
	unsigned met = 0;

	(void)state;
	for (size_t size = 8; size <= 512; size *= 2) {
		int tries = 0;

		while (shared_lines(size, false, &met))
			assert_true(++tries < 10);
	}
	for (size_t pages = 1; pages <= 4; pages *= 2) {
		int tries = 0;

		while (shared_lines(pages, true, &met))
			assert_true(++tries < 10);
	}
	print_message("%u pairs of messages from two CPUs\n", met);
}

static size_t used_granules(struct buddy *buddy)
{
	size_t used = buddy->granules, start = 0, count = 0;

	while (buddy_next_free_run(buddy, start + count, &start, &count))
		used -= count;
	return used;
}

/* Each CPU counts by itself and tells the others now and then; together it is right. */
static void out_is_what_the_buddy_lacks(void **state)
{
	struct slabs *slabs;
	size_t live = 0;

	(void)state;
	f = fixture_make(64 * MIB, 1 * MIB);
	slabs = &f.client->slabs;
	for (unsigned round = 0; round < 2000; round++) {
		size_t pages = 1 + round * 7919 % 200;

		run_on(round / 50 % 2);
		if (ist_client_pool_alloc_nozero(f.client, pages * IST_PAGE_SIZE, &objects[live]) == 0)
			live++;
		else
			assert_true(live > 1);
		if (live > 100 || (round % 3 == 0 && live))
			assert_int_equal(ist_shm_free(&objects[--live]), 0);
		assert_int_equal(slabs_out(slabs), used_granules(&slabs->buddy));
		assert_true(atomic_load(&slabs->out) + slabs->buddy.granules / 256 >= slabs_out(slabs));
		assert_true(slabs_out(slabs) + slabs->buddy.granules / 256 >= atomic_load(&slabs->out));
	}
	free_first(live);
	assert_int_equal(slabs_out(slabs), used_granules(&slabs->buddy));
	fixture_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_class_is_left_out),
	        cmocka_unit_test(memory_in_other_magazines_is_found),
	        cmocka_unit_test(magazines_merge),
	        cmocka_unit_test(nobody_is_refused_in_vain),
	        cmocka_unit_test(sixty_four_cpus),
	        cmocka_unit_test(four_pages_for_all_cpus),
	        cmocka_unit_test(exhaustion_is_cheap),
	        cmocka_unit_test(out_is_what_the_buddy_lacks),
	        cmocka_unit_test(cpus_do_not_share_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
