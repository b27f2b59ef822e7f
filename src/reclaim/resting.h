/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Slots that rest: of mappings that have ended and have nothing to unmap. All that they wait for is a grace period, so the
 * reclaimer has no work with them, and need not write to what their owner will use next: they stay with him, in lists of
 * his own, under his lock.
 *
 * The batches of the limbo tell when. A slot that comes to rest is given the number of a batch that is not sent yet.
 *
 *   [reclaim.Q1] The links are out of their nodes, then a full fence, then `batches` is read. The sender stores the next number, and
 *        the grace period of that batch begins, with a full fence of liburcu's. If the number that was read is lower than
 *        the batch's, the first fence came before the second: a read section that is not waited for began after that,
 *        and finds the links gone. So when batch `batches + 1` is done no reader knows the slot.
 *   [reclaim.Q2] Somebody sends that batch: who comes to rest sees `wanted` at its number or higher, or orders it under limbo.lock.
 *        Whoever sees it there reads a number that was set under the lock while a batch was in flight, and the end of that
 *        one sends the next.
 *   [reclaim.Q3] `done` is stored with release behind the grace period, and read with acquire before the slot lives again: what readers
 *        did with the record comes before what its next life writes. Its generation changes then, not before: a reader
 *        may still make a handle of what it found, which has to be the old one.
 *   [reclaim.Q4] A batch is sent only when the one before is done. So what rests waits for one of two batches, and two lists do: when a
 *        third number comes the older list's is done. Whole lists are taken, no ABA.
 *
 * A thread that stops in here has its owner's lock, and holds up that owner alone.
 */
#ifndef RECLAIM_RESTING_H
#define RECLAIM_RESTING_H

#include "space/space.h"

/* The mapping has ended [space.S3], and had no run and no parent; readers may know it. Under the owner's lock, which he keeps the slot by. */
void rest(struct space *space, struct owner *owner, uint32_t slot);

/* Some of the owner's whose rest is over, as a list; 0: none. Under his lock. */
uint32_t rest_over(struct space *space, struct owner *owner);

/* All of them, over or not, as the next of two lists. For who knows that it is over. */
uint32_t rest_take(struct owner *owner);

/* How many rest still. Exact under the owner's lock. */
uint64_t rest_count(struct space *space, struct owner *owner);

#endif
