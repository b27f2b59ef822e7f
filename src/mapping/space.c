/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/space.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mapping/sharing.h"
#include "platform/platform.h"

#define WINDOW_DEFAULT (UINT64_C(64) << 30)

void space_init(struct space *space)
{
	pthread_mutex_init(&space->lock, NULL);
	limbo_init(&space->limbo);
	slots_init(&space->slots, sizeof(struct mapping));
	pthread_mutex_init(&space->making, NULL);
	slots_init(&space->backings.slots, sizeof(struct backing));
	stock_init(&space->links, sizeof(struct link), sizeof(struct link_more), NODE_NUMBER - 1);
	stock_init(&space->groups, sizeof(struct group), 0, NODE_NUMBER - 1);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_init(&space->sharing[i], NULL);
	space->secret = platform_random();
	space->waiting_max = WAITING_MAX;
}

/* Under the lock, at the first call of the control path. */
static int open_space(struct space *space)
{
	int error = owner_table_init(&space->owners);

	if (error)
		return error;
	index_init(&space->index);
	atomic_store_explicit(&space->open, true, memory_order_release); /* space_is_open */
	return 0;
}

static _Thread_local int cancel_state; /* of a thread inside */

int space_enter(struct space *space)
{
	int before, error = 0;

	if (!space)
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_mutex_lock(&space->lock);
	cancel_state = before;
	if (!space_is_open(space))
		error = open_space(space);
	if (error)
		space_leave(space);
	return error;
}

static void add_to(_Atomic uint64_t *counter, uint64_t value)
{
	uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, before + value, memory_order_relaxed);
}

void space_count(struct owner *owner, const struct mapping *mapping, bool more)
{
	add_to(&owner->registered, more ? 1 : -UINT64_C(1));
	add_to(&owner->registered_pages, more ? mapping->pages : -mapping->pages);
}

static bool is_any_registered(struct space *space)
{
	for (uint32_t number = 1; number <= space->owners.slots.made; number++)
		if (atomic_load_explicit(&owner_at(&space->owners, number)->registered, memory_order_relaxed))
			return true;
	return false;
}

struct owner *space_enter_owner(struct space *space, uint32_t id)
{
	struct owner *owner;
	int before;

	rcu_enter();
	owner = owner_find(&space->owners, id);
	rcu_leave();
	if (!owner)
		return NULL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_mutex_lock(&owner->lock);
	cancel_state = before;
	/* It may have ended meanwhile, and be another one's record by now. */
	if (owner->id == id && owner_is_live(owner))
		return owner;
	space_leave_owner(owner);
	return NULL;
}

void space_leave_owner(struct owner *owner)
{
	int unused;

	pthread_mutex_unlock(&owner->lock);
	pthread_setcancelstate(cancel_state, &unused);
}

#define OWED_AT_ONCE 8u

/* An owner that is owed something stays, so it may be named after the lock is given back. */
void space_leave(struct space *space)
{
	struct owner *owner[OWED_AT_ONCE];
	uint64_t count[OWED_AT_ONCE];
	unsigned owed = 0;
	int unused;

	for (; space->owed && owed < OWED_AT_ONCE; owed++) {
		owner[owed] = owner_at(&space->owners, space->owed);
		count[owed] = owner[owed]->owed;
		owner[owed]->owed = 0;
		space->owed = owner[owed]->next_owed;
	}
	pthread_mutex_unlock(&space->lock);
	while (owed > 0) {
		owed--;
		owner_put(owner[owed], 0, 0, count[owed]); /* may call the owner's `gone` */
	}
	pthread_setcancelstate(cancel_state, &unused);
}

int space_use(struct space *space)
{
	uint64_t size = space->config.window_size ? space->config.window_size : WINDOW_DEFAULT;
	int error = space->window.base ? 0 : window_open(&space->window, size, platform_page_size());

	if (!error)
		atomic_store_explicit(&space->used, true, memory_order_release);
	return error;
}

int space_settle(struct space *space)
{
	if (!space_is_open(space))
		return 0;
	if (is_any_registered(space))
		return -EBUSY;
	cache_shrink(space, 0);
	/*
	 * What cannot be unmapped singly goes with the whole window. Twice: a range inside another one's pages
	 * holds that until it has landed itself.
	 */
	limbo_drain(space);
	limbo_drain(space);
	return atomic_load_explicit(&space->referenced, memory_order_relaxed) ? -EBUSY : 0;
}

void space_drop(struct space *space)
{
	if (space_is_open(space)) {
		index_drop(&space->index);
		owner_table_drop(&space->owners);
		free(atomic_load_explicit(&space->protections,
		                          memory_order_relaxed)); /* nobody reads any more */
	}
	for (uint32_t i = 1; i <= space->backings.slots.made; i++)
		backing_empty(space_backing(space, i));
	slots_drop(&space->backings.slots);
	window_close(&space->window);
	for (uint32_t slot = 1; slot <= space->slots.made; slot++)
		free(mapping_at(space, slot)->many);
	slots_drop(&space->slots);
	pthread_mutex_destroy(&space->making);
	stock_drop(&space->links);
	stock_drop(&space->groups);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_destroy(&space->sharing[i]);
	limbo_destroy(&space->limbo);
	pthread_mutex_destroy(&space->lock);
}

