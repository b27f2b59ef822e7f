/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Per-CPU magazines under more threads than CPUs that put in, take out, drain and move between CPUs, with the
 * sequences stretched by spins at random steps, so that preemption, signals and fences meet them everywhere. Every
 * value has a place byte: with a thread, in a magazine, or in the store of this program. A value that is not where it
 * comes from has been taken twice, or put in twice.
 *
 * What the numbers mean: operations, moves, drains and aborts say how much happened (aborts must not be 0 where there
 * are sequences); "in two places", "stale contents" and "lost" must be 0.
 *
 * usage: torture_percpu [--must-find-fault] [SECONDS]       (the former for mutants and the control)
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "percpu/percpu.h"

enum { THREADS = 6, CLASSES = 3, VALUES = 600, BATCH = 8, HELD = 40 };
enum place { STORE, THREAD, MAGAZINE };

struct worker {
	pthread_t thread;
	uint64_t seed;
	uint32_t held[CLASSES][HELD];
	unsigned count[CLASSES];
	long operations;
};

static struct percpu percpu;
static struct worker workers[THREADS];
static _Atomic unsigned char place[CLASSES][VALUES];
static uint32_t contents[CLASSES]
                        [VALUES]; /* of the objects that the values stand for: only the owner writes it */
static _Atomic uint32_t written[CLASSES][VALUES]; /* what the owner wrote last */
static _Atomic int stop;
static _Atomic long in_two_places, stale_contents, moves, drains;
static double seconds = 2;

extern int32_t percpu_inject[4];

static uint32_t random_below(uint64_t *state, uint32_t limit)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33) % limit;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void move_value(unsigned class, uint32_t value, enum place from, enum place to)
{
	if (value >= VALUES ||
	    atomic_exchange_explicit(&place[class][value], (unsigned char)to, memory_order_relaxed) != from)
		atomic_fetch_add_explicit(&in_two_places, 1, memory_order_relaxed);
}

/* The previous owner's last write must be there, and ours for the next one. */
static void use(unsigned class, uint32_t value)
{
	if (value >= VALUES)
		return;
	if (contents[class][value] != atomic_load_explicit(&written[class][value], memory_order_relaxed))
		atomic_fetch_add_explicit(&stale_contents, 1, memory_order_relaxed);
	contents[class][value]++;
	atomic_store_explicit(&written[class][value], contents[class][value], memory_order_relaxed);
}

static void sink(void *context, unsigned class, uint32_t value)
{
	(void)context;
	use(class, value);
	/* Release: from here on another thread may take it from the store. */
	if (atomic_exchange_explicit(&place[class][value], STORE, memory_order_release) != MAGAZINE)
		atomic_fetch_add_explicit(&in_two_places, 1, memory_order_relaxed);
}

static bool take_from_store(unsigned class, uint32_t *value, uint64_t *seed)
{
	for (uint32_t i = 0, at = random_below(seed, VALUES); i < VALUES; i++) {
		unsigned char expected = STORE;

		*value = (at + i) % VALUES;
		if (atomic_compare_exchange_strong_explicit(&place[class][*value], &expected, THREAD,
		                                            memory_order_acquire, memory_order_relaxed))
			return true;
	}
	return false;
}

static void take(struct worker *worker, unsigned class)
{
	uint32_t values[BATCH];
	unsigned count = 0, room = HELD - worker->count[class];

	if (room < BATCH)
		return;
	if (random_below(&worker->seed, 4) == 0)
		count = percpu_take(&percpu, class, values, BATCH, true);
	else if (percpu_pop(&percpu, PERCPU_AT(class), values) ||
	         percpu_take(&percpu, class, values, 1, true))
		count = 1;
	for (unsigned i = 0; i < count; i++)
		move_value(class, values[i], MAGAZINE, THREAD);
	if (count == 0 && take_from_store(class, values, &worker->seed))
		count = 1;
	for (unsigned i = 0; i < count; i++) {
		use(class, values[i]);
		worker->held[class][worker->count[class]++] = values[i];
	}
}

/* Values are marked before they go in: from then on anybody may have them. */
static void give(struct worker *worker, unsigned class)
{
	unsigned count = random_below(&worker->seed, 4) == 0 ? BATCH : 1, put = 0;
	uint32_t *values;

	if (worker->count[class] < count)
		return;
	worker->count[class] -= count;
	values = &worker->held[class][worker->count[class]];
	for (unsigned i = 0; i < count; i++) {
		use(class, values[i]);
		move_value(class, values[i], THREAD, MAGAZINE);
	}
	if (count > 1)
		put = percpu_put(&percpu, class, values, count, true);
	else if (percpu_push(&percpu, PERCPU_AT(class), values[0]) ||
	         percpu_put(&percpu, class, values, 1, true))
		put = 1;
	for (unsigned i = put; i < count; i++) {
		unsigned char expected = MAGAZINE;

		if (!atomic_compare_exchange_strong_explicit(&place[class][values[i]], &expected, STORE,
		                                             memory_order_release, memory_order_relaxed))
			atomic_fetch_add_explicit(&in_two_places, 1, memory_order_relaxed);
	}
}

