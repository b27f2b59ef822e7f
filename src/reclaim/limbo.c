/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "reclaim/limbo.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/fence.h"
#include "base/mutant.h"

void limbo_init(struct limbo *limbo)
{
	pthread_mutex_init(&limbo->lock, NULL);
	pthread_mutex_init(&limbo->working, NULL);
	pthread_cond_init(&limbo->changed, NULL);
}

void limbo_destroy(struct limbo *limbo)
{
	pthread_mutex_lock(&limbo->working); /* the reclaimer may be about to leave land() */
	pthread_mutex_unlock(&limbo->working);
	pthread_cond_destroy(&limbo->changed);
	pthread_mutex_destroy(&limbo->working);
	pthread_mutex_destroy(&limbo->lock);
}

/* Under limbo.lock: the reusable ones of all kinds, as one list. */
static uint32_t take_all_reusable(struct space *space)
{
	struct limbo *limbo = &space->limbo;
	uint32_t list = 0;

	for (unsigned kind = 0; kind < LIMBO_KINDS; kind++) {
		while (limbo->reusable[kind]) {
			struct mapping *mapping = mapping_at(space, limbo->reusable[kind]);
			uint32_t next = mapping->next;

			mapping->next = list;
			list = limbo->reusable[kind];
			limbo->reusable[kind] = next;
		}
	}
	limbo->reusable_count = 0;
	return list;
}

/* Under limbo.lock. */
static void make_reusable(struct space *space, uint32_t slot)
{
	struct limbo *limbo = &space->limbo;

	while (slot) {
		struct mapping *mapping = mapping_at(space, slot);
		uint32_t next = mapping->next, *list = &limbo->reusable[mapping->run.count % LIMBO_KINDS];

		mapping->next = *list;
		*list = slot;
		limbo->reusable_count++;
		slot = next;
	}
}

#define REUSABLE_LOOKS 8u

bool limbo_take_reusable(struct space *space, uint64_t count, struct run *out)
{
	struct limbo *limbo = &space->limbo;
	uint32_t *link = &limbo->reusable[count % LIMBO_KINDS], found = 0;

	pthread_mutex_lock(&limbo->lock);
	for (unsigned looks = 0; *link && looks < REUSABLE_LOOKS && !found; looks++) {
		struct mapping *mapping = mapping_at(space, *link);

		if (mapping->run.count == count) {
			found = *link;
			*link = mapping->next;
			*out = mapping->run;
			mapping->place = PLACE_NONE;
			limbo->reusable_count--;
		} else {
			link = &mapping->next;
		}
	}
	pthread_mutex_unlock(&limbo->lock);
	if (found)
		limbo_release_one(space, found);
	return found != 0;
}

/* Changed under limbo.lock. */
static bool is_in_flight(struct limbo *limbo)
{
	return atomic_load_explicit(&limbo->in_flight, memory_order_relaxed);
}

/* One of the batches' numbers, under the lock. */
static uint64_t number(const _Atomic uint64_t *of)
{
	return atomic_load_explicit(of, memory_order_relaxed);
}

static void send(struct limbo *limbo);

/* In the reclaimer, a grace period after the batch was sent. */
static void land(struct rcu_item *item)
{
	struct limbo *limbo = (struct limbo *)(void *)((char *)item - offsetof(struct limbo, item));
	struct space *space = (struct space *)(void *)((char *)limbo - offsetof(struct space, limbo));
	uint32_t runs, overdue, refused;

	pthread_mutex_lock(&limbo->working);
	pthread_mutex_lock(&limbo->lock);
	overdue = take_all_reusable(space);
	pthread_mutex_unlock(&limbo->lock);
	refused = limbo_unmap(space, overdue);
	runs = limbo_release(space, limbo->sent);

	pthread_mutex_lock(&limbo->lock);
	make_reusable(space, runs);
	make_reusable(space, refused); /* tried again with the others, and good for use in the meantime */
	limbo->sent = 0;
	atomic_store_explicit(&limbo->in_flight, false, memory_order_seq_cst); /* push */
	atomic_store_explicit(&limbo->done, number(&limbo->batches), memory_order_release); /* [reclaim.Q3] */
	limbo->stuck = runs == 0 && refused != 0;
	if (atomic_load_explicit(&limbo->first, memory_order_seq_cst) ||
	    number(&limbo->batches) < number(&limbo->wanted) || (limbo->reusable_count && !limbo->stuck))
		send(limbo);
	pthread_cond_broadcast(&limbo->changed);
	pthread_mutex_unlock(&limbo->lock);
	pthread_mutex_unlock(&limbo->working);
}

/* Under limbo.lock, when none is in flight: what has come. */
static void send(struct limbo *limbo)
{
	atomic_store_explicit(&limbo->in_flight, true, memory_order_relaxed);
	limbo->sent = atomic_exchange_explicit(&limbo->first, 0, memory_order_acquire); /* push */
	/* Release: with `done` of the one before [reclaim.Q4]. Before the grace period, which begins with a full fence [reclaim.Q1]. */
	atomic_store_explicit(&limbo->batches, number(&limbo->batches) + 1, memory_order_release);
	limbo->item.release = land;
	rcu_defer(&limbo->item);
}

/*
 * For the next batch; sent at once if none is in flight. From then on the slot is the reclaimer's. Sequentially consistent, and so
 * is the end of land(): either this sees that none is in flight, or that one sees the slot. Only ever taken as a whole: no ABA.
 */
