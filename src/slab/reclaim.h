/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Between the files of this folder. */
#ifndef SLAB_RECLAIM_H
#define SLAB_RECLAIM_H

#include "slab/slab.h"

/* The notes in a block's head. All up to NOTE_FLUSHED only grow. */
enum slab_note {
	NOTE_ALLOCS, /* served by the buddy */
	NOTE_FREES, /* given to the buddy at once */
	NOTE_ASKED, /* bytes, of those allocations */
	NOTE_GRANTED, /* granules, of the same */
	NOTE_STOCKED, /* objects put into a magazine by a refill */
	NOTE_FLUSHED, /* taken out by a flush or a drain */
	NOTE_CACHED, /* granules in the block's magazines when last looked at, as changed since by slow paths */
	NOTE_LOOK, /* where the look at the block's magazines is: look_on in keep.c */
	NOTE_SEEN, /* granules in those that it has come by */
	NOTE_LARGEST, /* {granules 48, class 16} of the one that holds most, of those */
	NOTE_CLOSED, /* its magazines have no capacity, because the pool is crowded */
	NOTE_OUT, /* what slabs->out has not been told yet; two's complement */
	NOTES
};
_Static_assert(NOTES <= PERCPU_NOTES, "a note has no place");

#define SLAB_TRANSIT_VERSION (UINT64_C(1) << 16)

/*
 * `alloc` has found nothing: bring back what magazines hold and try again, until it succeeds or the pool is exhausted
 * by [slab.S2]. Returns what `alloc` returned last.
 */
int reclaim(struct slabs *slabs, slabs_ask *alloc, const void *context, size_t *start);

/* Add to a note of a block. Relaxed: these are counts, and what they count is ordered elsewhere. */
void note(struct slabs *slabs, uint32_t block, enum slab_note what, uint64_t amount);

void give_to_buddy(struct slabs *slabs, uint32_t block, size_t start, size_t count);

/* Magazines have held what was needed elsewhere: they may have less for a while. */
void cache_less(struct slabs *slabs);

/* Tell the others (slabs->cached) of a block that has just been drained what its magazines hold. */
void survey(struct slabs *slabs, uint32_t block);

#endif
