/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Runs that were freed and may not be handed out yet: a ring of the last N. A run goes in by an exchange with the one
 * that has been there longest, which comes out; so giving back is wait-free, and a run comes back after N others have
 * been freed. When a request finds nothing else, all are let out (reclaim.c).
 *
 * Linearization points: the exchange of a slot. Two threads may meet at a slot after going round the ring; then one
 * of them takes out what the other has just put in, and that run was held back for less. A thread that stops holds
 * one run.
 */
#ifndef SLAB_QUARANTINE_H
#define SLAB_QUARANTINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quarantine {
	_Atomic uint64_t *slots; /* {start + 1, granules}, or 0; null: there is no quarantine */
	size_t count;
	_Atomic uint64_t next; /* how many have gone in */
};

struct quarantined {
	size_t start, granules; /* granules 0: none */
};

/* For `count` runs, 0 for none; 0 or -ENOMEM. May block, as may the end, whose runs must have been let out. */
int quarantine_create(struct quarantine *quarantine, size_t count);
void quarantine_destroy(struct quarantine *quarantine);

/* Put a run in; returns the one to be given back in its place: another, none, or the same where it cannot be held. */
struct quarantined quarantine_exchange(struct quarantine *quarantine, struct quarantined run);

/*
 * Whether there is a run in slot `index` < count, as far as can be told now. Acquire: whoever finds that somebody has taken it out
 * sees what he said before, as that he has it in transit (reclaim.c).
 */
static inline bool quarantine_has(const struct quarantine *quarantine, size_t index)
{
	return atomic_load_explicit(&quarantine->slots[index], memory_order_acquire) != 0;
}

/* Take out the run in slot `index` < count; none if there is none. */
struct quarantined quarantine_take(struct quarantine *quarantine, size_t index);

/* How many runs are inside, and their granules. */
size_t quarantine_inside(const struct quarantine *quarantine, size_t *granules);

#endif