static void move_thread(uint64_t *seed)
{
	cpu_set_t set;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	CPU_ZERO(&set);
	CPU_SET(random_below(seed, (uint32_t)cpus), &set);
	if (random_below(seed, 4) == 0) {
		for (unsigned cpu = 0; cpu < (unsigned)cpus; cpu++)
			CPU_SET(cpu, &set);
	}
	sched_setaffinity(0, sizeof(set), &set);
	atomic_fetch_add_explicit(&moves, 1, memory_order_relaxed);
}

static void *work(void *context)
{
	struct worker *worker = context;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned class = random_below(&worker->seed, CLASSES);

		if (random_below(&worker->seed, 2))
			take(worker, class);
		else
			give(worker, class);
		if (random_below(&worker->seed, 2000) == 0)
			move_thread(&worker->seed);
		if (random_below(&worker->seed, 3000) == 0) {
			percpu_drain(&percpu, (enum percpu_reach)random_below(&worker->seed, 3), sink, NULL,
			             NULL);
			atomic_fetch_add_explicit(&drains, 1, memory_order_relaxed);
		}
		worker->operations++;
	}
	return NULL;
}

/* Spins at random steps, and capacities that change under way. */
static void disturb(uint64_t *seed)
{
	struct timespec pause = {0, 200000};

#ifdef PERCPU_INJECT
	for (int step = 1; step <= 3; step++)
		__atomic_store_n(&percpu_inject[step],
		                 random_below(seed, 3) ? 0 : (int32_t)random_below(seed, 3000),
		                 __ATOMIC_RELAXED);
#endif
	for (uint32_t block = 0; block < percpu.blocks; block++)
		percpu_set_capacity(&percpu, block, random_below(seed, CLASSES), random_below(seed, 65));
	nanosleep(&pause, NULL);
}

static long count_lost(void)
{
	long found = 0;

	percpu_drain(&percpu, PERCPU_ALL, sink, NULL, NULL);
	for (int i = 0; i < THREADS; i++) {
		for (unsigned class = 0; class < CLASSES; class ++)
			found += workers[i].count[class];
	}
	for (unsigned class = 0; class < CLASSES; class ++) {
		for (uint32_t value = 0; value < VALUES; value++)
			found += atomic_load_explicit(&place[class][value], memory_order_relaxed) == STORE;
	}
	return CLASSES * VALUES - found;
}

static long faults(void)
{
	return atomic_load_explicit(&in_two_places, memory_order_relaxed) +
	       atomic_load_explicit(&stale_contents, memory_order_relaxed);
}

int main(int argc, char **argv)
{
	static const uint16_t slots[CLASSES] = {64, 64, 64};
	bool must_find = false;
	uint64_t seed = 5;
	long operations = 0, lost;
	uint64_t aborts;
	double end;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--must-find-fault"))
			must_find = true;
		else
			seconds = atof(argv[i]);
	}
	if (percpu_create(&percpu, CLASSES, slots))
		return 1;
#ifndef PERCPU_FALLBACK_ONLY
	if (must_find && !percpu.sequences) {
		printf("skipped: sequences are not in use, and the fault is in them\n");
		return 77;
	}
#endif
	for (int i = 0; i < THREADS; i++) {
		workers[i].seed = (uint64_t)i + 1;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	/* A mutant gets longer, but only until it is found out. */
	for (end = now() + seconds * (must_find ? 20 : 1); now() < end && !(must_find && faults());)
		disturb(&seed);
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		operations += workers[i].operations;
	}
	lost = must_find && faults() ? 0 : count_lost();
	aborts = atomic_load_explicit(&percpu_aborts, memory_order_relaxed);
	printf("sequences %s: %ld operations, %ld moves, %ld drains, %llu aborts\n",
	       percpu.sequences ? "in use" : "not in use", operations, atomic_load(&moves),
	       atomic_load(&drains), (unsigned long long)aborts);
	printf("in two places %ld, stale contents %ld, lost %ld (must be 0)\n", atomic_load(&in_two_places),
	       atomic_load(&stale_contents), lost);
	percpu_destroy(&percpu);
	if (must_find)
		return faults() || lost ? 0 : 1;
	return faults() || lost || (percpu.sequences && aborts == 0);
}
