/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The run allocator under threads that do everything at once: any counts and alignments, places, partial frees, runs
 * that others allocated. Every granule has an owner byte. Between rounds, with all threads at rest, what the bitmap
 * says is free must also be served: a run that no bound admits to is lost.
 *
 * What the numbers mean: operations, refusals and conflicts (a place that was taken) say how much happened; "two
 * owners" and "lost runs" must be 0.
 *
 * usage: torture_buddy [--must-find-fault]       (the latter for mutants)
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buddy/buddy.h"

enum { THREADS = 4, GRANULES = 5 * BUDDY_CHUNK + 100, RUNS = 24, ROUND_STEPS = 2000 };

struct run {
	size_t start, count;
};

struct worker {
	pthread_t thread;
	uint64_t seed;
	struct run run[RUNS];
	long operations, refusals, conflicts;
};

static struct buddy buddy;
static _Atomic unsigned char owned[GRANULES];
static struct worker workers[THREADS];
static pthread_barrier_t barrier;
static _Atomic int stop;
static _Atomic long two_owners;
static long lost_runs;

static size_t random_below(uint64_t *state, size_t limit)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)(*state >> 33) % limit;
}

static void mark(size_t start, size_t count, unsigned char from, unsigned char to)
{
	for (size_t g = start; g < start + count; g++) {
		if (atomic_exchange_explicit(&owned[g], to, memory_order_relaxed) != from)
			atomic_fetch_add_explicit(&two_owners, 1, memory_order_relaxed);
	}
}

static void release(size_t start, size_t count)
{
	mark(start, count, 1, 0);
	buddy_free(&buddy, start, count);
}

static void take(struct worker *worker, struct run *run)
{
	size_t most = random_below(&worker->seed, 10) ? 40 : 2 * BUDDY_CHUNK,
	       count = 1 + random_below(&worker->seed, most);
	size_t start = random_below(&worker->seed, GRANULES);
	int error;

	switch (random_below(&worker->seed, 4)) {
	case 0:
		if (count > GRANULES - start)
			count = GRANULES - start;
		error = buddy_alloc_at(&buddy, start, count);
		break;
	case 1:
		error = buddy_alloc(&buddy, count,
		                    (struct buddy_alignment){(size_t)1 << random_below(&worker->seed, 7), 0},
		                    &start);
		break;
	default:
		error = buddy_alloc(&buddy, count, BUDDY_ANYWHERE, &start);
		break;
	}
	worker->conflicts += error == -EBUSY;
	worker->refusals += error == -ENOSPC;
	if (error)
		return;
	mark(start, count, 0, 1);
	*run = (struct run){start, count};
}

/* All of a run, or its head, or its tail, or its middle (then head and tail go on as two runs if there is room). */
static void give_back(struct worker *worker, struct run *run)
{
	size_t from = random_below(&worker->seed, run->count),
	       part = 1 + random_below(&worker->seed, run->count - from);
	struct run tail = {run->start + from + part, run->count - from - part};

	if (random_below(&worker->seed, 2)) {
		release(run->start, run->count);
		run->count = 0;
		return;
	}
	release(run->start + from, part);
	run->count = from;
	if (tail.count == 0)
		return;
	for (int i = 0; i < RUNS; i++) {
		if (worker->run[i].count == 0) {
			worker->run[i] = tail;
			return;
		}
	}
	release(tail.start, tail.count);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (;;) {
		for (int i = 0; i < ROUND_STEPS; i++, worker->operations++) {
			struct run *run = &worker->run[random_below(&worker->seed, RUNS)];

			if (run->count)
				give_back(worker, run);
			else
				take(worker, run);
		}
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier); /* the checks are done */
		if (atomic_load_explicit(&stop, memory_order_relaxed))
			return NULL;
	}
}

/* With all at rest. Long requests go another way than short ones, so both are tried. */
static void check(void)
{
	size_t largest = buddy_largest(&buddy), start;
	const size_t counts[] = {1, largest < BUDDY_CHUNK ? largest : BUDDY_CHUNK, largest};

	for (int i = 0; i < 3; i++) {
		if (largest == 0)
			break;
		if (buddy_alloc(&buddy, counts[i], BUDDY_ANYWHERE, &start))
			lost_runs++;
		else
			buddy_free(&buddy, start, counts[i]);
	}
	if (buddy_alloc(&buddy, largest + 1, BUDDY_ANYWHERE, &start) == 0)
		atomic_fetch_add_explicit(&two_owners, 1, memory_order_relaxed);
	for (size_t g = 0; g < GRANULES; g++) {
		bool in_use = bitmap_next_used(buddy.map, g, g + 1) == g;

		if (in_use != (atomic_load_explicit(&owned[g], memory_order_relaxed) != 0))
			atomic_fetch_add_explicit(&two_owners, 1, memory_order_relaxed);
	}
}

int main(int argc, char **argv)
{
	const char *percent = getenv("ISTHMUS_TEST_SCALE");
	long rounds = 150 * (percent ? strtol(percent, NULL, 10) : 100) / 100, operations = 0, refusals = 0,
	     conflicts = 0;
	bool must_find = argc > 1 && strcmp(argv[1], "--must-find-fault") == 0, fault;
	size_t bytes = bits_round_up(buddy_bytes(GRANULES), CACHE_LINE);
	void *memory = aligned_alloc(CACHE_LINE, bytes);

	if (!memory)
		return 1;
	memset(memory, 0, bytes);
	buddy_init(&buddy, memory, GRANULES);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		workers[i].seed = (uint64_t)i + 1;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 1;
	}
	for (long round = 0; round < rounds || round == 0; round++) {
		pthread_barrier_wait(&barrier);
		check();
		if (round + 1 >= rounds || lost_runs || two_owners)
			atomic_store_explicit(&stop, 1, memory_order_relaxed);
		pthread_barrier_wait(&barrier);
		if (atomic_load_explicit(&stop, memory_order_relaxed))
			break;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		operations += workers[i].operations;
		refusals += workers[i].refusals;
		conflicts += workers[i].conflicts;
	}
	fault = lost_runs != 0 || two_owners != 0;
	printf("%ld operations, %ld refusals, %ld conflicts; must be 0: two owners %ld, lost runs %ld\n",
	       operations, refusals, conflicts, (long)two_owners, lost_runs);
	free(memory);
	return must_find ? !fault : fault;
}
