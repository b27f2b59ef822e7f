/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "table/index.h"

#include <errno.h>
#include <stddef.h>

#include "base/bits.h"
#include "base/mutant.h"
#include "platform/platform.h"

#define TOMB UINT64_C(0xffffffff)

static uint64_t place_make(uint32_t hash, uint32_t number)
{
	return (uint64_t)hash << 32 | number;
}

void index_init(struct index *index)
{
	*index = (struct index){.secret = {platform_random(), platform_random()}};
}

static void free_table(struct rcu_item *item)
{
	struct index_table *table =
	        (struct index_table *)(void *)((char *)item - offsetof(struct index_table, item));

	platform_unmap(table, table->bytes);
}

void index_drop(struct index *index)
{
	struct index_table *table = atomic_load_explicit(&index->table, memory_order_relaxed);

	if (!table)
		return;
	if (atomic_load_explicit(&table->older, memory_order_relaxed))
		free_table(&atomic_load_explicit(&table->older, memory_order_relaxed)->item);
	free_table(&table->item);
}

uint32_t index_hash(const struct index *index, uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ index->secret[0]) * UINT64_C(0x9e3779b97f4a7c15);

	x ^= x >> 32;
	x = (x + (b ^ index->secret[1])) * UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 29;
	x *= UINT64_C(0xa0761d6478bd642f);
	return (uint32_t)(x >> 32);
}

static struct index_table *make_table(uint32_t places)
{
	uint64_t bytes = sizeof(struct index_table) + (uint64_t)places * sizeof(uint64_t);
	struct index_table *table = platform_map(bytes);

	if (!table)
		return NULL;
	table->mask = places - 1;
	table->bytes = bytes;
	return table;
}

/* In the first place of its search that holds nothing. There is one: a table is never full. */
static void put(struct index_table *table, uint32_t hash, uint32_t number)
{
	uint32_t at = hash & table->mask;
	uint64_t place;

	while ((place = atomic_load_explicit(&table->place[at], memory_order_relaxed)) != 0 && place != TOMB)
		at = (at + 1) & table->mask;
	table->used += place == 0;
	/* Release: the record that the number names was written before; pairs with the acquire in search. */
	atomic_store_explicit(&table->place[at], place_make(hash, number), memory_order_release);
}

static bool take(struct index_table *table, uint32_t hash, uint32_t number)
{
	uint64_t wanted = place_make(hash, number), place;
	uint32_t at = hash & table->mask;

	while ((place = atomic_load_explicit(&table->place[at], memory_order_relaxed)) != wanted) {
		if (place == 0)
			return false;
		at = (at + 1) & table->mask;
	}
	/* Relaxed: a reader that still sees the number asks the record itself. */
	if (atomic_load_explicit(&table->place[(at + 1) & table->mask], memory_order_relaxed) != 0 &&
	    !IS_MUTANT(202)) {
		atomic_store_explicit(&table->place[at], TOMB, memory_order_relaxed);
		return true;
	}
	do {
		atomic_store_explicit(&table->place[at], 0, memory_order_relaxed);
		table->used--;
		at = (at - 1) & table->mask;
	} while (atomic_load_explicit(&table->place[at], memory_order_relaxed) == TOMB);
	return true;
}

/* Copy up to `count` places of the older table; let it go when all are. */
static void move_some(struct index *index, struct index_table *table, uint64_t count)
{
	struct index_table *older = atomic_load_explicit(&table->older, memory_order_relaxed);

	if (!older)
		return;
	for (; count > 0 && index->moved <= older->mask; count--, index->moved++) {
		uint64_t place = atomic_load_explicit(&older->place[index->moved], memory_order_relaxed);

		if (place != 0 && place != TOMB) {
			put(table, (uint32_t)(place >> 32), (uint32_t)place);
			if (IS_MUTANT(201)) /* moves it instead of copying it */
				atomic_store_explicit(&older->place[index->moved], TOMB,
				                      memory_order_relaxed);
		}
	}
	if (index->moved <= older->mask)
		return;
	atomic_store_explicit(&table->older, NULL, memory_order_release); /* [table.N3] */
	atomic_fetch_sub_explicit(&index->bytes, older->bytes, memory_order_relaxed);
	older->item.release = free_table;
	rcu_defer(&older->item);
}

/* Places for so many numbers: they fill at most three eighths. */
static uint32_t places_for(uint64_t live)
{
	uint64_t places = INDEX_PLACES_MIN;

	while (places / 8 * 3 < live && places < UINT64_C(1) << 31)
		places *= 2;
	return (uint32_t)places;
}

/* A new table of the right size. False: no memory. */
static bool renew(struct index *index, struct index_table *old, uint32_t places)
{
	struct index_table *made = make_table(places);

	if (!made)
		return false;
	if (old)
		move_some(index, old,
		          UINT64_MAX); /* at most two tables at a time; as a rule this was done long ago */
	atomic_store_explicit(&made->older, old, memory_order_relaxed);
	atomic_fetch_add_explicit(&index->bytes, made->bytes, memory_order_relaxed);
	index->moved = 0;
	atomic_store_explicit(&index->table, made, memory_order_release); /* [table.N3] */
	return true;
}

int index_insert(struct index *index, uint32_t hash, uint32_t number)
{
	struct index_table *table = atomic_load_explicit(&index->table, memory_order_relaxed);

	if (!table || table->used >= table->mask / 4 * 3) {
		/* The last eighth is for when there is no memory. */
		if (!renew(index, table, places_for((uint64_t)index->live + 1)) &&
		    (!table || table->used >= table->mask / 8 * 7))
			return -ENOMEM;
		table = atomic_load_explicit(&index->table, memory_order_relaxed);
	}
	move_some(index, table, INDEX_STEP);
	put(table, hash, number);
	index->live++;
	return 0;
}

void index_remove(struct index *index, uint32_t hash, uint32_t number)
{
	struct index_table *table = atomic_load_explicit(&index->table, memory_order_relaxed);
	struct index_table *older = atomic_load_explicit(&table->older, memory_order_relaxed);

	take(table, hash, number);
	if (older)
		take(older, hash, number);
	index->live--;
	move_some(index, table, INDEX_STEP);
	if (!atomic_load_explicit(&table->older, memory_order_relaxed) && table->mask >= INDEX_PLACES_MIN &&
	    index->live < table->mask / 16)
		renew(index, table, places_for(index->live));
}

static uint32_t search(struct index_table *table, uint32_t hash, index_match *matches, void *context)
{
	uint32_t at = hash & table->mask;
	uint64_t place;

	/* Acquire: see put. */
	while ((place = atomic_load_explicit(&table->place[at], memory_order_acquire)) != 0) {
		if (place >> 32 == hash && place != TOMB && matches(context, (uint32_t)place))
			return (uint32_t)place;
		at = (at + 1) & table->mask;
	}
	return 0;
}

uint32_t index_find(struct index *index, uint32_t hash, index_match *matches, void *context)
{
	struct index_table *table =
	        atomic_load_explicit(&index->table, memory_order_acquire); /* [table.N3] */
	struct index_table *older;
	uint32_t number;

	if (!table)
		return 0;
	older = IS_MUTANT(203) ? NULL
	                       : atomic_load_explicit(&table->older, memory_order_acquire); /* [table.N3] */
	number = search(table, hash, matches, context);
	if (IS_MUTANT(203)) /* asks too late whether there is an older table */
		older = atomic_load_explicit(&table->older, memory_order_acquire);
	return number || !older ? number : search(older, hash, matches, context);
}
