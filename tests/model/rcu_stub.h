/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * In the place of rcu/rcu.h: read sections are nothing, and what is deferred waits until the run is over. That stands for a
 * grace period as long as can be; that nothing needs a shorter one, and what happens at its end, other tests show.
 */
#ifndef RCU_RCU_H
#define RCU_RCU_H

#include <stdbool.h>

struct rcu_item {
	struct rcu_item *next;
	void (*release)(struct rcu_item *item);
};

static inline void rcu_enter(void)
{
}

static inline void rcu_leave(void)
{
}

static inline bool rcu_inside(void)
{
	return false;
}

void rcu_defer(struct rcu_item *item);

#endif
