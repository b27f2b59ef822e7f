/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The end of an owner. begin hides all that he has: by his state, which all lookups ask. The steps then end his mappings one by one, as unregister does, and last comes his client memory.
 *
 * If the thread that steps stops for good, another one goes on where it was: progress is in the owner's record.
 */
#include <errno.h>

#include "base/probe.h"
#include "client/client_pool.h"
#include "mapping/space.h"

/* Hide all that he has at once: see owner_is_shown, which reads in the opposite order. */
static void begin(struct space *space, struct owner *owner)
{
	uint64_t hiding = atomic_load_explicit(&space->hiding, memory_order_relaxed);
	uint32_t number = (uint32_t)(hiding >> 32) + 1;

	if (!owner_is_live(owner))
		return;
	atomic_store_explicit(&owner->hidden, number, memory_order_relaxed);
	/* Whoever has his lock alone has finished, and does not begin any more: from here on all of his is under the space's. */
	pthread_mutex_lock(&owner->lock);
	atomic_store_explicit(&owner->state, OWNER_DYING, memory_order_release);
	pthread_mutex_unlock(&owner->lock);
	atomic_store_explicit(&space->hiding, (uint64_t)number << 32 | ((uint32_t)hiding + 1),
	                      memory_order_release);
	PROBE(owner_end, owner->id);
}

/* Nothing of his is in a node, but what is held. Release: a lookup that goes by the nodes alone again sees them so. */
static void end_hiding(struct space *space)
{
	atomic_fetch_sub_explicit(&space->hiding, 1, memory_order_release);
}

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

/* Clear away the owners of whom nothing is left; each is looked at once, and once more when readers have gone by. */
static void sweep(struct space *space)
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

/* Some of the owner's mappings; *budget is what is left of it. */
static void end_mappings(struct space *space, struct owner *owner, uint32_t *budget)
{
	for (; owner->first_cached && *budget > 0; (*budget)--)
		cache_drop(space, owner->first_cached);
	while (owner->first && *budget > 0)
		space_end_some(space, owner->first, budget);
	if (!owner->first && !owner->first_cached && !owner->shown_again) {
		owner->shown_again = true;
		end_hiding(space);
	}
}

/*
 * Some of the owner's client memory. Whoever frees it at the same time has freed it, and that is as good; where the system
 * refuses what an isolated buffer needs, it stays for the next step.
 */
static int free_client(struct space *space, struct owner *owner, uint32_t *budget)
{
	int more = client_pool_end_owner(space->client, owner->id, &owner->client_at, budget);

	if (more < 0)
		return more;
	owner->client_done = !more;
	return 0;
}

/* 1: more to do. */
static int step(struct space *space, struct owner *owner, uint32_t budget)
{
	int error = 0;

	end_mappings(space, owner, &budget);
	if (budget > 0 && !owner->client_done)
		error = free_client(space, owner, &budget);
	if (error)
		return error;
	if (budget > 0 && owner->client_done && !owner->elsewhere_done)
		owner->elsewhere_done =
		        !space->free_elsewhere ||
		        !space->free_elsewhere(space->elsewhere, owner->id, &owner->elsewhere_at, &budget);
	return owner->first || owner->first_cached || !owner->client_done || !owner->elsewhere_done ? 1 : 0;
}

/* With the lock held, the owner that is being destroyed; null: there is none. */
static struct owner *find_dying(struct space *space, uint32_t id)
{
	struct owner *owner = owner_find(&space->owners, id);

	return owner && atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_DYING ? owner
	                                                                                         : NULL;
}

static int check(const struct ist_manager *manager, uint32_t id)
{
	return !manager || id == 0 ? -EINVAL : 0;
}

int ist_owner_create(struct ist_manager *manager, const struct ist_owner_config *config)
{
	struct space *space = space_of(manager);
	struct owner *owner;
	int error = !config ? -EINVAL : check(manager, config->id);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	sweep(space);
	owner = owner_find(&space->owners, config->id);
	/* It may not be on the list yet: whoever put the last of it stopped before that. */
	if (owner && atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_GONE)
		retire(space, owner);
	error = owner_create(&space->owners, config);
	space_leave(space);
	return error;
}

int ist_owner_destroy_begin(struct ist_manager *manager, uint32_t id)
{
	struct space *space = space_of(manager);
	struct owner *owner;
	int error = check(manager, id);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	owner = owner_find(&space->owners, id);
	if (owner && atomic_load_explicit(&owner->state, memory_order_relaxed) != OWNER_GONE)
		begin(space, owner);
	space_leave(space);
	return error;
}

int ist_owner_destroy_step(struct ist_manager *manager, uint32_t id, uint32_t budget)
{
	struct space *space = space_of(manager);
	struct owner *owner;
	bool ended = false;
	int error = check(manager, id);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	owner = find_dying(space, id);
	if (!owner && owner_find(&space->owners, id) && owner_is_live(owner_find(&space->owners, id)))
		error = -EINVAL;
	if (owner && !owner->walked) {
		error = step(space, owner, budget ? budget : 1);
		ended = owner->walked = error == 0;
	}
	/* The walk's own share of the owner: here he may be gone. His `gone` is called without the lock. */
	space_leave(space);
	if (ended)
		owner_put(owner, 0, 0, 1);
	if (error)
		return error;
	error = space_enter(space);
	if (error)
		return error;
	sweep(space);
	error = find_dying(space, id) ? -EBUSY : 0;
	space_leave(space);
	return error;
}

int ist_owner_destroy(struct ist_manager *manager, uint32_t id)
{
	int error = ist_owner_destroy_begin(manager, id);

	while (!error) {
		error = ist_owner_destroy_step(manager, id, 256);
		if (error != 1)
			return error;
		error = 0;
	}
	return error;
}

/* With the keeper's lock held. */
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

int ist_owner_stats(struct ist_manager *manager, uint32_t id, struct ist_owner_stats *out)
{
	struct space *space = space_of(manager);
	struct owner *owner;
	int error = !manager || !out ? -EINVAL : space_enter(space);

	if (error)
		return error;
	sweep(space);
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
