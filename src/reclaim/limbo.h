/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The limbo: mappings that have ended and wait for a grace period. Batches: what comes while one is on its way goes
 * with the next. When a batch lands, nobody can know its addresses any more. Its runs are *reusable* then: until the next
 * batch lands, a registration that needs as many pages takes one and maps over what is there, which is one system
 * call less and no splitting and joining of reservations. What nobody took is unmapped when the next batch lands; a
 * batch is sent for that if need be, so that nothing stays mapped for longer than two grace periods and what the
 * reclaimer waits between. The reclaimer unmaps, neighbours in one system call (which costs about as much for thirty
 * as for one), and puts the slots on a stack of their owner, which is emptied as a whole (so no ABA: nothing is ever popped
 * singly).
 *
 * Mappings that had nothing to unmap take a shorter way (resting.h), unless somebody had a reference when they were unregistered.
 *
 * What the system refuses to unmap (vm.max_map_count, when a neighbour's mapping would have to be split) stays reusable until
 * the next batch.
 */
#ifndef RECLAIM_LIMBO_H
#define RECLAIM_LIMBO_H

#include "space/space.h"

void limbo_init(struct limbo *limbo);
void limbo_destroy(struct limbo *limbo);

/* The mapping has ended: [space.S3]. Takes limbo.lock only if somebody may wait for that, or no batch is in flight. */
void limbo_add(struct space *space, uint32_t slot);

/* The number of the next batch, which is sent or will be: [reclaim.Q1], [reclaim.Q2]. Takes limbo.lock once a batch, not each time. */
uint64_t limbo_next_batch(struct limbo *limbo);
/* Whether anything waits for readers. */
bool limbo_is_busy(struct limbo *limbo);

/* Whether a batch is done. Acquire: [reclaim.Q3]. */
static inline bool limbo_is_done(const struct limbo *limbo, uint64_t batch)
{
	return atomic_load_explicit(&limbo->done, memory_order_acquire) >= batch;
}

/*
 * Wait until all that was added before is unmapped; -ENOMEM: some could not be. limbo_wait_some waits no longer than a moment.
 * Both wait for readers: not in a read section, and not under a lock. Cancellation points, unless the thread forbids that.
 */
int limbo_drain(struct space *space);
void limbo_wait_some(struct space *space);

/* Wait until the mapping that had this generation in the slot has ended. */
void limbo_wait_end(struct space *space, uint32_t slot, uint32_t generation);

/* A reusable run of so many granules; what is mapped there may be mapped over. False: there is none. */
bool limbo_take_reusable(struct space *space, uint64_t count, struct run *out);

/* The work itself (release.c): a list of slots with runs; those that the system refuses to unmap come back as a list. */
uint32_t limbo_unmap(struct space *space, uint32_t list);
/* A list of slots: those with runs come back as a list, of the others nothing is left. */
uint32_t limbo_release(struct space *space, uint32_t list);
void limbo_release_one(struct space *space, uint32_t slot);
int limbo_unmap_run(struct space *space, struct run run);

#endif
