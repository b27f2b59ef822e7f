/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "provider/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "provider/provider.h"

#define LEAVES_FIRST 64u

/* Faults that the model must find. */
#define MUTANT_UNCOUNTED 330 /* who is between mark and list is not counted */
#define MUTANT_MARK_RELAXED 331 /* the marks order nothing */

void room_drop(struct room *room)
{
	free(room->bound);
	free(room->region);
	free(room->unused);
}

static uint64_t larger(const struct room *room, uint32_t node)
{
	uint64_t left = room->bound[2 * node], right = room->bound[2 * node + 1];

	return left > right ? left : right;
}

static void set_bound(struct room *room, uint32_t leaf, uint64_t bound)
{
	uint32_t node = room->leaves + leaf;

	room->bound[node] = bound;
	for (node /= 2; node > 0 && room->bound[node] != larger(room, node); node /= 2)
		room->bound[node] = larger(room, node);
}

/* Twice as many leaves. */
static int add_leaves(struct room *room)
{
	uint32_t leaves = room->leaves ? room->leaves * 2 : LEAVES_FIRST;
	uint64_t *bound = calloc(2 * (size_t)leaves, sizeof(*bound));
	struct grown_region **region = calloc(leaves, sizeof(struct grown_region *));
	uint32_t *unused = calloc(leaves, sizeof(*unused));

	if (!bound || !region || !unused) {
		free(bound);
		free(region);
		free(unused);
		return -ENOMEM;
	}
	if (room->leaves) {
		memcpy(bound + leaves, room->bound + room->leaves, room->leaves * sizeof(*bound));
		memcpy(region, room->region, room->leaves * sizeof(struct grown_region *));
	}
	for (uint32_t leaf = leaves; leaf-- > room->leaves;) /* all others are in use: there were none left */
		unused[room->unused_count++] = leaf;
	room_drop(room);
	room->bound = bound;
	room->region = region;
	room->unused = unused;
	room->leaves = leaves;
	for (uint32_t node = leaves - 1; node > 0; node--)
		bound[node] = larger(room, node);
	return 0;
}

int room_add(struct room *room, struct grown_region *region)
{
	int error = room->unused_count ? 0 : add_leaves(room);

	if (error)
		return error;
	region->place.leaf = room->unused[--room->unused_count];
	room->region[region->place.leaf] = region;
	set_bound(room, region->place.leaf, region_free_pages(region));
	return 0;
}

void room_remove(struct room *room, struct grown_region *region)
{
	uint32_t leaf = region->place.leaf;

	set_bound(room, leaf, 0);
	room->region[leaf] = NULL;
	room->unused[room->unused_count++] = leaf;
}

void room_lower(struct room *room, struct grown_region *region, uint64_t bound)
{
	if (room->bound[room->leaves + region->place.leaf] > bound)
		set_bound(room, region->place.leaf, bound);
}

static bool is_listed(const struct room *room, const struct grown_region *region)
{
	return region->place.leaf < room->leaves && room->region[region->place.leaf] == region;
}

void room_hear(struct room *room)
{
	struct grown_region *region;

	if (!atomic_load_explicit(&room->marked, memory_order_relaxed))
		return;
	region = atomic_exchange_explicit(&room->marked, NULL, memory_order_acquire); /* room_tell */
	while (region) {
		struct grown_region *next = region->place.next_marked;

		/* Acquire: of who has marked it by now, all that was freed is seen; release: our reading of `next` comes before. */
		atomic_exchange_explicit(&region->place.marked, 0,
		                         IS_MUTANT(MUTANT_MARK_RELAXED)
		                                 ? memory_order_relaxed
		                                 : memory_order_acq_rel); /* [provider.E1] */
		if (is_listed(room, region)) /* it may have been closed since, and all of it claimed */
			set_bound(room, region->place.leaf, region_free_pages(region));
		region = next;
	}
}

void room_look(struct room *room)
{
	for (uint32_t leaf = 0; leaf < room->leaves; leaf++)
		if (room->region[leaf])
			set_bound(room, leaf, region_free_pages(room->region[leaf]));
}

struct grown_region *room_find(const struct room *room, uint32_t leaf, uint64_t pages)
{
	uint32_t node = room->leaves + leaf;

	if (leaf >= room->leaves)
		return NULL;
	/* Up, as long as nothing from the leaf on is large enough, and then down to the first that is. */
	while (room->bound[node] < pages) {
		while (node & 1)
			node /= 2;
		if (node == 0)
			return NULL;
		node++;
	}
	while (node < room->leaves)
		node = room->bound[2 * node] >= pages ? 2 * node : 2 * node + 1;
	return room->region[node - room->leaves];
}

void room_tell(struct room *room, struct grown_region *region)
{
	struct grown_region *top;

	/* Release, of both: who does not count us any more finds the region on the list. */
	if (!IS_MUTANT(MUTANT_UNCOUNTED)) /* [provider.E2]; relaxed: ordered by the exchange */
		atomic_fetch_add_explicit(&room->between, 1, memory_order_relaxed);
	if (atomic_exchange_explicit(&region->place.marked, 1, memory_order_acq_rel) ==
	    0) { /* [provider.E1] */
		top = atomic_load_explicit(&room->marked, memory_order_relaxed);
		do
			region->place.next_marked = top;
		while (!atomic_compare_exchange_weak_explicit(&room->marked, &top, region,
		                                              memory_order_release, /* room_hear */
		                                              memory_order_relaxed));
	}
	if (!IS_MUTANT(MUTANT_UNCOUNTED))
		atomic_fetch_sub_explicit(&room->between, 1, memory_order_release);
}
