/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Very many mappings: what a look-up costs, what they take, and how long a guest's end holds others up. */
#include "mapping.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "lib/median.h"
#include "lib/random.h"

enum { GUESTS = 16, FEW = 1000, BATCH = 64, STEP = 128 };

/* Mapping i of a guest has cookie i + 1. */
struct many {
	struct ist_manager *manager;
	size_t count;
	double bytes; /* of bookkeeping, each */
};

static uint64_t paddr_of(size_t i)
{
	return WIDE_PADDR + (uint64_t)i * 2 * IST_PAGE_SIZE; /* apart: no two are one stretch */
}

static uint32_t guest_of(size_t i)
{
	return (uint32_t)(i % GUESTS) + 1;
}

static void register_one(struct many *m, size_t i)
{
	struct ist_registration r = {
	        .paddr = paddr_of(i), .size = IST_PAGE_SIZE, .owner = guest_of(i), .cookie = i + 1};
	struct ist_mapping mapping;

	must(ist_mapping_register(m->manager, &r, &mapping));
}

/* So many live mappings; each number is made once, and stays. */
static struct many *many_of(size_t count)
{
	static struct many few, many;
	struct many *m = count == FEW ? &few : &many;
	struct ist_mapping_stats before, after;

	if (m->manager)
		return m;
	*m = (struct many){.manager = mapping_manager(RAM_NONE, 0), .count = count};
	mapping_add_wide(m->manager);
	for (uint32_t guest = 1; guest <= GUESTS; guest++)
		mapping_owner(m->manager, guest);
	ist_mapping_stats(m->manager, &before);
	for (size_t i = 0; i < count; i++)
		register_one(m, i);
	ist_mapping_drain(m->manager);
	ist_mapping_stats(m->manager, &after);
	m->bytes = (double)(after.bookkeeping - before.bookkeeping) / (double)count;
	return m;
}

/* --- look-ups: of the same thousand beside so many, or of any of them ---------------------------------------------- */

static void by_cookie(struct many *m, size_t i)
{
	struct ist_mapping found;

	must(ist_mapping_find(m->manager, guest_of(i), i + 1, &found));
}

static void by_paddr(struct many *m, size_t i)
{
	void *vaddr;

	must(ist_phys_to_virt(m->manager, paddr_of(i), 8, &vaddr));
}

static void by_paddr_with_record(struct many *m, size_t i)
{
	struct ist_mapping found;

	must(ist_mapping_find_paddr(m->manager, paddr_of(i), 8, &found, NULL));
}

static const struct lookup {
	const char *what;
	void (*look_up)(struct many *m, size_t i);
	bool any;
} lookups[] = {
        {"find_by_cookie", by_cookie, false},
        {"translate", by_paddr, false},
        {"find_by_paddr", by_paddr_with_record, false},
        {"find_any_by_cookie", by_cookie, true},
        {"translate_any", by_paddr, true},
};

static void look_up(struct gbench_state *state, void *context)
{
	const struct lookup *lookup = context;
	struct many *m = many_of((size_t)gbench_argument(state));
	size_t among = lookup->any ? m->count : FEW;
	uint64_t random = 1;

	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++)
			lookup->look_up(m, random_below(&random, among));
	}
	gbench_set_counter(state, "bytes_each", m->bytes);
}

/* --- the end of a guest, while another thread looks up others' mappings ---------------------------------------------- */

struct observer {
	struct many *many;
	atomic_bool stop;
	double mean;
};

/* By chunks, so that the clock costs little. */
static void *observe(void *context)
{
	struct observer *o = context;
	uint64_t random = 1;
	double sum = 0;
	long chunks = 0;

	while (!atomic_load_explicit(&o->stop, memory_order_relaxed)) {
		double start = now_ns();

		for (int k = 0; k < BATCH; k++)
			by_cookie(o->many, random_below(&random, FEW) / GUESTS * GUESTS + 1); /* guest 2 */
		sum += (now_ns() - start) / BATCH;
		chunks++;
	}
	o->mean = sum / (double)chunks;
	return NULL;
}

struct steps {
	double *wall, *own; /* by the clock on the wall, and of the thread's own time */
	size_t count, room;
	double sum;
};

static double own_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void idle(struct many *m, struct steps *steps)
{
	double until = now_ns() + 1e8;

	(void)m, (void)steps;
	while (now_ns() < until)
		;
}

static void destroy_guest(struct many *m, struct steps *steps)
{
	int more = 1;

	must(ist_owner_destroy_begin(m->manager, 1));
	while (more == 1 && steps->count < steps->room) {
		double start = now_ns(), own = own_ns();

		more = ist_owner_destroy_step(m->manager, 1, STEP);
		steps->own[steps->count] = own_ns() - own;
		steps->wall[steps->count] = now_ns() - start;
		steps->sum += steps->wall[steps->count++];
	}
	must(more);
}

/* What a look-up takes meanwhile. */
static double observed(struct many *m, void (*meanwhile)(struct many *, struct steps *), struct steps *steps)
{
	struct observer o = {.many = m};
	pthread_t thread;

	must(pthread_create(&thread, NULL, observe, &o));
	meanwhile(m, steps);
	atomic_store_explicit(&o.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	return o.mean;
}

static void report(struct gbench_state *state, struct steps *steps)
{
	median_sort(steps->wall, steps->count);
	median_sort(steps->own, steps->count);
	gbench_set_counter(state, "steps", (double)steps->count);
	gbench_set_counter(state, "step_ms_p50", steps->wall[steps->count / 2] / 1e6);
	gbench_set_counter(state, "step_ms_p99", steps->wall[steps->count - 1 - steps->count / 100] / 1e6);
	gbench_set_counter(state, "step_ms_max", steps->wall[steps->count - 1] / 1e6);
	gbench_set_counter(state, "step_own_ms_max", steps->own[steps->count - 1] / 1e6);
}

/* The time is that of a mapping. */
static void end_of_a_guest(struct gbench_state *state, void *context)
{
	struct many *m = many_of((size_t)gbench_argument(state));
	struct steps steps = {.room = m->count};

	(void)context;
	steps.wall = must_allocate(m->count, sizeof(double));
	steps.own = must_allocate(m->count, sizeof(double));
	while (gbench_keep_running(state)) {
		double calm = observed(m, idle, NULL), meanwhile = observed(m, destroy_guest, &steps);

		gbench_set_iteration_seconds(state, steps.sum * 1e-9 / (double)(m->count / GUESTS));
		gbench_set_counter(state, "lookups_per_calm", meanwhile / calm);
	}
	report(state, &steps);
	mapping_owner(m->manager, 1); /* for who comes next */
	for (size_t i = 0; i < m->count; i += GUESTS)
		register_one(m, i);
	free(steps.wall);
	free(steps.own);
}

void suite_mapping_many_register(void)
{
	const int64_t live[] = {FEW, suites_large ? 1600000 : 160000};
	struct gbench *b;

	for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++) {
		b = gbench_register(look_up, (void *)(uintptr_t)&lookups[i], "mapping/%s/isthmus",
		                    lookups[i].what);
		gbench_arguments(b, "live", lookups[i].any ? live + 1 : live, lookups[i].any ? 1 : 2);
	}
	b = gbench_register(end_of_a_guest, NULL, "mapping/end_of_a_guest/isthmus");
	gbench_arguments(b, "live", live + 1, 1);
	gbench_iterations(b, 1);
	gbench_use_manual_time(b);
}
