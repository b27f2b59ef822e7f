/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The hash index: one writer, and readers that must find what is there all the time, over tables of eight places. */
#include "table/index.h"

#include <stdlib.h>

#include "model.h"
#include "platform/platform.h"

static struct index index_under_test;
static struct rcu_item *deferred;
static void *kept[64];
static int kept_count;

void rcu_defer(struct rcu_item *item)
{
	item->next = deferred;
	deferred = item;
}

/* Readers of other runs do not exist, but a table that is in use must stay until the run is over. */
#ifdef GENMC
static uint64_t arena[256];
static size_t arena_used;

void *platform_map(size_t bytes)
{
	void *at = &arena[arena_used];

	arena_used += bytes / sizeof(arena[0]);
	MODEL_ASSERT(arena_used <= sizeof(arena) / sizeof(arena[0]));
	return at;
}

void platform_unmap(void *memory, size_t bytes)
{
	(void)memory, (void)bytes;
}
#else
void *platform_map(size_t bytes)
{
	return calloc(1, bytes);
}

void platform_unmap(void *memory, size_t bytes)
{
	(void)bytes;
	kept[kept_count++] = memory;
}
#endif

uint64_t platform_random(void)
{
	return 1;
}

/* The hash of a number; those below 4 begin their search at the same place. */
static uint32_t hash_of(uint32_t number)
{
	return number < 4 ? 0x10000005u + (number << 16) : number * 0x9e3779b1u;
}

static bool is_number(void *context, uint32_t number)
{
	return number == *(uint32_t *)context;
}

static bool finds(uint32_t number)
{
	return index_find(&index_under_test, hash_of(number), is_number, &number) == number;
}

static void insert(uint32_t number)
{
	MODEL_ASSERT(index_insert(&index_under_test, hash_of(number), number) == 0);
}

static void take_place(uint32_t number)
{
	index_remove(&index_under_test, hash_of(number), number);
}

static void set_up(void)
{
	deferred = NULL;
	kept_count = 0;
	index_init(&index_under_test);
	for (uint32_t number = 1; number <= 3; number++)
		insert(number);
}

static void check(void)
{
	MODEL_ASSERT(finds(1) && finds(3));
	index_drop(&index_under_test);
	while (deferred) {
		struct rcu_item *item = deferred;

		deferred = item->next;
		item->release(item);
	}
	while (kept_count > 0)
		free(kept[--kept_count]);
}

static void read_first(void)
{
	MODEL_ASSERT(finds(1));
	MODEL_ASSERT(finds(1));
}

static void read_last(void)
{
	MODEL_ASSERT(finds(3));
	MODEL_ASSERT(finds(3));
}

/* A new table, and all that moves there. */
static void grow(void)
{
	for (uint32_t number = 10; number < 16; number++)
		insert(number);
	MODEL_ASSERT(finds(10) && finds(15));
}

static void grow_and_shrink(void)
{
	for (uint32_t number = 10; number < 14; number++)
		insert(number);
	for (uint32_t number = 10; number < 14; number++)
		take_place(number);
	MODEL_ASSERT(!finds(10) && !finds(13));
}

/* What lies before the third in its search goes, and comes again. */
static void take_the_second(void)
{
	take_place(2);
	MODEL_ASSERT(!finds(2));
	insert(2);
	MODEL_ASSERT(finds(2));
}

const struct model_scenario model_scenarios[] = {
        {"lookups while a table grows", set_up, {grow, read_first, read_last}, check},
        {"lookups while a table grows and shrinks", set_up, {grow_and_shrink, read_last}, check},
        {"a removal before what is looked up", set_up, {take_the_second, read_last, read_first}, check},
        {NULL, NULL, {NULL}, NULL},
};
