/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What changes the PA map: mappings that come and go, readers beside them, all that an owner has. */
#include "pamap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/random.h"

enum { STEPS = 1000, PAIRS = 50000, OTHERS = 940000, HIS = 60000, BUDGET = 500, OWNER = 100 };

/* Of the process: includes what the reclaimer spends. */
static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A mapping goes and comes back; an iteration is one of the two. */
static void update(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(SET_RANDOM);
	uint64_t random = 1;

	(void)context;
	while (gbench_keep_running_batch(state, 2 * PAIRS)) {
		double wall, begin;

		pamap_settle(set->map);
		wall = clock_seconds();
		begin = cpu_seconds();
		for (int i = 0; i < PAIRS; i++) {
			const struct pamap_entry *e = &set->entry[random_below(&random, set->count)];

			must(pamap_remove(set->map, e));
			must(pamap_insert(set->map, e, 0));
		}
		wall = clock_seconds() - wall;
		pamap_settle(set->map);
		gbench_set_iteration_seconds(state, cpu_seconds() - begin);
		gbench_set_counter(state, "wall_ns", wall * 1e9 / (2 * PAIRS));
	}
}

struct writer {
	struct pamap *map;
	_Atomic bool stop;
};

/* Others than the readers follow: theirs must stay. */
static void *write_on(void *argument)
{
	struct writer *writer = argument;
	struct pamap_entry e = {.pages = 1, .to = 1, .owner = 1};
	uint64_t random = 1;

	for (unsigned i = 0; !atomic_load_explicit(&writer->stop, memory_order_relaxed); i += 2) {
		e.page = (UINT64_C(1) << 30) +
		         random_below(&random, 1000000); /* the next region: none of the set's */
		if (i % 4 == 0)
			e.page = random_next(&random) % (1 << 30);
		if (pamap_insert(writer->map, &e, PAMAP_EXCLUSIVE) == 0)
			must(pamap_remove(writer->map, &e));
	}
	return NULL;
}

/* To be compared with the same alone; CPU time of the reader. */
static void follow_beside_updates(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(SET_RANDOM);
	struct writer writer = {.map = set->map};
	uint64_t at = set_start(set);
	pthread_t thread;

	(void)context;
	must(pthread_create(&thread, NULL, write_on, &writer));
	while (gbench_keep_running_batch(state, STEPS))
		at = set_follow(set, at, STEPS);
	atomic_store_explicit(&writer.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	bench_use(at);
	pamap_settle(set->map);
}

/* A million mappings of sixteen owners, and between them 60 000 of one more. */
static struct pamap *map_of_owners(void)
{
	static struct pamap *map;
	struct pamap_entry e = {.pages = 1, .attributes = 1};
	uint64_t random = 1;

	if (!map) {
		must(pamap_create(&map));
		for (uint64_t i = 0; i < OTHERS; i++) {
			e.page = (i * 7919 % OTHERS) * 1000 + 1 + random_below(&random, 999);
			e.owner = (uint16_t)(i % 16);
			must(pamap_insert(map, &e, 0));
		}
	}
	e.owner = OWNER;
	for (uint64_t i = 0; i < HIS; i++) {
		e.page = i * 15000; /* multiples of 1000: none of the others' */
		must(pamap_insert(map, &e, 0));
	}
	pamap_settle(map);
	return map;
}

/* The time is that of a mapping; the longest step is one of those of 500 leaves. */
static void remove_owner(struct gbench_state *state, void *context)
{
	double begin, hide = 0, worst = 0;

	(void)context;
	while (gbench_keep_running(state)) {
		struct pamap *map = map_of_owners();
		struct pamap_reap reap;
		double all = 0;
		int more = 1;

		begin = clock_seconds();
		must(pamap_owner_hide(map, OWNER, &reap));
		hide = clock_seconds() - begin;
		while (more == 1) {
			double step;

			begin = clock_seconds();
			more = pamap_owner_reap(map, &reap, BUDGET);
			step = clock_seconds() - begin;
			worst = more == 1 && step > worst ? step : worst;
			all += step;
		}
		must(more);
		gbench_set_iteration_seconds(state, all / HIS);
	}
	gbench_set_counter(state, "until_invisible_us", hide * 1e6);
	gbench_set_counter(state, "step_us_max", worst * 1e6);
}

void suite_pamap_updates_register(void)
{
	struct gbench *b = gbench_register(update, NULL, "pamap/update_1M_random/isthmus");

	gbench_iterations(b, 2 * PAIRS);
	gbench_use_manual_time(b);
	gbench_register(follow_beside_updates, NULL, "pamap/follow_beside_updates/isthmus");
	b = gbench_register(remove_owner, NULL, "pamap/remove_owner/isthmus");
	gbench_iterations(b, 1);
	gbench_use_manual_time(b);
}
