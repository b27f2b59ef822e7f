/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "lib/random.h"

enum { MILLION = 1000000 };

struct set sets[SETS] = {
        [SET_SMALL] = {.name = "100", .layout = RANDOM, .count = 100},
        [SET_RANDOM] = {.name = "1M_random", .layout = RANDOM, .count = MILLION},
        [SET_CONTIGUOUS] = {.name = "1M_contiguous", .layout = CONTIGUOUS, .count = MILLION},
        [SET_MIXED] = {.name = "1M_of_1_to_128_pages", .layout = MIXED, .count = MILLION},
        [SET_LARGE] = {.name = "10M_random", .layout = RANDOM, .count = 10 * MILLION},
};
static uint64_t seed = 1;

void bench_use(uint64_t value)
{
	static _Atomic uint64_t sink;

	atomic_store_explicit(&sink, value, memory_order_relaxed);
}

static size_t *shuffled(size_t count)
{
	size_t *order = must_allocate(count, sizeof(*order));

	random_order(&seed, order, count);
	return order;
}

/* One mapping in each of `count` equal parts of 4 TiB, at a random place there. */
static struct pamap_entry place(enum layout layout, size_t index, size_t count)
{
	uint64_t part = (UINT64_C(1) << 30) / count;
	uint64_t pages = layout == MIXED ? UINT64_C(1) << random_below(&seed, 8) : 1;
	struct pamap_entry e = {.pages = pages, .handle = (uint32_t)index & 0xffffff, .attributes = 1};

	e.owner = (uint16_t)(index / 60000); /* an owner has neighbours */
	e.page =
	        layout == CONTIGUOUS ? (1 << 18) + index : index * part + random_next(&seed) % (part - pages);
	return e;
}

static void make_chase(struct set *set)
{
	size_t *order = shuffled(set->count);

	set->chase = must_allocate(set->count, sizeof(*set->chase));
	for (size_t i = 0; i < set->count; i++)
		set->chase[order[i]].next = order[(i + 1) % set->count];
	free(order);
}

static void make_entries(struct set *set)
{
	size_t *order = shuffled(set->count), *cycle = shuffled(set->count);

	set->entry = must_allocate(set->count, sizeof(*set->entry));
	for (size_t i = 0; i < set->count; i++)
		set->entry[set->layout == CONTIGUOUS ? i : order[i]] = place(set->layout, i, set->count);
	for (size_t i = 0; i < set->count; i++)
		set->entry[cycle[i]].to = set->entry[cycle[(i + 1) % set->count]].page;
	free(order);
	free(cycle);
}

void pamap_settle(struct pamap *map)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct pamap_stats stats;

	for (pamap_get_stats(map, &stats); stats.backlog_bytes > 0; pamap_get_stats(map, &stats))
		nanosleep(&pause, NULL);
}

struct set *set_get(int which)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct set *set = &sets[which];
	struct pamap_stats stats;

	pthread_mutex_lock(&mutex);
	if (!set->map) {
		make_entries(set);
		make_chase(set);
		must(pamap_create(&set->map));
		for (size_t i = 0; i < set->count; i++)
			must(pamap_insert(set->map, &set->entry[i], 0));
		pamap_settle(set->map);
		pamap_get_stats(set->map, &stats);
		set->bytes = (double)stats.bytes / (double)stats.mappings;
	}
	pthread_mutex_unlock(&mutex);
	return set;
}

uint64_t set_chase(const struct set *set, uint64_t at, size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		at = set->chase[at].next;
	return at;
}

uint64_t set_follow(const struct set *set, uint64_t at, size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		must(!pamap_translate(set->map, at, 1, &at));
	return at;
}
