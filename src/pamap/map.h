/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The map itself: roots, owners, and what the writer keeps. */
#ifndef PAMAP_MAP_H
#define PAMAP_MAP_H

#include <pthread.h>

#include "pamap/hints.h"
#include "pamap/node.h"
#include "pamap/store.h"

#define OWNERS 65536u
#define OWNER_HIDDEN (1u << 31)

/* A region that has, or once had, mappings. Never goes before the map does. */
struct region {
	uint64_t number;
	struct root root;
};

/* All regions but the first one, ascending. Immutable; a new region makes a new array. */
struct regions {
	struct rcu_item item; /* to free it when a new one has replaced it [pamap.P2] */
	size_t count;
	struct region *region[];
};

/*
 * Readers load: first.root (hints.h), then first.number (written once, before the first root is published [pamap.P1]); or the
 * regions [pamap.P1]. And the owners:
 *   [pamap.H1] hide stores hidden and the owner's flag before it returns; a lookup that begins later loads both. They are
 *        cleared after a grace period that began when none of the owner's words was left, so no reader holds a word of
 *        his that it has yet to compare with the flag.
 */
struct pamap {
	struct region first; /* the first region that was written: found by one comparison */
	_Atomic uint64_t first_number;
	_Atomic(struct regions *) regions; /* null: none */
	_Atomic uint32_t hidden; /* number of hidden owners */
	_Atomic(_Atomic uint32_t *)
	        owners; /* of each owner: OWNER_HIDDEN and the number of mappings; null: none */

	char apart[CACHE_LINE]; /* readers' lines end before, the writer's begin behind it */
	pthread_mutex_t writer;
	struct store store;
	uint64_t mappings;
	bool has_first;
	struct pamap *next, **link; /* the list of all maps, for fork */
};

static inline bool any_hidden(struct pamap *map)
{
	return atomic_load_explicit(&map->hidden, memory_order_acquire) != 0; /* [pamap.H1] */
}

static inline bool owner_is_hidden(struct pamap *map, uint16_t owner)
{
	_Atomic uint32_t *owners;

	if (!any_hidden(map))
		return false;
	owners = atomic_load_explicit(&map->owners, memory_order_acquire);
	return (atomic_load_explicit(&owners[owner], memory_order_relaxed) & OWNER_HIDDEN) != 0;
}

/* The number of the first region from `number` on that has a root; UINT64_MAX: none. */
uint64_t map_next_region(struct pamap *map, uint64_t number);

/* The writer's: the root for a region, made if need be. Null: no memory. */
struct root *map_make_root(struct pamap *map, uint64_t region);

/* Count a mapping of the owner in (1) or out (-1). */
void map_count(struct pamap *map, uint16_t owner, int change);

/* The root of the tree for a region, or null. For readers, inside a section, and for the writer. */
static inline struct root *map_root(struct pamap *map, uint64_t region)
{
	struct regions *regions;
	size_t low = 0, high;

	if (atomic_load_explicit(&map->first_number, memory_order_relaxed) == region)
		return &map->first.root;
	regions = atomic_load_explicit(&map->regions, memory_order_acquire); /* [pamap.P1] */
	high = regions ? regions->count : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (regions->region[middle]->number < region)
			low = middle + 1;
		else
			high = middle;
	}
	if (!regions || low == regions->count || regions->region[low]->number != region)
		return NULL;
	return &regions->region[low]->root;
}

#endif
