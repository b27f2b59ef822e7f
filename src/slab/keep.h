/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * How much a CPU may keep. Half of the pool may lie in magazines, because it is brought back before anybody is refused [slab.S2]; what it
 * would hurt is packing, and who has to bring it back. So
 *   - while half of the pool is in use there are no magazines (keep_is_crowded);
 *   - what a CPU keeps of other sizes goes back when memory is short (keep_is_in_the_way);
 *     neither of them in the client pool, which keeps little and is churned for long at whatever it is filled to;
 *   - after a drain, which says that they had too much, magazines may have less for a while.
 * All of it is estimates, by counts that are relaxed: nothing depends on them but time and place. A slow path does a constant part
 * of it, however many classes and CPUs there are.
 */
#ifndef SLAB_KEEP_H
#define SLAB_KEEP_H

#include "slab/slab.h"

#define FIRST_CAPACITY 4u

static inline bool keep_has_less_than(const struct slabs *slabs, size_t share)
{
	size_t granules = slabs->buddy.granules;

	return atomic_load_explicit(&slabs->out, memory_order_relaxed) > granules - granules / share;
}

/* Around what is carried in batches: reclaim.c [slab.V1]. */
void keep_begin_batch(struct slabs *slabs);
void keep_end_batch(struct slabs *slabs);

/* A slow path has put so many granules into magazines of the block, or (negative) taken them out. */
void keep_expect(struct slabs *slabs, uint32_t block, int64_t change);

/* Let the magazine of a class grow, or what is kept become less. Returns its capacity. */
uint32_t keep_adapt(struct slabs *slabs, uint32_t block, unsigned class);

/* Half of a full magazine back to the buddy. */
void keep_flush(struct slabs *slabs, unsigned class, uint32_t block);

/* No magazines now: those of this block have been emptied. */
bool keep_is_crowded(struct slabs *slabs, uint32_t block);

/* What the block keeps of other classes should go, and how it goes. */
bool keep_is_in_the_way(const struct slabs *slabs, uint32_t block);
void keep_let_others_go(struct slabs *slabs, uint32_t block, unsigned class);

/* The least number of objects that fill whole lines of state; 0 if a batch would not hold them. */
size_t keep_whole_lines(const struct slabs *slabs, size_t count);

#endif