/* Of those that nobody has, a list of lists (through `older` of their first). Under space.making. 0: none. */
static uint32_t find_unused(struct space *space)
{
	uint32_t slot = space->unused, next;

	if (!slot)
		return 0;
	next = mapping_at(space, slot)->next;
	if (next)
		mapping_at(space, next)->older = mapping_at(space, slot)->older;
	space->unused = next ? next : mapping_at(space, slot)->older;
	mapping_at(space, slot)->next = 0;
	return slot;
}

#define MADE_AT_ONCE 8u /* whole lines: owners whose slots lie side by side would write to the same ones */

/* New ones, as a list. Under space.making. 0: no memory. */
static uint32_t make_slots(struct space *space)
{
	uint32_t first = 0, slot;

	do {
		slot = slots_make(&space->slots);
		if (slot) {
			mapping_at(space, slot)->next = first;
			first = slot;
		}
	} while (slot && slot % MADE_AT_ONCE != 0);
	return first;
}

static uint32_t find_slots(struct space *space)
{
	uint32_t first;

	static_assert(MADE_AT_ONCE * sizeof(struct mapping) % CACHE_LINE == 0, "whole lines");
	pthread_mutex_lock(&space->making);
	first = find_unused(space);
	if (!first)
		first = make_slots(space);
	pthread_mutex_unlock(&space->making);
	return first;
}

uint32_t space_take_slot(struct space *space, struct owner *owner)
{
	struct mapping *mapping;
	uint32_t slot;

	if (!owner->unused)
		owner->unused = rest_over(space, owner);
	if (!owner->unused && atomic_load_explicit(&owner->landed, memory_order_relaxed))
		owner->unused =
		        atomic_exchange_explicit(&owner->landed, 0, memory_order_acquire); /* push_landed */
	if (!owner->unused)
		owner->unused = find_slots(space);
	slot = owner->unused;
	if (!slot)
		return 0;
	owner->unused = mapping_at(space, slot)->next;
	mapping = mapping_at(space, slot);
	groups_give(space, &mapping->dead);
	/*
	 * Nobody reads it but with a stale handle, and of that only these two words before the rest is right. Release: with the
	 * generation, whoever changed that (limbo_wait_end).
	 */
	if (mapping->rested) /* [mapping.Q3] */
		atomic_store_explicit(&mapping->generation,
		                      atomic_load_explicit(&mapping->generation, memory_order_relaxed) + 1,
		                      memory_order_relaxed);
	atomic_store_explicit(&mapping->refs, 0, memory_order_release);
	memset(&mapping->segments, 0, sizeof(*mapping) - offsetof(struct mapping, segments));
	return slot;
}

static void give_slots(struct space *space, uint32_t first)
{
	if (!first)
		return;
	pthread_mutex_lock(&space->making);
	mapping_at(space, first)->older = space->unused;
	space->unused = first;
	pthread_mutex_unlock(&space->making);
}

void space_give_slots(struct space *space, struct owner *owner)
{
	give_slots(space, owner->unused);
	give_slots(space, atomic_exchange_explicit(&owner->landed, 0, memory_order_acquire));
	give_slots(space, rest_take(owner));
	give_slots(space, rest_take(owner));
	owner->unused = 0;
}

struct backing *space_find_backing(struct space *space, uint64_t page)
{
	struct pamap_value value;

	return pamap_lookup(space->by_paddr, page * IST_PAGE_SIZE, 1, &value)
	               ? space_backing(space, value.handle)
	               : NULL;
}

void space_link(struct space *space, uint32_t *first, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);

	mapping->previous = 0;
	mapping->next = *first;
	if (*first)
		mapping_at(space, *first)->previous = slot;
	*first = slot;
}

void space_unlink(struct space *space, uint32_t *first, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);

	if (mapping->previous)
		mapping_at(space, mapping->previous)->next = mapping->next;
	else
		*first = mapping->next;
	if (mapping->next)
		mapping_at(space, mapping->next)->previous = mapping->previous;
}

void space_describe(struct space *space, uint32_t slot, struct ist_mapping *out)
{
	const struct mapping *mapping = mapping_at(space, slot);

	out->vaddr = mapping->vaddr;
	out->size = mapping->size;
	out->cookie = mapping->cookie;
	out->owner = mapping_owner(space, mapping)->id;
	out->attributes = mapping->attributes;
	out->slot = slot;
	out->generation = atomic_load_explicit(&mapping->generation, memory_order_relaxed);
}

uint32_t space_hash(const struct space *space, enum index_kind kind, uint32_t owner, uint64_t a, uint64_t b)
{
	return index_hash(&space->index, (uint64_t)owner << 32 ^ (uint64_t)kind ^ b << 2, a);
}
