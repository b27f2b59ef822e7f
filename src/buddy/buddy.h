/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Runs of granules, lock-free: any count from 1 to the whole, at any alignment, merged the moment they are freed.
 *
 * A granule is whatever the owner says (8 bytes in a driver pool, 4 KiB in a client pool). State is one bit a granule
 * in chunks of 512, one cache line each (bitmap.h), and a tree of bounds on the longest free run that starts in each
 * chunk (bound.h), and estimates of which chunk fits best (fit.h). There are no lists, so merging, splitting and
 * giving back a part cost nothing, and nothing is ever held in reserve. It is what a buddy allocator is for, without
 * its powers of two.
 *
 * Guarantees
 *  [buddy.G1] No granule has two owners: it is claimed by a compare-exchange that finds its bit 0 (linearization point
 *       of an allocation: the one that takes its last word).
 *  [buddy.G2] No run is lost: whoever clears bits, rollbacks included, raises the bounds afterwards.
 *  [buddy.G3] No false exhaustion: -ENOSPC means that at one instant of the call no sufficient run existed. For up to
 *       BUDDY_CHUNK granules without alignment the instant is the load of the root bound [buddy.I1]; for others see
 *       the change sequence in buddy.c. Granules that a running call has claimed count as in use, also when that call goes
 *       on to meet a conflict and give them back.
 *  [buddy.G4] Lock-free: a retry means that another claim, release or lowering succeeded. A thread that stops anywhere
 *       keeps at most the granules of its own call.
 *
 * What others see of a thread that stops for good
 *   while it claims: the granules claimed so far are in use, the others are not; nobody waits for the rest;
 *   between clearing bits and raising bounds: its release is not complete; others may or may not find the run yet
 *     (an estimate or somebody else's release nearby can lead them there), and what they find is theirs;
 *   while it lowers a bound: a tentative word, which sends every search to look below it (bound.h);
 *   while the change sequence is armed: nothing; the next release disarms it.
 *
 * ABA: a claim's compare-exchange only asks whether bits are clear now, so it does not matter what they were in
 * between; bounds and the change sequence carry versions. Pointers there are none.
 *
 * ARM64: the orders are C11's and stated at each operation. A claim is an acquire (LDADDA/CASA or LDAXR), a release
 * of bits and everything of [buddy.D1] and [buddy.W1] is seq_cst (CASAL, LDAR, STLXR), which on ARM64 keeps a releaser's load of
 * a bound behind its clearing of bits; release and acquire alone would not.
 * No call blocks or takes a lock; all are usable in a signal handler, also one that interrupted any of them.
 */
#ifndef BUDDY_BUDDY_H
#define BUDDY_BUDDY_H

#include <errno.h>

#include "buddy/bitmap.h"
#include "buddy/bound.h"
#include "buddy/chunk.h"
#include "buddy/fit.h"

struct buddy {
	bitmap_word *map;
	size_t granules; /* the real ones; the map is padded with granules in use to a whole chunk */
	struct bound_tree bounds; /* finds a chunk, or proves that there is none */
	struct fit_map fits; /* knows a good one, most of the time */
	_Atomic uint64_t changes;
};

/* Bytes of zeroed memory, aligned to CACHE_LINE, that `granules` >= 1 need: 1/8 byte each and about 1/3 of that. */
size_t buddy_bytes(size_t granules);

/* All granules free. Writes O(1) of the memory. Before anybody else knows the buddy. */
void buddy_init(struct buddy *buddy, void *zeroed_memory, size_t granules);

/*
 * Which first granules a request accepts: those of which start + phase is a multiple of align, a power of two.
 * {1, 0} is every one. The phase makes up for a window whose own start is not aligned.
 */
struct buddy_alignment {
	size_t align, phase;
};

#define BUDDY_ANYWHERE ((struct buddy_alignment){1, 0})

/*
 * Claim `count` granules. Up to a chunk anywhere: in the chunk whose longest run is the smallest that suffices (by
 * estimate, fit.h), the smallest sufficient run, the lowest of equals. Others: the lowest run that suffices. Returns
 * 0 and the first granule in *start; -EINVAL count or align is 0 or align no power of two; -ENOSPC see [buddy.G3].
 */
int buddy_alloc(struct buddy *buddy, size_t count, struct buddy_alignment alignment, size_t *start);

/* The same for any alignment; among chunks that fit alike, the first from `near` on (fit.h). */
int buddy_alloc_near(struct buddy *buddy, size_t count, uint32_t near, size_t *start);

/* Claim exactly [start, start + count). -EINVAL: empty or outside; -EBUSY: some of it is in use. */
int buddy_alloc_at(struct buddy *buddy, size_t start, size_t count);

/* Release [start, start + count): all or any part of what the caller owns. Linearizes when the root bound is raised. */
void buddy_free(struct buddy *buddy, size_t start, size_t count);

/* The next free run at or above `from`: false if there is none. For statistics: others may be at work. */
bool buddy_next_free_run(struct buddy *buddy, size_t from, size_t *start, size_t *count);

/* The longest free run, in granules, read from end to end. */
size_t buddy_largest(struct buddy *buddy);

/* The textbook's view: blocks of 2^order granules at multiples of 2^order. Errors as of buddy_alloc. */
static inline int buddy_alloc_order(struct buddy *buddy, unsigned order, size_t *start)
{
	if (order >= 8 * sizeof(size_t))
		return -EINVAL;
	return buddy_alloc(buddy, (size_t)1 << order, (struct buddy_alignment){(size_t)1 << order, 0}, start);
}

static inline void buddy_free_order(struct buddy *buddy, size_t start, unsigned order)
{
	buddy_free(buddy, start, (size_t)1 << order);
}

#endif
