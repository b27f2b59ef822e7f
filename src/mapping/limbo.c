/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/limbo.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "mapping/space.h"
#include "platform/platform.h"

#define GROUP 256u /* runs that are sorted at once */

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

struct group {
	struct space *space;
	uint32_t slot[GROUP];
	unsigned count;
	uint32_t refused; /* a list */
};

static int by_address(const void *a, const void *b, void *context)
{
	struct space *space = context;
	uint32_t x = mapping_at(space, *(const uint32_t *)a)->run.first,
	         y = mapping_at(space, *(const uint32_t *)b)->run.first;

	return (x > y) - (x < y);
}

static int unmap_run(struct space *space, struct run run)
{
	return platform_reserve_at(window_address(&space->window, run), (size_t)run.count * IST_PAGE_SIZE);
}

/* Slots [from, to) of the group lie side by side: at once, or if that is refused one by one. */
static void unmap_side_by_side(struct group *group, unsigned from, unsigned to)
{
	struct space *space = group->space;
	struct run first = mapping_at(space, group->slot[from])->run,
	           last = mapping_at(space, group->slot[to - 1])->run;
	int error = unmap_run(space, (struct run){first.first, last.first + last.count - first.first});

	for (unsigned i = from; i < to; i++) {
		struct mapping *mapping = mapping_at(space, group->slot[i]);

		if (error && unmap_run(space, mapping->run)) {
			mapping->next = group->refused;
			group->refused = group->slot[i];
			group->slot[i] = 0;
			continue;
		}
		window_give(&space->window, mapping->run);
		mapping->place = PLACE_NONE;
	}
}

/* A list of slots, linked from first to last. */
static void push_landed(struct space *space, uint32_t first, uint32_t last)
{
	struct mapping *mapping = mapping_at(space, last);
	uint32_t top = atomic_load_explicit(&space->limbo.landed, memory_order_relaxed);

	do
		mapping->next = top;
	while (!atomic_compare_exchange_weak_explicit(&space->limbo.landed, &top, first,
	                                              memory_order_release, /* take_landed */
	                                              memory_order_relaxed));
}

/* What was mapped for it is gone: all else that it had. */
static void strip(struct space *space, struct mapping *mapping)
{
	if (mapping->place == PLACE_DIRECT)
		atomic_fetch_sub_explicit(&mapping->direct->uses, 1,
		                          memory_order_release); /* ist_backing_remove */
	if (mapping->kind == MAPPING_RANGE) {
		platform_unmap((void *)(uintptr_t)mapping->range, mapping_pages(mapping) * sizeof(uint64_t));
	} else if (mapping->extents > 1) {
		atomic_fetch_sub_explicit(&space->extent_bytes, mapping->extents * sizeof(struct extent),
		                          memory_order_relaxed);
		free(mapping->many);
	}
}

/* The slots' next lives may begin. Clears the group. */
static void land_group(struct group *group)
{
	struct space *space = group->space;
	uint32_t first = 0, last = 0;

	for (unsigned i = 0; i < group->count; i++) {
		struct mapping *mapping = mapping_at(space, group->slot[i]);

		if (group->slot[i] == 0)
			continue;
		strip(space, mapping);
		/* Before the slot lives again [S4]: limbo_wait_end reads refs before this. */
		atomic_fetch_add_explicit(&mapping->generation, 1, memory_order_release);
		atomic_fetch_sub_explicit(&space->limbo.waiting, 1, memory_order_relaxed);
		mapping->next = first;
		first = group->slot[i];
		last = last ? last : first;
	}
	if (first)
		push_landed(space, first, last);
	group->count = 0;
}

static void unmap_group(struct group *group)
{
	struct space *space = group->space;
	unsigned from = 0;

	qsort_r(group->slot, group->count, sizeof(group->slot[0]), by_address, space);
	for (unsigned i = 1; i <= group->count; i++) {
		const struct run *before = &mapping_at(space, group->slot[i - 1])->run;

		if (i < group->count &&
		    mapping_at(space, group->slot[i])->run.first == before->first + before->count)
			continue;
		unmap_side_by_side(group, from, i);
		from = i;
	}
}

