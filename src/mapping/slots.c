/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/slots.h"

#include <assert.h>
#include <string.h>

#include "backing/sharing.h"
#include "reclaim/resting.h"

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
	if (!owner->unused && atomic_load_explicit(&owner->released, memory_order_relaxed))
		owner->unused = atomic_exchange_explicit(&owner->released, 0,
		                                         memory_order_acquire); /* push_released */
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
	if (mapping->rested) /* [reclaim.Q3] */
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
	give_slots(space, atomic_exchange_explicit(&owner->released, 0, memory_order_acquire));
	give_slots(space, rest_take(owner));
	give_slots(space, rest_take(owner));
	owner->unused = 0;
}
