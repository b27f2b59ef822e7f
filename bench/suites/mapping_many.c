/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Very many mappings: what a lookup costs, what they take, and how long a guest's end holds others up. */
#include "mapping.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/median.h"

#define GUESTS 16u
#define SETS 1000u
#define LOOKUPS 200000

/* Mapping i of a guest has cookie i + 1. Many mappings share the pages of the RAM, but each has an address of its own. */
struct many {
	struct ist_manager *manager;
	char *ram;
	size_t count;
	size_t among; /* look up the first so many */
	uint64_t seed;
};

#define MANY_PADDR UINT64_C(0x1000000000)

static uint64_t paddr_of(size_t i)
{
	return MANY_PADDR + (uint64_t)i * 2 * IST_PAGE_SIZE; /* apart: no two are one stretch */
}

static uint32_t guest_of(size_t i)
{
	return (uint32_t)(i % GUESTS) + 1;
}

static size_t next(struct many *m)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)(m->seed >> 33) % m->among;
}

static double by_cookie(void *context)
{
	struct many *m = context;
	double start = now_ns();

	for (int k = 0; k < LOOKUPS; k++) {
		size_t i = next(m);
		struct ist_mapping found;

		must(ist_mapping_find(m->manager, guest_of(i), i + 1, &found), "find");
	}
	return (now_ns() - start) / LOOKUPS;
}

static double by_paddr(void *context)
{
	struct many *m = context;
	double start = now_ns();

	for (int k = 0; k < LOOKUPS; k++) {
		void *vaddr;

		must(ist_phys_to_virt(m->manager, paddr_of(next(m)), 8, &vaddr), "phys_to_virt");
	}
	return (now_ns() - start) / LOOKUPS;
}

static double by_paddr_with_record(void *context)
{
	struct many *m = context;
	double start = now_ns();

	for (int k = 0; k < LOOKUPS; k++) {
		struct ist_mapping found;

		must(ist_mapping_find_paddr(m->manager, paddr_of(next(m)), 8, &found, NULL), "find_paddr");
	}
	return (now_ns() - start) / LOOKUPS;
}

/* Address space stands for the pages: nothing is ever touched. */
static struct many many_make(struct bench_space *space, size_t count)
{
	struct many m = {.manager = space->manager, .count = count, .among = SETS, .seed = 1};
	struct ist_backing backing = {.paddr = MANY_PADDR,
	                              .size = (uint64_t)count * 2 * IST_PAGE_SIZE,
	                              .vaddr = (void *)UINT64_C(0x10000000000)};

	must(ist_backing_add(space->manager, &backing), "backing");
	for (uint32_t guest = 1; guest <= GUESTS; guest++) {
		struct ist_owner_config config = {.id = guest};

		must(ist_owner_create(space->manager, &config), "owner");
	}
	for (size_t i = 0; i < count; i++) {
		struct ist_registration r = {
		        .paddr = paddr_of(i), .size = IST_PAGE_SIZE, .owner = guest_of(i), .cookie = i + 1};
		struct ist_mapping mapping;

		must(ist_mapping_register(space->manager, &r, &mapping), "register");
	}
	return m;
}

static void print_pair(const char *what, const struct round_values *few, const struct round_values *many,
                       double goal)
{
	printf("  %-66s             %10.1f ns       [%.1f..%.1f]; at 1000: %.1f\n", what, many->median,
	       many->low, many->high, few->median);
	if (goal > 0)
		goal_most("times its cost at 1000", many->median / few->median, goal, "x");
}

static void lookups(int rounds, struct many *few, struct many *many)
{
	struct many all = *many;
	struct round_values values[] = {
	        {.name = "", .measure = by_cookie, .context = few},
	        {.name = "", .measure = by_cookie, .context = many},
	        {.name = "", .measure = by_paddr, .context = few},
	        {.name = "", .measure = by_paddr, .context = many},
	        {.name = "", .measure = by_paddr_with_record, .context = few},
	        {.name = "", .measure = by_paddr_with_record, .context = many},
	        {.name = "", .measure = by_cookie, .context = &all},
	        {.name = "", .measure = by_paddr, .context = &all},
	};

	all.among = all.count;
	rounds_run(values, 8, rounds);
	printf("\nlookups with %zu live mappings of %u guests, ns, medians of %d rounds [lowest..highest]\n",
	       many->count, GUESTS, rounds);
	print_pair("the same 1000, by cookie", &values[0], &values[1], 1.5);
	print_pair("the same 1000, physical to virtual address", &values[2], &values[3], 1.5);
	print_pair("the same 1000, by physical address with its record", &values[4], &values[5], 1.5);
	print_pair("any of all, at random, by cookie", &values[0], &values[6], 0);
	print_pair("any of all, at random, physical to virtual address", &values[2], &values[7], 0);
}

