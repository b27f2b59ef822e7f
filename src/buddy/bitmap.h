/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A bitmap of granules in use, shared by all threads: bit g of the map is 1 while granule g is claimed.
 *
 *   [buddy.B1] A claim is an acquire read-modify-write and a release a seq_cst (hence also release) one, so what an
 *        owner did to its memory happens before what the next owner does: every later claim of the bit reads from the
 *        release sequence that the release heads, because only read-modify-writes ever change a word.
 * Releases are seq_cst and so are the loads called *_strict: the bounds above the bitmap need a total order
 * between "I released, now I read the bound" and "I lowered the bound, now I read the bits" (bound.h [buddy.D1]).
 *
 * ABA is harmless here: a claim asks only whether the bits it takes are 0 at the instant of its compare-exchange,
 * and a bit that went 1 and back to 0 in between is as free as one that never changed.
 */
#ifndef BUDDY_BITMAP_H
#define BUDDY_BITMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

typedef _Atomic uint64_t bitmap_word;

/*
 * Claim [start, start + count), lowest word first. Returns the number of granules claimed, counted from start:
 * `count`, or fewer when a granule of the next word was found in use. In that case the caller must release what
 * was claimed (and, as after every release, raise the bounds).
 *
 * Linearization point of success: the compare-exchange that takes the last word. Lock-free: of several unfinished
 * claims that meet, the one that reaches highest can only be stopped by a finished one.
 */
size_t bitmap_claim(bitmap_word *map, size_t start, size_t count);

/* Release [start, start + count), which the caller has claimed. */
void bitmap_release(bitmap_word *map, size_t start, size_t count);

/* First granule in [from, limit) that is in use (free); limit if there is none. Strict loads. */
size_t bitmap_next_used(bitmap_word *map, size_t from, size_t limit);
size_t bitmap_next_free(bitmap_word *map, size_t from, size_t limit);

/* The lowest start of the free granules that end just below `end`, looking no lower than `floor`. Strict loads. */
size_t bitmap_free_down(bitmap_word *map, size_t end, size_t floor);

#endif
