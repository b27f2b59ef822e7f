/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap_rows.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"

static void must(int error)
{
	if (error) {
		fprintf(stderr, "pamap: update: error %d\n", error);
		exit(1);
	}
}

/* Includes what the reclaimer spends. */
static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void settle(struct pamap *map)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct pamap_stats stats;

	for (pamap_get_stats(map, &stats); stats.backlog_bytes > 0; pamap_get_stats(map, &stats))
		nanosleep(&pause, NULL);
}

double thread_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* After everything that waited for readers was given back: what the map keeps, in all. */
void measure_memory(struct rows *rows, const struct set *set, const char *name, double goal)
{
	struct pamap_stats stats;

	settle(set->map);
	pamap_get_stats(set->map, &stats);
	rows_add(rows, name, "bytes", goal, false, (double)stats.bytes / (double)stats.mappings);
}

/* A mapping goes and comes back. */
static void update(struct set *set)
{
	const struct pamap_entry *e = &set->entry[bench_random() % set->count];

	must(pamap_remove(set->map, e));
	must(pamap_insert(set->map, e, 0));
}

void measure_updates(struct rows *rows, struct set *set)
{
	enum { PAIRS = 50000 };
	double begin, wall;

	settle(set->map);
	wall = clock_seconds();
	begin = cpu_seconds();
	for (int i = 0; i < PAIRS; i++)
		update(set);
	wall = clock_seconds() - wall;
	settle(set->map);
	rows_add(rows, "insert or remove at 1 M random, CPU with reclamation", "ns", 400, false,
		 (cpu_seconds() - begin) * 1e9 / (2 * PAIRS));
	rows_note(rows, "insert or remove at 1 M random, wall", "ns", wall * 1e9 / (2 * PAIRS));
}

struct writer {
	struct pamap *map;
	_Atomic bool go;
	uint64_t updates;
};

/* Others than the readers follow: theirs must stay. */
static void *write_on(void *argument)
{
	struct writer *writer = argument;
	struct pamap_entry e = {.pages = 1, .to = 1, .owner = 1};

	while (atomic_load_explicit(&writer->go, memory_order_relaxed)) {
		e.page = (UINT64_C(1) << 30) + bench_random() % 1000000; /* the next region: no page of the set's */
		if (writer->updates % 4 == 0)
			e.page = bench_random() % (1 << 30);
		if (pamap_insert(writer->map, &e, PAMAP_EXCLUSIVE) == 0)
			must(pamap_remove(writer->map, &e));
		writer->updates += 2;
	}
	return NULL;
}

static double follow(struct set *set, size_t steps)
{
	double begin = thread_seconds();

	set_follow(set, steps);
	return (thread_seconds() - begin) * 1e9 / (double)steps;
}

void measure_disturbed(struct rows *rows, struct set *set)
{
	enum { STEPS = 100000 };
	struct writer writer = {.map = set->map};
	double alone = follow(set, STEPS), together;
	pthread_t thread;

	atomic_store_explicit(&writer.go, true, memory_order_relaxed);
	if (pthread_create(&thread, NULL, write_on, &writer))
		exit(1);
	together = follow(set, STEPS);
	atomic_store_explicit(&writer.go, false, memory_order_relaxed);
	pthread_join(thread, NULL);
	alone = (alone + follow(set, STEPS)) / 2;
	rows_add(rows, "lookups while one thread updates / alone (CPU time)", "x", 1.1, false, together / alone);
	settle(set->map);
}

/* 60 000 of one owner, among a million of sixteen others. */
void measure_owner(struct rows *rows)
{
	enum { OTHERS = 940000, HIS = 60000, BUDGET = 500 };
	static struct pamap *map;
	struct pamap_entry e = {.pages = 1, .attributes = 1};
	struct pamap_reap reap;
	double begin, hide, step, worst = 0, all = 0;
	int more = 1;

	if (!map) {
		must(pamap_create(&map));
		for (uint64_t i = 0; i < OTHERS; i++) {
			e.page = (i * 7919 % OTHERS) * 1000 + 1 + bench_random() % 999;
			e.owner = (uint16_t)(i % 16);
			must(pamap_insert(map, &e, 0));
		}
	}
	e.owner = 100;
	for (uint64_t i = 0; i < HIS; i++) {
		e.page = i * 15000; /* multiples of 1000: none of the others' */
		must(pamap_insert(map, &e, 0));
	}
	settle(map);
	begin = clock_seconds();
	must(pamap_owner_hide(map, 100, &reap));
	hide = clock_seconds() - begin;
	while (more == 1) {
		begin = clock_seconds();
		more = pamap_owner_reap(map, &reap, BUDGET);
		step = clock_seconds() - begin;
		worst = more == 1 && step > worst ? step : worst;
		all += step;
	}
	must(more);
	rows_add(rows, "remove 60 000 of an owner among 1 M: each", "ns", 200, false, all * 1e9 / HIS);
	rows_add(rows, "the same: longest step of 500 leaves", "us", 1000, false, worst * 1e6);
	rows_note(rows, "the same: until all are invisible", "us", hide * 1e6);
}
