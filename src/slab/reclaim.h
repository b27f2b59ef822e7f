/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Between the files of this folder. */
#ifndef SLAB_RECLAIM_H
#define SLAB_RECLAIM_H

#include "slab/slab.h"

/* The notes in a block's head. All but the last three only grow. */
enum slab_note {
	NOTE_ALLOCS, /* served by the buddy */
	NOTE_FREES, /* given to the buddy at once */
	NOTE_ASKED, /* bytes, of those allocations */
	NOTE_GRANTED, /* granules, of the same */
	NOTE_STOCKED, /* objects put into a magazine by a refill */
	NOTE_FLUSHED, /* taken out by a flush or a drain */
	NOTE_CACHED, /* granules in the block's magazines when last looked at */
	NOTE_SKIPPED, /* how often adapt() did not look since then */
	NOTE_OUT, /* what slabs->out has not been told yet; two's complement */
	NOTES
};
_Static_assert(NOTES <= PERCPU_NOTES, "a note has no place");

#define SLAB_HAND_VERSION (UINT64_C(1) << 16)

/*
 * `alloc` has found nothing: bring back what magazines hold and try again, until it succeeds or the pool is exhausted
 * by [S2]. Returns what `alloc` returned last.
 */
int reclaim(struct slabs *slabs, slabs_ask *alloc, const void *context, size_t *start);

/* Add to a note of a block. Relaxed: these are counts, and what they count is ordered elsewhere. */
void note(struct slabs *slabs, uint32_t block, enum slab_note what, uint64_t amount);

void give_to_buddy(struct slabs *slabs, uint32_t block, size_t start, size_t count);

/* What all magazines of a block hold, in granules; tells the others (slabs->cached), for the peak. */
size_t survey(struct slabs *slabs, uint32_t block);

#endif
