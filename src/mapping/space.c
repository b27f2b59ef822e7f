/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mapping/atfork.h"
#include "mapping/sharing.h"
#include "platform/platform.h"

#define WINDOW_DEFAULT (UINT64_C(64) << 30)

void space_init(struct space *space)
{
	pthread_mutex_init(&space->lock, NULL);
	limbo_init(&space->limbo);
	slots_init(&space->slots, sizeof(struct mapping));
	slots_init(&space->backings.slots, sizeof(struct backing));
	stock_init(&space->links, sizeof(struct link), sizeof(struct link_more), NODE_NUMBER - 1);
	stock_init(&space->groups, sizeof(struct group), 0, NODE_NUMBER - 1);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_init(&space->sharing[i], NULL);
	space->secret = platform_random();
	atfork_enlist_space(
	        space); /* not later under space.lock, which the fork hook takes inside the list's */
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
	atfork_start_spaces();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_mutex_lock(&space->lock);
	cancel_state = before;
	if (!space_is_open(space))
		error = open_space(space);
	if (error)
		space_leave(space);
	return error;
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
		owner_put(owner[owed], 0, count[owed]); /* may call the owner's `gone` */
	}
	pthread_setcancelstate(cancel_state, &unused);
}

int space_use(struct space *space)
{
	uint64_t size = space->config.window_size ? space->config.window_size : WINDOW_DEFAULT;
	int error = space->window.base ? 0 : window_open(&space->window, size, platform_page_size());

	if (!error)
		space->used = true;
	return error;
}

static void drop_ranges(struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++)
		free(ranges->item[i]);
	free(ranges->item);
}

int space_close(struct space *space)
{
	if (space_is_open(space)) {
		if (space->mappings)
			return -EBUSY;
		cache_shrink(space, 0);
		/*
		 * What cannot be unmapped singly goes with the whole window. Twice: a range inside another one's pages
		 * holds that until it has landed itself.
		 */
		limbo_drain(space);
		limbo_drain(space);
		if (atomic_load_explicit(&space->referenced, memory_order_relaxed))
			return -EBUSY;
		index_drop(&space->index);
		owner_table_drop(&space->owners);
		drop_ranges(&space->protections);
	}
	atfork_delist_space(space);
	for (uint32_t i = 1; i <= space->backings.slots.made; i++)
		backing_empty(space_backing(space, i));
	slots_drop(&space->backings.slots);
	window_close(&space->window);
	for (uint32_t slot = 1; slot <= space->slots.made; slot++)
		free(mapping_at(space, slot)->many);
	slots_drop(&space->slots);
	stock_drop(&space->links);
	stock_drop(&space->groups);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_destroy(&space->sharing[i]);
	limbo_destroy(&space->limbo);
	pthread_mutex_destroy(&space->lock);
	return 0;
}

uint32_t space_take_slot(struct space *space)
{
	struct mapping *mapping;
	uint32_t slot;

	if (!space->unused)
		space->unused = limbo_take_landed(space);
	slot = space->unused;
	if (!slot)
		return slots_make(&space->slots);
	mapping = mapping_at(space, slot);
	space->unused = mapping->next;
	groups_give(space, &mapping->dead);
	/* Nobody reads it but with a stale handle, and of that only these two words before the rest is right. */
	atomic_store_explicit(&mapping->refs, 0, memory_order_relaxed);
	memset(&mapping->segments, 0, sizeof(*mapping) - offsetof(struct mapping, segments));
	return slot;
}

struct backing *space_find_backing(struct space *space, uint64_t page)
{
	struct pamap_value value;

	return pamap_lookup(space->by_paddr, page * IST_PAGE_SIZE, 1, &value)
	               ? space_backing(space, value.handle)
	               : NULL;
}

void space_link(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);

	mapping->previous = 0;
	mapping->next = owner->first;
	if (owner->first)
		mapping_at(space, owner->first)->previous = slot;
	owner->first = slot;
}

void space_unlink(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);

	if (mapping->previous)
		mapping_at(space, mapping->previous)->next = mapping->next;
	else
		mapping_owner(space, mapping)->first = mapping->next;
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