static void release_all(struct space *space, uint32_t slot, uint32_t *refused)
{
	struct group runs = {.space = space}, others = {.space = space};

	while (slot) {
		struct mapping *mapping = mapping_at(space, slot);
		struct group *group = mapping->place == PLACE_RUN ? &runs : &others;
		uint32_t next = mapping->next;

		group->slot[group->count++] = slot;
		slot = next;
		if (runs.count > 0 && (!slot || runs.count == GROUP)) {
			unmap_group(&runs);
			land_group(&runs);
		}
		if (!slot || others.count == GROUP)
			land_group(&others);
	}
	*refused = runs.refused;
}

static void send(struct limbo *limbo);

/* In the reclaimer, a grace period after the batch was sent. */
static void land(struct rcu_item *item)
{
	struct limbo *limbo = (struct limbo *)(void *)((char *)item - offsetof(struct limbo, item));
	struct space *space = (struct space *)(void *)((char *)limbo - offsetof(struct space, limbo));
	uint32_t refused = 0;

	pthread_mutex_lock(&limbo->working);
	release_all(space, limbo->flying, &refused);
	pthread_mutex_lock(&limbo->lock);
	limbo->refused = refused; /* the old ones were in this batch */
	limbo->flying = 0;
	limbo->in_flight = false;
	limbo->done = limbo->batches;
	if (limbo->first || limbo->batches < limbo->wanted)
		send(limbo);
	pthread_cond_broadcast(&limbo->changed);
	pthread_mutex_unlock(&limbo->lock);
	pthread_mutex_unlock(&limbo->working);
}

/* Under limbo.lock, when none is in flight: what has come, and what was refused before. */
static void send(struct limbo *limbo)
{
	struct space *space = (struct space *)(void *)((char *)limbo - offsetof(struct space, limbo));

	if (limbo->first)
		mapping_at(space, limbo->last)->next = limbo->refused;
	limbo->flying = limbo->first ? limbo->first : limbo->refused;
	limbo->first = limbo->last = limbo->refused = 0;
	limbo->in_flight = true;
	limbo->batches++;
	limbo->item.release = land;
	rcu_defer(&limbo->item);
}

void limbo_add(struct space *space, uint32_t slot)
{
	struct limbo *limbo = &space->limbo;
	struct mapping *mapping = mapping_at(space, slot);

	pthread_mutex_lock(&limbo->lock);
	atomic_fetch_or_explicit(&mapping->refs, REFS_ENDED, memory_order_relaxed); /* read under this lock */
	mapping->next = 0;
	if (limbo->last)
		mapping_at(space, limbo->last)->next = slot;
	else
		limbo->first = slot;
	limbo->last = slot;
	atomic_fetch_add_explicit(&limbo->waiting, 1, memory_order_relaxed);
	if (!limbo->in_flight)
		send(limbo);
	pthread_cond_broadcast(&limbo->changed);
	pthread_mutex_unlock(&limbo->lock);
}

/* Under limbo.lock. */
static uint64_t order_batch(struct limbo *limbo)
{
	if (!limbo->in_flight) {
		send(limbo);
		return limbo->batches;
	}
	limbo->wanted = limbo->batches + 1;
	return limbo->wanted;
}

uint64_t limbo_ticket(struct space *space)
{
	uint64_t ticket;

	pthread_mutex_lock(&space->limbo.lock);
	ticket = order_batch(&space->limbo);
	pthread_mutex_unlock(&space->limbo.lock);
	return ticket;
}

bool limbo_is_done(struct space *space, uint64_t ticket)
{
	bool done;

	pthread_mutex_lock(&space->limbo.lock);
	done = space->limbo.done >= ticket;
	pthread_mutex_unlock(&space->limbo.lock);
	return done;
}

int limbo_drain(struct space *space)
{
	struct limbo *limbo = &space->limbo;
	uint64_t ticket;
	int error;

	rcu_kick();
	pthread_mutex_lock(&limbo->lock);
	if (limbo->in_flight || limbo->first || limbo->refused) {
		ticket = order_batch(limbo);
		while (limbo->done < ticket)
			pthread_cond_wait(&limbo->changed, &limbo->lock);
	}
	error = limbo->refused ? -ENOMEM : 0;
	pthread_mutex_unlock(&limbo->lock);
	return error;
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
		pthread_cond_wait(&limbo->changed, &limbo->lock);
	pthread_mutex_unlock(&limbo->lock);
}

uint32_t limbo_take_landed(struct space *space)
{
	if (atomic_load_explicit(&space->limbo.landed, memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange_explicit(&space->limbo.landed, 0, memory_order_acquire); /* push_landed */
}
