/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which region has room: a tree over all of them with an upper bound on each one's longest free run, and the larger of two
 * above each pair. The first that may do is found in log n steps; one that was tried in vain has its bound lowered, so it is
 * not tried again before something is freed there.
 *
 * Frees take no lock.
 *   [provider.E1] Who has freed something in a region leaves word: it marks the region and puts it on a list, from which
 *        the next request, under the provider's lock, takes all of them and raises their bounds. The mark is exchanged by
 *        both: either the one who frees finds it unset, and lists the region, or whoever cleared it did so afterwards
 *        and sees what was freed.
 *   [provider.E2] A thread that stops between mark and list would hide its region from the tree. So it counts itself in
 *        before and out behind, and while there is one between, who finds no room looks at all regions.
 *
 * ABA: the list is only ever taken as a whole.
 */
#ifndef PROVIDER_ROOM_H
#define PROVIDER_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct grown_region;

/* What a region has of it. */
struct room_place {
	uint32_t leaf;
	_Atomic uint32_t marked;
	struct grown_region *next_marked;
};

struct room {
	uint64_t *bound; /* [1] is the root; those of the regions are [leaves] and following */
	struct grown_region **region; /* by leaf; null: unused */
	uint32_t *unused; /* a stack of leaves */
	uint32_t leaves, unused_count;
	_Atomic(struct grown_region *) marked;
	_Atomic uint64_t between; /* [provider.E2] */
};

void room_drop(struct room *room);

/* All of these under the provider's lock. Add: -ENOMEM, and nothing has changed. */
int room_add(struct room *room, struct grown_region *region);
void room_remove(struct room *room, struct grown_region *region);
/* So many pages in one run it does not have. */
void room_lower(struct room *room, struct grown_region *region, uint64_t bound);
/* Hear what was freed. */
void room_hear(struct room *room);
/* Raise the bounds of all. */
void room_look(struct room *room);
/* The first region from a leaf on that may have a run of so many pages. */
struct grown_region *room_find(const struct room *room, uint32_t leaf, uint64_t pages);

/* Somebody may be about to leave word: what room_find does not know may be there. */
static inline bool room_is_behind(const struct room *room)
{
	return atomic_load_explicit(&room->between, memory_order_acquire) != 0;
}

/* Something was freed in the region. Without the lock; lock-free. */
void room_tell(struct room *room, struct grown_region *region);

#endif