static void push(struct space *space, uint32_t slot)
{
	struct limbo *limbo = &space->limbo;
	struct mapping *mapping = mapping_at(space, slot);
	uint32_t first = atomic_load_explicit(&limbo->first, memory_order_relaxed);

	do
		mapping->next = first;
	while (!atomic_compare_exchange_weak_explicit(&limbo->first, &first, slot, memory_order_seq_cst,
	                                              memory_order_relaxed));
	if (atomic_load_explicit(&limbo->in_flight, memory_order_seq_cst))
		return;
	pthread_mutex_lock(&limbo->lock);
	if (!is_in_flight(limbo) && atomic_load_explicit(&limbo->first, memory_order_relaxed))
		send(limbo);
	pthread_mutex_unlock(&limbo->lock);
}

void limbo_add(struct space *space, uint32_t slot)
{
	struct limbo *limbo = &space->limbo;
	struct mapping *mapping = mapping_at(space, slot);
	bool waited_for;

	if (IS_MUTANT(210) && mapping_has_run(mapping)) /* does not wait for readers */
		limbo_unmap_run(space, mapping->run);
	waited_for = atomic_load_explicit(&mapping->held, memory_order_relaxed);
	atomic_fetch_add_explicit(&limbo->waiting, 1, memory_order_relaxed);
	if (waited_for)
		pthread_mutex_lock(&limbo->lock); /* under which limbo_wait_end reads refs */
	atomic_fetch_or_explicit(&mapping->refs, REFS_ENDED, memory_order_relaxed);
	if (waited_for) {
		pthread_cond_broadcast(&limbo->changed);
		pthread_mutex_unlock(&limbo->lock);
	}
	push(space, slot);
}

/* Under limbo.lock. */
static uint64_t order_batch(struct limbo *limbo)
{
	uint64_t next = number(&limbo->batches) + 1;

	if (is_in_flight(limbo))
		atomic_store_explicit(&limbo->wanted, next, memory_order_relaxed);
	else
		send(limbo);
	return next;
}

uint64_t limbo_next_batch(struct limbo *limbo)
{
	uint64_t next;

	if (!IS_MUTANT(217)) /* the number may be read before the links are out */
		fence_full(); /* [reclaim.Q1] */
	next = atomic_load_explicit(&limbo->batches, memory_order_acquire) + 1; /* [reclaim.Q4] */
	if (atomic_load_explicit(&limbo->wanted, memory_order_relaxed) >= next) /* [reclaim.Q2] */
		return next;
	pthread_mutex_lock(&limbo->lock);
	if (number(&limbo->batches) < next)
		order_batch(limbo);
	pthread_mutex_unlock(&limbo->lock);
	return next;
}

bool limbo_is_busy(struct limbo *limbo)
{
	return is_in_flight(limbo) || atomic_load_explicit(&limbo->waiting, memory_order_relaxed) != 0;
}

static void unlock(void *lock)
{
	pthread_mutex_unlock(lock);
}

/* Under limbo.lock, which a thread that is cancelled here gives back. `until` may be null. False: it is past. */
static bool wait_for_change(struct limbo *limbo, const struct timespec *until)
{
	int error;

	pthread_cleanup_push(unlock, &limbo->lock);
	error = until ? pthread_cond_timedwait(&limbo->changed, &limbo->lock, until)
	              : pthread_cond_wait(&limbo->changed, &limbo->lock);
	pthread_cleanup_pop(false);
	return error != ETIMEDOUT;
}

/* Under limbo.lock, which it gives back while it waits. */
static bool wait_for_batch(struct limbo *limbo, const struct timespec *until)
{
	uint64_t ticket = order_batch(limbo);

	while (number(&limbo->done) < ticket) {
		bool helped;

		pthread_mutex_unlock(&limbo->lock);
		helped = rcu_help(); /* where no thread is to be had, somebody who waits does the work */
		pthread_mutex_lock(&limbo->lock);
		if (!helped && number(&limbo->done) < ticket && !wait_for_change(limbo, until))
			return false;
	}
	return true;
}

static int drain(struct limbo *limbo, const struct timespec *until)
{
	bool in_time = true;
	int error;

	pthread_mutex_lock(&limbo->lock);
	if (is_in_flight(limbo) || atomic_load_explicit(&limbo->first, memory_order_relaxed))
		in_time =
		        wait_for_batch(limbo, until); /* lands what was there, and makes its runs reusable */
	if (in_time && (is_in_flight(limbo) ||
	                limbo->reusable_count)) /* in flight: it may be unmapping what was reusable */
		wait_for_batch(limbo, until);
	error = limbo->stuck ? -ENOMEM : 0;
	pthread_mutex_unlock(&limbo->lock);
	return error;
}

int limbo_drain(struct space *space)
{
	return drain(&space->limbo, NULL);
}

#define MOMENT_NS 50000000

void limbo_wait_some(struct space *space)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += MOMENT_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	drain(&space->limbo, &until);
}

void limbo_wait_end(struct space *space, uint32_t slot, uint32_t generation)
{
	struct limbo *limbo = &space->limbo;
	struct mapping *mapping = mapping_at(space, slot);

	/*
	 * ENDED is set under this lock. Acquire: if the slot lives again already, refs shows it no more, but then the load of the
	 * generation behind it shows the next one.
	 */
	pthread_mutex_lock(&limbo->lock);
	while (!(atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_ENDED) &&
	       atomic_load_explicit(&mapping->generation, memory_order_relaxed) == generation)
		wait_for_change(limbo, NULL);
	pthread_mutex_unlock(&limbo->lock);
}
