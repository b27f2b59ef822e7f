/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A count of references that, once it has come down to nothing, stays there until its owner begins a new life.
 *
 *   [tee.T1] count_take and count_drop are wait-free: one or two atomic operations, no loop.
 *   [tee.T2] Of all count_drop of one life exactly one answers true, and it is the last: after it every count_take fails
 *        until count_begin.
 *   [tee.T3] Who is told true by count_take finds what was written before count_begin; who is told true by count_drop finds
 *        what others did while they held a reference.
 *
 * Why the count may touch 0 and rise again: the drop that brings it to 0 then tries to mark it dead; a take that comes between
 * makes the mark fail, and so that drop was not the last. Nobody takes a dead count down again: a take that fails
 * leaves what it added, which count_begin overwrites; 2^63 of them would be needed to reach the mark.
 *
 * ABA: a take that began in one life and adds in the next has a reference of the next, as if it had come later. So the caller
 * checks what it found after it has the reference.
 */
#ifndef TEE_COUNT_H
#define TEE_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mutant.h"

#define COUNT_ALIVE (UINT64_C(1) << 63)

/* Zeroed memory is a dead one. */
struct count {
	_Atomic uint64_t word; /* COUNT_ALIVE and the references; without COUNT_ALIVE anything */
};

/* One reference, the caller's. Release: pairs with the acquire in count_take [tee.T3]. */
static inline void count_begin(struct count *count)
{
	atomic_store_explicit(&count->word, COUNT_ALIVE | 1,
	                      IS_MUTANT(404) ? memory_order_relaxed : memory_order_release);
}

static inline bool count_take(struct count *count)
{
#if IS_MUTANT(401)
	/* Looks, then adds, and relies on what it saw: brings back what ended between the two. */
	if (!(atomic_load_explicit(&count->word, memory_order_acquire) & COUNT_ALIVE))
		return false;
	atomic_fetch_add_explicit(&count->word, 1, memory_order_acquire);
	return true;
#else
	/* Relaxed: a look that spares a store to what is long dead; the addition decides. */
	if (!(atomic_load_explicit(&count->word, memory_order_relaxed) & COUNT_ALIVE))
		return false;
	return atomic_fetch_add_explicit(&count->word, 1, memory_order_acquire) & COUNT_ALIVE;
#endif
}

/* With a reference already. */
static inline void count_more(struct count *count)
{
	atomic_fetch_add_explicit(&count->word, 1, memory_order_relaxed);
}

static inline bool count_drop(struct count *count)
{
	uint64_t none = COUNT_ALIVE;

	/* Release: what was done with the reference is done before it is given back; pairs with the acquire below. */
	if (atomic_fetch_sub_explicit(&count->word, 1,
	                              IS_MUTANT(403) ? memory_order_relaxed : memory_order_release) !=
	    (COUNT_ALIVE | 1))
		return false;
#if IS_MUTANT(402)
	/* Ends it although somebody may have come between. */
	return atomic_exchange_explicit(&count->word, 0, memory_order_acquire) & none;
#else
	return atomic_compare_exchange_strong_explicit(&count->word, &none, 0, memory_order_acquire,
	                                               memory_order_relaxed);
#endif
}

/*
 * The same for what nobody finds: count_take is never called, so only who has a reference adds one. If ours is the only one, it
 * stays the only one, and there is nobody to agree with. Acquire: pairs with the release of the drops before [tee.T3].
 */
static inline bool count_drop_unfound(struct count *count)
{
	uint64_t most = COUNT_ALIVE | (IS_MUTANT(405) ? 2 : 1);

	return atomic_load_explicit(&count->word, memory_order_acquire) <= most || count_drop(count);
}

#endif
