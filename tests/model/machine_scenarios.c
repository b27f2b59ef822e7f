/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A pretended machine of 8 CPUs, 4 caches and 2 nodes: as many threads, which put in, take out, are moved at any moment, and
 * drain as far as the cache, the node, or everything reaches. No value is lost or taken twice [percpu.P1], and a drain of
 * everything leaves nothing [percpu.P3]. Each run is another one at random (explore --preemptions -1).
 */
#include <stdint.h>
#include <string.h>

#include "model.h"
#include "percpu/percpu.h"

enum { CLASSES = 2, VALUES = 24, OPERATIONS = 40, SLOTS = 4 };
enum place { STORE, THREAD, MAGAZINE };

static struct percpu percpu;
static const uint16_t slots[CLASSES] = {SLOTS, SLOTS};
static unsigned char place[CLASSES][VALUES];
static uint32_t held[MODEL_THREADS][CLASSES][VALUES];
static unsigned count[MODEL_THREADS][CLASSES];
static uint64_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % limit;
}

static void maybe_move(void)
{
	if (explore_thread() >= 0 && random_below(3) == 0)
		explore_move((int)random_below(MODEL_CPUS));
}

static void goes(unsigned class, uint32_t value, enum place from, enum place to)
{
	MODEL_ASSERT(place[class][value] == from);
	place[class][value] = (unsigned char)to;
}

static void hold(int thread, unsigned class, uint32_t value)
{
	held[thread][class][count[thread][class]++] = value;
}

static void sink(void *context, unsigned class, uint32_t value)
{
	(void)context;
	goes(class, value, MAGAZINE, STORE);
}

static void take(int thread, unsigned class)
{
	uint32_t value;

	if (percpu_pop(&percpu, PERCPU_AT(class), &value) ||
	    percpu_take(&percpu, class, &value, 1, random_below(2) == 0)) {
		goes(class, value, MAGAZINE, THREAD);
		hold(thread, class, value);
	}
}

/* What is put in is in the magazine, for others to take, before we know that it is. */
static void give(int thread, unsigned class)
{
	uint32_t value = held[thread][class][--count[thread][class]];

	goes(class, value, THREAD, MAGAZINE);
	if (percpu_push(&percpu, PERCPU_AT(class), value) ||
	    percpu_put(&percpu, class, &value, 1, random_below(4) != 0))
		return;
	goes(class, value, MAGAZINE, THREAD);
	hold(thread, class, value);
}

static void fetch(int thread, unsigned class)
{
	for (uint32_t value = 0; value < VALUES; value++) {
		if (place[class][value] == STORE) {
			goes(class, value, STORE, THREAD);
			hold(thread, class, value);
			return;
		}
	}
}

static void must_be_empty(void *context)
{
	(void)context;
	for (uint32_t block = 0; block < percpu.blocks; block++) {
		for (unsigned class = 0; class < CLASSES; class ++) {
			const struct magazine *magazine = percpu_magazine(&percpu, block, class);

			MODEL_ASSERT(magazine_level(magazine, magazine->word) == 0);
		}
	}
}

static void drain(enum percpu_reach reach)
{
	percpu_drain(&percpu, reach, sink, reach == PERCPU_ALL ? must_be_empty : NULL, NULL);
}

static void work(void)
{
	int thread = explore_thread();

	for (int i = 0; i < OPERATIONS; i++) {
		unsigned class = random_below(CLASSES);
		uint32_t what = random_below(20);

		maybe_move();
		if (what < 3)
			drain((enum percpu_reach)what);
		else if (what < 10)
			take(thread, class);
		else if (count[thread][class] == 0)
			fetch(thread, class);
		else
			give(thread, class);
	}
}

static void set_up(void)
{
	model_asked_number = NULL;
	if (percpu.table != NULL)
		percpu_destroy(&percpu);
	memset(&percpu, 0, sizeof(percpu));
	memset(count, 0, sizeof(count));
	memset(place, STORE, sizeof(place));
	MODEL_ASSERT(percpu_create(&percpu, CLASSES, slots) == 0);
	for (uint32_t block = 0; block < percpu.blocks; block++) {
		for (unsigned class = 0; class < CLASSES; class ++)
			percpu_set_capacity(&percpu, block, class, SLOTS);
	}
	for (int thread = 0; thread < MODEL_THREADS; thread++)
		explore_cpu[thread] = thread % MODEL_CPUS;
	model_asked_number = maybe_move;
}

static void check(void)
{
	unsigned inside = 0;

	drain(PERCPU_ALL);
	for (unsigned class = 0; class < CLASSES; class ++) {
		for (uint32_t value = 0; value < VALUES; value++)
			inside += place[class][value] == MAGAZINE;
	}
	MODEL_ASSERT(inside == 0);
}

const struct model_scenario model_scenarios[] = {
        {"8 CPUs, 4 caches, 2 nodes", set_up, {work, work, work, work, work, work, work, work}, check},
        {NULL, NULL, {NULL}, NULL},
};
