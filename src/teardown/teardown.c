/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The begin hides all that he has: by his state, which all lookups ask. The steps then end his mappings one by one, as unregister
 * does; then his client memory, last that in regions of a provider. What a provider handed out for his mappings goes back to it with the
 * next trim (return_ended in provider/provider.c).
 *
 * If the thread that steps stops for good, another one goes on where it was: progress is in the owner's record.
 */
#include "teardown/teardown.h"

#include <errno.h>

#include "base/probe.h"
#include "mapping/owners.h"
#include "mapping/unregister.h"
#include "reclaim/cache.h"

/* Hide all that he has at once: see owner_is_shown in mapping/find.c, which reads in the opposite order. */
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
static int free_client(struct ist_client_pool *client, struct owner *owner, uint32_t *budget)
{
	int more = client_pool_end_owner(client, owner->id, &owner->client_at, budget);

	if (more < 0)
		return more;
	owner->client_done = !more;
	return 0;
}

/* 1: more to do. */
static int step(struct teardown of, struct owner *owner, uint32_t budget)
{
	int error = 0;

	end_mappings(of.space, owner, &budget);
	if (budget > 0 && !owner->client_done)
		error = free_client(of.client, owner, &budget);
	if (error)
		return error;
	if (budget > 0 && owner->client_done && !owner->regions_done)
		owner->regions_done =
		        !regions_free_owner(of.provider, owner->id, &owner->regions_at, &budget);
	return owner->first || owner->first_cached || !owner->client_done || !owner->regions_done ? 1 : 0;
}

/* With the lock held, the owner that is being destroyed; null: there is none. */
static struct owner *find_dying(struct space *space, uint32_t id)
{
	struct owner *owner = owner_find(&space->owners, id);

	return owner && atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_DYING ? owner
	                                                                                         : NULL;
}

int teardown_begin(struct teardown of, uint32_t id)
{
	struct space *space = of.space;
	struct owner *owner;
	int error = id == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	owner = owner_find(&space->owners, id);
	if (owner && atomic_load_explicit(&owner->state, memory_order_relaxed) != OWNER_GONE)
		begin(space, owner);
	space_leave(space);
	return error;
}

int teardown_step(struct teardown of, uint32_t id, uint32_t budget)
{
	struct space *space = of.space;
	struct owner *owner;
	bool ended = false;
	int error = id == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	owner = find_dying(space, id);
	if (!owner && owner_find(&space->owners, id) && owner_is_live(owner_find(&space->owners, id)))
		error = -EINVAL;
	if (owner && !owner->walked) {
		error = step(of, owner, budget ? budget : 1);
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
	space_sweep_owners(space);
	error = find_dying(space, id) ? -EBUSY : 0;
	space_leave(space);
	return error;
}

int teardown_owner(struct teardown of, uint32_t id)
{
	int error = teardown_begin(of, id);

	while (!error) {
		error = teardown_step(of, id, 256);
		if (error != 1)
			return error;
		error = 0;
	}
	return error;
}
