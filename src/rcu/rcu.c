/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * One reclaimer thread a process, started by the first item and, because a fork leaves it behind, again by the first
 * one of a child. Not call_rcu: it costs more to queue and by default wakes every 10 ms; not defer_rcu: it runs a
 * grace period inside the caller when its queue is full.
 *
 * The reclaimer is never joined: it ends with the process. The library is linked with -z nodelete, so its code stays.
 */
#include "rcu/rcu.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include <urcu-bp.h>

#include "base/probe.h"
#include "base/threads.h"
#include "platform/fork.h"

char rcu_gate;

static struct {
	pthread_mutex_t lock; /* held for a few instructions at a time, never while waiting for readers */
	pthread_cond_t work;
	struct rcu_item *waiting, *last; /* a queue, oldest first */
	struct rcu_item *grace; /* taken by the reclaimer, until it begins to release them */
	bool running;
	pthread_mutex_t releasing; /* while it releases; before any other lock */
	pthread_mutex_t turn; /* of those who do its work where no thread is to be had; before that one */
} reclaimer = {.lock = PTHREAD_MUTEX_INITIALIZER,
               .turn = PTHREAD_MUTEX_INITIALIZER,
               .work = PTHREAD_COND_INITIALIZER,
               .releasing = PTHREAD_MUTEX_INITIALIZER};

/* liburcu sleeps with a lock of its own: a thread that is cancelled there would keep it. */
static void wait_for_readers(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	PROBE(grace_wait, 0);
	synchronize_rcu();
	PROBE(grace_done, 0);
	pthread_setcancelstate(before, &before);
	tsan_acquire(&rcu_gate);
}

int rcu_wait(void)
{
	if (rcu_inside())
		return -EDEADLK;
	wait_for_readers();
	return 0;
}

static void release_all(struct rcu_item *item)
{
	while (item) {
		struct rcu_item *next =
		        item->next; /* the item may be queued again, or gone, when release returns */

		item->release(item);
		item = next;
	}
}

/* What waits, a grace period and its release. */
static void run_batch(void)
{
	struct rcu_item *items;

	pthread_mutex_lock(&reclaimer.lock);
	reclaimer.grace = reclaimer.waiting;
	reclaimer.waiting = reclaimer.last = NULL;
	pthread_mutex_unlock(&reclaimer.lock);
	wait_for_readers();

	pthread_mutex_lock(&reclaimer.releasing);
	pthread_mutex_lock(&reclaimer.lock);
	items = reclaimer.grace;
	reclaimer.grace = NULL;
	pthread_mutex_unlock(&reclaimer.lock);
	release_all(items);
	pthread_mutex_unlock(&reclaimer.releasing);
}

static void *reclaim(void *unused)
{
	const struct timespec gather = {.tv_nsec = RCU_GATHER_NS};

	(void)unused;
	for (;;) {
		pthread_mutex_lock(&reclaimer.lock);
		while (!reclaimer.waiting)
			pthread_cond_wait(&reclaimer.work, &reclaimer.lock);
		pthread_mutex_unlock(&reclaimer.lock);
		nanosleep(&gather, NULL);
		/* Whoever did the work before there was a thread has finished. */
		pthread_mutex_lock(&reclaimer.turn);
		run_batch();
		pthread_mutex_unlock(&reclaimer.turn);
	}
	return NULL;
}

/* Under the lock. When there is no thread to be had the items stay queued, and the next one tries again. */
static void start_thread(void)
{
	pthread_t thread;

	if (thread_start(&thread, reclaim, NULL) == 0) {
		pthread_detach(thread);
		reclaimer.running = true;
	}
}

static void append(struct rcu_item *item)
{
	item->next = NULL;
	if (reclaimer.last)
		reclaimer.last->next = item;
	else
		reclaimer.waiting = item;
	reclaimer.last = item;
}

void rcu_defer(struct rcu_item *item)
{
	pthread_mutex_lock(&reclaimer.lock);
	append(item);
	if (!reclaimer.running)
		start_thread();
	if (reclaimer.waiting == item)
		pthread_cond_signal(&reclaimer.work);
	pthread_mutex_unlock(&reclaimer.lock);
}

bool rcu_kick(void)
{
	bool running;

	pthread_mutex_lock(&reclaimer.lock);
	if (reclaimer.waiting && !reclaimer.running)
		start_thread();
	running = reclaimer.running;
	pthread_mutex_unlock(&reclaimer.lock);
	return running;
}

bool rcu_help(void)
{
	bool waiting;
	int before;

	if (rcu_kick())
		return false;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_mutex_lock(&reclaimer.turn);
	pthread_mutex_lock(&reclaimer.lock);
	waiting = reclaimer.waiting != NULL;
	pthread_mutex_unlock(&reclaimer.lock);
	if (waiting)
		run_batch();
	pthread_mutex_unlock(&reclaimer.turn);
	pthread_setcancelstate(before, &before);
	return true;
}

/* A release that has begun is finished, and no other one begins: the child would have it half done for ever. */
static void pause_releases(void)
{
	pthread_mutex_lock(&reclaimer.releasing);
}

static void resume_releases(void)
{
	pthread_mutex_unlock(&reclaimer.releasing);
}

/* Between the hooks: liburcu's locks are ours to take, and not another copy's of this library. */
static bool has_claim;

static void before_fork(void)
{
	has_claim = !fork_is_claimed();
	if (has_claim) {
		urcu_bp_before_fork(); /* first: it remembers the thread's mask, which the claim must not be in */
		fork_claim();
	}
	pthread_mutex_lock(&reclaimer.lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&reclaimer.lock);
	if (has_claim) {
		fork_unclaim();
		urcu_bp_after_fork_parent();
	}
}

/* The thread is gone, and with it the grace period it was in: its items wait again. It was not releasing any. */
static void after_fork_in_child(void)
{
	struct rcu_item *item = reclaimer.grace;

	if (has_claim) {
		fork_unclaim();
		urcu_bp_after_fork_child();
	}
	reclaimer.grace = NULL;
	reclaimer.running = false;
	pthread_cond_init(&reclaimer.work, NULL);
	pthread_mutex_init(&reclaimer.turn, NULL); /* of a thread that is not here, if anybody's */
	while (item) {
		struct rcu_item *next = item->next;

		append(item);
		item = next;
	}
	pthread_mutex_unlock(&reclaimer.lock);
}

int rcu_start(void)
{
	static const struct fork_hook releases = {pause_releases, resume_releases, resume_releases},
	                              readers = {before_fork, after_fork_in_parent, after_fork_in_child};
	int error = fork_hook_add(FORK_RELEASES, &releases);

	return error ? error : fork_hook_add(FORK_READERS, &readers);
}
