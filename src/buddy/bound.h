/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A tree of bounds over the chunks of a bitmap: for each chunk an upper bound on the longest free run that starts
 * in it, and above that, eight to a node, the maximum. It finds a chunk that may serve a request, or proves in one
 * load of the root that none can, in O(log chunks).
 *
 * A bound is one 64-bit word {bound, tentative, version}. All zeroes means "as free as can be", so a fresh tree
 * costs no initialisation. Lengths above BOUND_MAX are stored as BOUND_MAX.
 *
 * The invariant. Call a release complete when its releaser has raised the bounds from the chunk to the root.
 *   [buddy.I1] While a word is firm (not tentative), its bound is at least every length that complete releases have made
 *        available below it and that nobody has claimed since.
 *
 * Raising. After clearing bits the releaser goes from the chunk to the root, and at every level makes sure that
 * the bound is not below the length it saw. It writes only where the bound is too low, so releases that change
 * nothing above share only reads. It never stops early: a bound that is high enough at one level may have been
 * put there by another thread which has not yet reached the next.
 *
 * Lowering (bound_settle) has three steps: (1) make the word tentative with the lower bound m; (2) look below
 * again; (3) if nothing above m is to be seen, make it firm with the same m. Anybody may take over from step 1.
 *   [buddy.D1] Step (1), the looks of step (2), the releaser's clearing of bits (or raising of the child) and its load of
 *        the word are all seq_cst. In their single total order either the releaser's load comes after step (1):
 *        then it sees m and raises; or it comes before: then so does its clearing, and step (2) sees it.
 *   Step (3) keeps m rather than what step (2) saw, because m is what releasers have compared with since (1).
 *   A tentative child is never a reason to call its parent firm.
 * A tentative word says nothing: whoever searches looks below it. So a thread that stops between the steps costs
 * others a look, and holds nothing back.
 *
 * ABA: every change of a word takes a new version (53 bits; at a change a nanosecond that is 104 days of doing
 * nothing else, all within one thread's pause between two steps).
 */
#ifndef BUDDY_BOUND_H
#define BUDDY_BOUND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOUND_MAX 1023u
#define BOUND_FANOUT 8u
#define BOUND_LEVELS 12u /* eight to a node, and the root alone: enough for 8^11 = 2^33 chunks */

typedef _Atomic uint64_t bound_word;

struct bound_tree {
	unsigned levels; /* level 0: the chunks; level levels - 1: the root alone */
	size_t count[BOUND_LEVELS]; /* words at each level */
	bound_word *level[BOUND_LEVELS];
};

/* What is below a word of level 0: the longest free run that starts in this chunk, by strict loads. */
typedef size_t bound_look(void *context, size_t chunk);

/* Bytes of zeroed memory, aligned to CACHE_LINE, that a tree over `chunks` >= 1 needs. */
size_t bound_bytes(size_t chunks);
void bound_init(struct bound_tree *tree, void *zeroed_memory, size_t chunks);

/* After a release in `chunk`: there is a free run of `length` that starts in it. Linearizes a release at the root. */
void bound_raise(struct bound_tree *tree, size_t chunk, size_t length);

/* The chunk's bound now. Strict load: a releaser may take it for the load of [buddy.D1]. */
size_t bound_of(struct bound_tree *tree, size_t chunk);

/* Lower the bound of a chunk to what `look` sees. Lock-free: it repeats only when somebody released meanwhile. */
void bound_settle(struct bound_tree *tree, size_t chunk, bound_look *look, void *context);

/*
 * The first chunk >= from that may hold a run of `length`: its bound is at least that, or tentative. Returns
 * BOUND_NONE when there is none; for from == 0 that is exact at the instant of the load of the root (its
 * linearization point), by [buddy.I1]. Lowers stale bounds above the chunks on its way.
 */
#define BOUND_NONE SIZE_MAX
size_t bound_find(struct bound_tree *tree, size_t from, size_t length);

#endif