struct observer {
	struct many many;
	atomic_bool stop;
	double worst, mean;
};

/* Lookups of others' mappings by chunks, so that the clock costs little and the tail is seen. */
static void *observe(void *context)
{
	enum { CHUNK = 64 };
	struct observer *o = context;
	double sum = 0;
	long chunks = 0;

	o->worst = 0;
	while (!atomic_load_explicit(&o->stop, memory_order_relaxed)) {
		double start = now_ns(), took;

		for (int k = 0; k < CHUNK; k++) {
			size_t i = next(&o->many) / GUESTS * GUESTS + 1; /* guest 2 */
			struct ist_mapping found;

			must(ist_mapping_find(o->many.manager, guest_of(i), i + 1, &found), "find");
		}
		took = (now_ns() - start) / CHUNK;
		o->worst = took > o->worst ? took : o->worst;
		sum += took;
		chunks++;
	}
	o->mean = sum / (double)chunks;
	return NULL;
}

static double observed(struct observer *o, double (*meanwhile)(void *), void *context)
{
	pthread_t thread;
	double result;

	atomic_store_explicit(&o->stop, false, memory_order_relaxed);
	if (pthread_create(&thread, NULL, observe, o))
		exit(1);
	result = meanwhile(context);
	atomic_store_explicit(&o->stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	return result;
}

static double idle(void *context)
{
	double until = now_ns() + 1e8;

	(void)context;
	while (now_ns() < until)
		;
	return 0;
}

struct destruction {
	struct ist_manager *manager;
	uint32_t guest;
	double *steps, *own; /* by the clock on the wall, and of the thread's own time */
	size_t count, room;
};

static double own_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double destroy(void *context)
{
	struct destruction *d = context;
	int more = 1;

	must(ist_owner_destroy_begin(d->manager, d->guest), "begin");
	while (more == 1 && d->count < d->room) {
		double start = now_ns(), own = own_ns();

		more = ist_owner_destroy_step(d->manager, d->guest, 128);
		d->own[d->count] = own_ns() - own;
		d->steps[d->count++] = now_ns() - start;
	}
	must(more, "step");
	return 0;
}

static void destruction(struct many *many)
{
	struct observer o = {.many = *many};
	struct destruction d = {.manager = many->manager, .guest = 1, .room = many->count};
	double calm, sum = 0;

	o.many.among = SETS;
	d.steps = malloc(d.room * sizeof(*d.steps));
	d.own = malloc(d.room * sizeof(*d.own));
	if (!d.steps || !d.own)
		exit(1);
	observed(&o, idle, NULL);
	calm = o.mean;
	observed(&o, destroy, &d);
	for (size_t i = 0; i < d.count; i++)
		sum += d.steps[i];
	median_sort(d.steps, d.count);
	median_sort(d.own, d.count);
	printf("\ndestroying a guest with %zu mappings, in %zu steps of 128, while another thread looks up others' mappings\n",
	       many->count / GUESTS, d.count);
	printf("  %-66s             %10.0f ns\n", "a mapping", sum / (double)(many->count / GUESTS));
	printf("  %-66s             %10.3f ms       99 %%: %.3f\n", "median of a step",
	       d.steps[d.count / 2] / 1e6, d.steps[d.count - 1 - d.count / 100] / 1e6);
	goal_most("longest step", d.steps[d.count - 1] / 1e6, 1, "ms");
	goal_most("longest step, without the time that others had the processor", d.own[d.count - 1] / 1e6, 1,
	          "ms");
	goal_most("others' lookups meanwhile, mean, times that before", o.mean / calm, 2, "x");
	free(d.steps);
	free(d.own);
}

void bench_many(int rounds, bool large)
{
	size_t count = large ? 1600000 : 160000;
	struct bench_space small = bench_space_make(true, 0), big = bench_space_make(true, 0);
	struct ist_mapping_stats before, stats;
	struct many few, many;

	few = many_make(&small, SETS);
	ist_mapping_stats(big.manager, &before);
	many = many_make(&big, count);
	ist_mapping_drain(big.manager);
	ist_mapping_stats(big.manager, &stats);
	printf("\nbookkeeping of %llu mappings of one page each, each a stretch of its own\n",
	       (unsigned long long)stats.mappings);
	goal_most("bytes a mapping, all included",
	          (double)(stats.bookkeeping - before.bookkeeping) / (double)count, 192, "bytes");
	lookups(rounds, &few, &many);
	destruction(&many);
	for (uint32_t guest = 1; guest <= GUESTS; guest++) {
		must(ist_owner_destroy(small.manager, guest), "destroy");
		must(ist_owner_destroy(big.manager, guest), "destroy");
	}
	bench_space_drop(&small);
	bench_space_drop(&big);
}
