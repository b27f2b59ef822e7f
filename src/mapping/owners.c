/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Which owners there are: how they come, what there is to know of them, and how the records of those that are gone are used again. */
#include "mapping/owners.h"

#include <errno.h>

#include "mapping/slots.h"
#include "reclaim/limbo.h"

/* Nothing of it is left: its id is free. */
static void retire(struct space *space, struct owner *owner)
{
	if (owner->ticket)
		return;
	owner_forget(&space->owners, owner);
	owner->ticket = limbo_next_batch(&space->limbo);
}

static void append_finished(struct space *space, struct owner *owner)
{
	owner->next = 0;
	if (space->finished)
		owner_at(&space->owners, space->last_finished)->next = owner->number;
	else
		space->finished = owner->number;
	space->last_finished = owner->number;
}

void space_sweep_owners(struct space *space)
{
	uint32_t number = owner_take_gone(&space->owners);

	while (number) {
		struct owner *owner = owner_at(&space->owners, number);

		number = owner->next;
		retire(space, owner);
		append_finished(space, owner);
	}
	while (space->finished) {
		struct owner *owner = owner_at(&space->owners, space->finished);

		if (!limbo_is_done(&space->limbo, owner->ticket))
			return;
		space->finished = owner->next;
		space_give_slots(space, owner);
		owner_recycle(&space->owners, owner); /* no reader knows it: its number may be used again */
	}
}

int space_create_owner(struct space *space, const struct ist_owner_config *config)
{
	struct owner *owner;
	int error = config->id == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	space_sweep_owners(space);
	owner = owner_find(&space->owners, config->id);
	/* It may not be on the list yet: whoever put the last of it stopped before that. */
	if (owner && atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_GONE)
		retire(space, owner);
	error = owner_create(&space->owners, config);
	space_leave(space);
	return error;
}

/* With space.lock held. */
static struct ist_owner_stats stats_of(struct owner *owner)
{
	struct ist_owner_stats stats;

	pthread_mutex_lock(&owner->lock);
	stats = (struct ist_owner_stats){
	        .mappings = atomic_load_explicit(&owner->left, memory_order_relaxed) - !owner->walked -
	                    owner->owed,
	        .pages = atomic_load_explicit(&owner->pages, memory_order_relaxed),
	        .cached = owner->cached,
	        .refused = owner->refused,
	        .dying = !owner_is_live(owner),
	};
	pthread_mutex_unlock(&owner->lock);
	return stats;
}

int space_owner_stats(struct space *space, uint32_t id, struct ist_owner_stats *out)
{
	struct owner *owner;
	int error = space_enter(space);

	if (error)
		return error;
	space_sweep_owners(space);
	owner = owner_find(&space->owners, id);
	if (!owner || atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_GONE) {
		space_leave(space);
		return -ENOENT;
	}
	*out = stats_of(owner);
	space_leave(space);
	return 0;
}

uint32_t space_next_owners(struct space *space, uint32_t *number, struct space_owner *out, uint32_t room)
{
	uint32_t count = 0;

	if (!space_is_open(space) || space_enter(space))
		return 0;
	for (; count < room && *number <= space->owners.slots.made; ++*number) {
		struct owner *owner = owner_at(&space->owners, *number);
		uint32_t state = atomic_load_explicit(
		        &owner->state, memory_order_relaxed); /* under the lock, but for GONE */

		if (state == OWNER_LIVE || state == OWNER_DYING)
			out[count++] = (struct space_owner){owner->id, stats_of(owner)};
	}
	space_leave(space);
	return count;
}
