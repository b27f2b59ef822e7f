/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mapping/atfork.h"
#include "platform/platform.h"

#define WINDOW_DEFAULT (UINT64_C(64) << 30)

void space_init(struct space *space)
{
	pthread_mutex_init(&space->lock, NULL);
	limbo_init(&space->limbo);
	slots_init(&space->slots, sizeof(struct mapping));
	atfork_enlist_space(space); /* not later under space.lock, which the fork hook takes inside the list's */
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

int space_enter(struct space *space)
{
	int error = 0;

	if (!space)
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	atfork_start_spaces();
	pthread_mutex_lock(&space->lock);
	if (!space_is_open(space))
		error = open_space(space);
	if (error)
		pthread_mutex_unlock(&space->lock);
	else if (space->stuck)
		retract_stuck(space);
	return error;
}

void space_leave(struct space *space)
{
	pthread_mutex_unlock(&space->lock);
}

int space_use(struct space *space)
{
	uint64_t size = space->config.window_size ? space->config.window_size : WINDOW_DEFAULT;

	space->used = true;
	if (space->window.base)
		return 0;
	return window_open(&space->window, size, platform_page_size());
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
		if (space->mappings || atomic_load_explicit(&space->referenced, memory_order_relaxed))
			return -EBUSY;
		cache_shrink(space, 0);
		limbo_drain(space); /* what cannot be unmapped singly goes with the whole window */
		index_drop(&space->index);
		owner_table_drop(&space->owners);
		for (size_t i = 0; i < space->backings.count; i++)
			if (!((struct backing *)(void *)space->backings.item[i])->vaddr)
				close(((struct backing *)(void *)space->backings.item[i])->fd);
		drop_ranges(&space->backings);
		drop_ranges(&space->protections);
	}
	atfork_delist_space(space);
	window_close(&space->window);
	slots_drop(&space->slots);
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
	/* Nobody reads it but with a stale handle, and of that only these two words before the rest is right. */
	atomic_store_explicit(&mapping->refs, 0, memory_order_relaxed);
	memset(&mapping->cookie, 0, sizeof(*mapping) - offsetof(struct mapping, cookie));
	return slot;
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
