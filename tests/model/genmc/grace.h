/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * In the place of rcu/rcu.h, for GenMC: read sections and grace periods with no more order than liburcu promises ([rcu.G1],
 * [rcu.G2]). Each reading thread has a flag. A section's begin and its first look, and the change and the end of a grace period, have
 * a full barrier between them (the membarrier of the one side stands for the other's); the end of a section is a release that the
 * grace period acquires, and so is the next begin, because the membarrier at the end of the period comes after the former. Who begins when the grace period has looked is not waited for.
 */
#ifndef RCU_RCU_H
#define RCU_RCU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/fence.h"

enum { GRACE_READERS = 2 };

struct rcu_item {
	struct rcu_item *next;
	void (*release)(struct rcu_item *item);
};

static _Atomic int grace_inside[GRACE_READERS]; /* odd: in a section */
static __thread int grace_reader;
static __thread bool grace_reads; /* the thread is one that is waited for */
static struct rcu_item *grace_deferred; /* what was last deferred, if no list is kept */

static inline void grace_count(void)
{
	int seen = atomic_load_explicit(&grace_inside[grace_reader], memory_order_relaxed);

	atomic_store_explicit(&grace_inside[grace_reader], seen + 1, memory_order_release);
}

static inline void rcu_enter(void)
{
	if (!grace_reads)
		return;
	grace_count();
	fence_full();
}

static inline void rcu_leave(void)
{
	if (grace_reads)
		grace_count();
}

static inline bool rcu_inside(void)
{
	return false;
}

/* Waits for the sections that have begun. */
static inline void grace_period(void)
{
	fence_full();
	for (int i = 0; i < GRACE_READERS; i++) {
		int seen = atomic_load_explicit(&grace_inside[i], memory_order_acquire);

		if (seen & 1)
			__VERIFIER_assume(atomic_load_explicit(&grace_inside[i], memory_order_acquire) !=
			                  seen);
	}
	fence_full();
}

static inline void rcu_defer(struct rcu_item *item)
{
	grace_deferred = item;
}

static inline int rcu_wait(void)
{
	grace_period();
	return 0;
}

static inline bool rcu_kick(void)
{
	return false;
}

static inline bool rcu_help(void)
{
	return true;
}

#endif
