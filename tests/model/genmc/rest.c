/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Slots that rest [reclaim.Q1] to [reclaim.Q4], in the memory model of C11: a reader finds a mapping by a link that its owner takes out; the slot
 * rests, and is used again. The reclaimer is modelled as liburcu promises it: a batch is over when everybody whose section
 * had begun is out of it. The record is plain memory, so that GenMC tells when it is written while somebody reads it.
 */
#include "support.h"
typedef int pthread_cond_t; /* its own <pthread.h> lacks these */
typedef int pthread_once_t;
typedef int pid_t;
#define pthread_cond_init(...) ((void)0)
#define pthread_cond_destroy(...) ((void)0)
#define pthread_cond_broadcast(...) ((void)0)
#define pthread_cond_wait(...) 0
#define pthread_cond_timedwait(...) 0
#define pthread_cleanup_push(...)
#define pthread_cleanup_pop(...)
#include "../rcu_stub.h"
static bool rcu_help(void)
{
	return true;
}

#include "space/space.h"
#include "../../src/reclaim/limbo.c"
#include "../../src/reclaim/resting.c"
#include "../model.h"

enum { SLOT = 1 };

static struct space space;
static struct owner owner;
static _Alignas(64) char slots[SLOTS_FIRST * sizeof(struct mapping)];
static _Atomic int link, inside, over, deferred;
static int record; /* what the slot's mapping is; readers may look at it */

void rcu_defer(struct rcu_item *item)
{
	MODEL_ASSERT(item == &space.limbo.item);
	atomic_store_explicit(&deferred, 1, memory_order_release);
}

uint32_t limbo_unmap(struct space *in, uint32_t list)
{
	(void)in, (void)list;
	return 0;
}

uint32_t limbo_release(struct space *in, uint32_t list)
{
	(void)in, (void)list;
	return 0;
}

void limbo_release_one(struct space *in, uint32_t slot)
{
	(void)in, (void)slot;
}

void space_drop_hold(struct space *in, uint32_t slot)
{
	(void)in, (void)slot;
}

static void set_up(void)
{
	atomic_store_explicit(&space.slots.block[0], slots, memory_order_relaxed);
	space.slots.size = sizeof(struct mapping);
	atomic_store_explicit(&link, SLOT, memory_order_relaxed);
	record = 1;
}

static void end_and_begin_again(void)
{
	atomic_store_explicit(&link, 0, memory_order_release);
	rest(&space, &owner, SLOT);
	if (rest_over(&space, &owner)) /* now or never: the model has the reclaimer run at any moment */
		record = 2;
}

/* The third number says that the first one's batch is done [reclaim.Q4]. */
static void end_three(void)
{
	atomic_store_explicit(&link, 0, memory_order_release);
	for (uint32_t slot = SLOT; slot < SLOT + 3; slot++)
		rest(&space, &owner, slot);
	if (owner.unused)
		record = 2;
}

static void read(void)
{
	int value;

	atomic_store_explicit(&inside, 1, memory_order_relaxed);
	fence_full(); /* liburcu's, or the membarrier of the other side */
	if (atomic_load_explicit(&link, memory_order_acquire)) {
		value = record;
		MODEL_ASSERT(value == 1);
	}
	atomic_store_explicit(&inside, 0, memory_order_release);
	atomic_store_explicit(&over, 1, memory_order_release);
}

/* A grace period and what comes behind it, if something waits for one. */
static void grace_period(void)
{
	if (!atomic_exchange_explicit(&deferred, 0, memory_order_acquire))
		return;
	fence_full(); /* with which a grace period begins */
	if (atomic_load_explicit(&inside, memory_order_acquire))
		__VERIFIER_assume(atomic_load_explicit(&over, memory_order_acquire));
	land(&space.limbo.item);
}

static void reclaim(void)
{
	grace_period();
	grace_period();
}

/* A batch is under way when the owner's call begins. */
static void set_up_in_flight(void)
{
	set_up();
	limbo_next_batch(&space.limbo);
	limbo_next_batch(&space.limbo); /* and somebody else has ordered the next one */
}

static void nothing(void)
{
}

const struct model_scenario model_scenarios[] = {
        {"the first batch", set_up, {end_and_begin_again, read, reclaim}, nothing},
        {"one is in flight", set_up_in_flight, {end_and_begin_again, read, reclaim}, nothing},
        {"three in turn", set_up, {end_three, read, reclaim}, nothing},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
