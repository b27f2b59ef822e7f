/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/limbo.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/twin.h"
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
	if (mapping->place == PLACE_PARENT)
		space_drop_reference(space, mapping->run.first);
	if (mapping->kind == MAPPING_RANGE) {
		if (mapping->range)
			platform_unmap(mapping->range, mapping_pages(mapping) * sizeof(uint64_t));
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

static void add_to_group(struct group *group, uint32_t slot)
{
	group->slot[group->count++] = slot;
}

static void unmap_and_land(struct group *group)
{
	if (group->count)
		unmap_group(group);
	land_group(group);
}

/* A list of slots with runs: unmap. Those that the system refuses to unmap are left in a list. */
static uint32_t unmap_list(struct space *space, uint32_t slot)
{
	struct group group = {.space = space};

	while (slot) {
		uint32_t next = mapping_at(space, slot)->next;

		add_to_group(&group, slot);
		if (group.count == GROUP)
			unmap_and_land(&group);
		slot = next;
	}
	unmap_and_land(&group);
	return group.refused;
}

/* The slots of a batch: those with runs come back as a list, the others land. */
static uint32_t land_those_without_run(struct space *space, uint32_t slot)
{
	struct group group = {.space = space};
	uint32_t runs = 0;

	while (slot) {
		struct mapping *mapping = mapping_at(space, slot);
		uint32_t next = mapping->next;

		if (mapping->place == PLACE_RUN) {
			mapping->next = runs;
			runs = slot;
		} else {
			add_to_group(&group, slot);
		}
		if (group.count == GROUP)
			land_group(&group);
		slot = next;
	}
	land_group(&group);
	return runs;
}

/* Under limbo.lock: the ripe ones of all kinds, as one list. */
static uint32_t take_all_ripe(struct space *space)
{
	struct limbo *limbo = &space->limbo;
	uint32_t list = 0;

	for (unsigned kind = 0; kind < LIMBO_KINDS; kind++) {
		while (limbo->ripe[kind]) {
			struct mapping *mapping = mapping_at(space, limbo->ripe[kind]);
			uint32_t next = mapping->next;

			mapping->next = list;
			list = limbo->ripe[kind];
			limbo->ripe[kind] = next;
		}
	}
	limbo->ripe_count = 0;
	return list;
}

/* Under limbo.lock. */
static void ripen(struct space *space, uint32_t slot)
{
	struct limbo *limbo = &space->limbo;

	while (slot) {
		struct mapping *mapping = mapping_at(space, slot);
		uint32_t next = mapping->next, *list = &limbo->ripe[mapping->run.count % LIMBO_KINDS];

		mapping->next = *list;
		*list = slot;
		limbo->ripe_count++;
		slot = next;
	}
}

#define RIPE_LOOKS 8u

bool limbo_take_ripe(struct space *space, uint64_t count, struct run *out)
{
	struct limbo *limbo = &space->limbo;
	struct group group = {.space = space};
	uint32_t *link = &limbo->ripe[count % LIMBO_KINDS];

	pthread_mutex_lock(&limbo->lock);
	for (unsigned looks = 0; *link && looks < RIPE_LOOKS && group.count == 0; looks++) {
		struct mapping *mapping = mapping_at(space, *link);

		if (mapping->run.count == count) {
			add_to_group(&group, *link);
			*link = mapping->next;
			*out = mapping->run;
			mapping->place = PLACE_NONE;
			limbo->ripe_count--;
		} else {
			link = &mapping->next;
		}
	}
	pthread_mutex_unlock(&limbo->lock);
	if (group.count == 0)
		return false;
	land_group(&group);
	return true;
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
	overdue = take_all_ripe(space);
	pthread_mutex_unlock(&limbo->lock);
	refused = unmap_list(space, overdue);
	runs = land_those_without_run(space, limbo->flying);

	pthread_mutex_lock(&limbo->lock);
	ripen(space, runs);
	ripen(space, refused); /* tried again with the others, and good for use in the meantime */
	limbo->flying = 0;
	limbo->in_flight = false;
	limbo->done = limbo->batches;
	limbo->stuck = runs == 0 && refused != 0;
	if (limbo->first || limbo->batches < limbo->wanted || (limbo->ripe_count && !limbo->stuck))
		send(limbo);
	pthread_cond_broadcast(&limbo->changed);
	pthread_mutex_unlock(&limbo->lock);
	pthread_mutex_unlock(&limbo->working);
}

/* Under limbo.lock, when none is in flight: what has come. */
static void send(struct limbo *limbo)
{
	limbo->flying = limbo->first;
	limbo->first = limbo->last = 0;
	limbo->in_flight = true;
	limbo->batches++;
	limbo->item.release = land;
	rcu_defer(&limbo->item);
}

void limbo_add(struct space *space, uint32_t slot)
{
	struct limbo *limbo = &space->limbo;
	struct mapping *mapping = mapping_at(space, slot);

	if (TWIN_BROKEN(210) && mapping->place == PLACE_RUN) /* does not wait for readers */
		unmap_run(space, mapping->run);
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

/* Under limbo.lock, which it gives back while it waits. */
static void wait_for_batch(struct limbo *limbo)
{
	uint64_t ticket = order_batch(limbo);

	while (limbo->done < ticket)
		pthread_cond_wait(&limbo->changed, &limbo->lock);
}

int limbo_drain(struct space *space)
{
	struct limbo *limbo = &space->limbo;
	int error;

	rcu_kick();
	pthread_mutex_lock(&limbo->lock);
	if (limbo->in_flight || limbo->first)
		wait_for_batch(limbo); /* lands what was there, and makes its runs ripe */
	if (limbo->in_flight || limbo->ripe_count) /* in flight: it may be unmapping what was ripe */
		wait_for_batch(limbo);
	error = limbo->stuck ? -ENOMEM : 0;
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
