/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/unregister.h"

#include <errno.h>

#include "backing/page_tree.h"
#include "base/mutant.h"
#include "mapping/handle.h"
#include "mapping/range.h"
#include "reclaim/cache.h"
#include "reclaim/limbo.h"
#include "reclaim/resting.h"

void space_bury(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint32_t all = UINT32_MAX, parent = mapping->place == PLACE_PARENT ? mapping->run.first : 0;

	if (atomic_load_explicit(&mapping->held, memory_order_relaxed)) {
		if (mapping->kind == MAPPING_RANGE)
			range_withdraw(space, slot, &all);
		else
			page_tree_withdraw(space, slot, &all);
	}
	limbo_add(space, slot);
	/* Now, so that whoever looks sees no more than there is: who may know this one's pages holds up the parent's grace period as well. */
	if (parent)
		space_drop_hold(space, parent);
}

/* The mapping has no references and gives none. The owner's counters first: the slot is the limbo's afterwards. */
void space_ended(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	uint64_t pages = mapping->pages, stretches = mapping->stretches;

	atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed);
	space_bury(space, slot);
	owner_put(owner, pages, stretches, 1);
}

void space_drop_hold(struct space *space, uint32_t slot)
{
	if (atomic_fetch_sub_explicit(&mapping_at(space, slot)->refs, REFS_HOLD, memory_order_acq_rel) ==
	    REFS_HOLD) /* [space.S3] */
		space_ended(space, slot);
}

void space_owe(struct space *space, struct owner *owner)
{
	if (owner->owed++ == 0) {
		owner->next_owed = space->owed;
		space->owed = owner->number;
	}
}

void space_drop_hold_inside(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	uint64_t pages = mapping->pages, stretches = mapping->stretches;

	if (atomic_fetch_sub_explicit(&mapping->refs, REFS_HOLD, memory_order_acq_rel) !=
	    REFS_HOLD) /* [space.S3] */
		return;
	atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed);
	space_bury(space, slot);
	owner_give_back(owner, pages, stretches);
	space_owe(space, owner);
}

/* Nothing is to be unmapped, nothing to be taken out of nodes, nobody waits. */
static bool is_just_forgotten(const struct mapping *mapping)
{
	return mapping->kind == MAPPING_PAGES && mapping->place == PLACE_VIEW &&
	       !atomic_load_explicit(&mapping->held, memory_order_relaxed);
}

/* Under the owner's lock. */
static void end_last(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	uint64_t pages = mapping->pages, stretches = mapping->stretches;

	if (is_just_forgotten(mapping))
		rest(space, owner, slot);
	else if (atomic_load_explicit(&mapping->held, memory_order_relaxed) || !cache_keep(space, slot))
		space_bury(space, slot);
	owner_put(owner, pages, stretches, 1);
}

/*
 * Clear LIVE and take a hold: [space.S2]. Who has references now keeps the pages in their nodes (`held`); nobody gets one
 * after this. Acquire: where there are none, it ends with our hold, after all that was done by those who have put theirs [space.S3].
 */
static int claim(struct mapping *mapping, bool try)
{
	uint64_t refs = atomic_load_explicit(&mapping->refs, memory_order_relaxed);

	do {
		if (!(refs & REFS_LIVE))
			return -ENOENT;
		if (try && (refs & REFS_ANY) != 0)
			return -EBUSY;
	} while (!atomic_compare_exchange_weak_explicit(&mapping->refs, &refs,
	                                                (refs & REFS_ANY) + (IS_MUTANT(213) ? 0 : REFS_HOLD),
	                                                memory_order_acquire, memory_order_relaxed));
	atomic_store_explicit(&mapping->held, (refs & REFS_ANY) != 0, memory_order_relaxed);
	return 0;
}

/* Some of what it has in nodes; *budget is what is left of so many stretches. */
static void withdraw(struct space *space, uint32_t slot, uint32_t *budget)
{
	const struct mapping *mapping = mapping_at(space, slot);

	if (mapping->linked == 0) /* what is held stays until space_bury */
		return;
	if (mapping->kind == MAPPING_RANGE)
		range_withdraw(space, slot, budget);
	else
		page_tree_withdraw(space, slot, budget);
}

/* It was claimed, and is in no node any more, unless it is held. True: it has ended. */
static bool finish(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	bool last;

	if (mapping->cookie)
		index_remove(&owner->cookies, index_hash(&owner->cookies, mapping->cookie, 0), slot);
	space_unlink(space, &owner->first, slot);
	space_count(owner, mapping, false);
	if (!atomic_load_explicit(&mapping->held, memory_order_relaxed) && !IS_MUTANT(213)) {
		/* There were no references but our hold when it was claimed, and none is given since: nobody else changes it. */
		atomic_store_explicit(&mapping->refs, 0, memory_order_relaxed);
		end_last(space, slot);
		return true;
	}
	/* Before our hold goes: the last putter counts it out again. */
	atomic_fetch_add_explicit(&space->referenced, 1, memory_order_relaxed);
	if (IS_MUTANT(213)) /* has no hold of its own */
		last = (atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_ANY) == 0;
	else
		last = atomic_fetch_sub_explicit(&mapping->refs, REFS_HOLD, memory_order_acq_rel) ==
		       REFS_HOLD; /* [space.S3] */
	if (last) {
		atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed);
		end_last(space, slot);
	}
	return last;
}

/* Under the owner's lock. */
static int end_slot(struct space *space, uint32_t slot, bool try, bool *last)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint32_t all = UINT32_MAX;
	int error;

	if (mapping->links)
		__builtin_prefetch(link_more(space, mapping->links), 1); /* what announces it [backing.C2] */
	error = claim(mapping, try);
	if (error)
		return error;
	withdraw(space, slot, &all);
	*last = finish(space, slot);
	return 0;
}

int space_end(struct space *space, uint32_t slot, bool try, bool *last)
{
	struct owner *owner = mapping_owner(space, mapping_at(space, slot));
	int error;

	pthread_mutex_lock(&owner->lock);
	error = end_slot(space, slot, try, last);
	pthread_mutex_unlock(&owner->lock);
	return error;
}

void space_end_some(struct space *space, uint32_t slot, uint32_t *budget)
{
	struct owner *owner = mapping_owner(space, mapping_at(space, slot));

	pthread_mutex_lock(&owner->lock);
	claim(mapping_at(space, slot), false); /* or an earlier step did */
	withdraw(space, slot, budget);
	if (*budget > 0) {
		finish(space, slot);
		(*budget)--;
	}
	pthread_mutex_unlock(&owner->lock);
}

/* What unregister does when it has given back its locks: wait for who has references. */
struct ending {
	uint32_t slot, generation;
	bool last;
};

/* Under the owner's lock. */
static int begin_ending(struct space *space, uint32_t slot, unsigned flags, struct ending *ending)
{
	const struct mapping *mapping = mapping_at(space, slot);

	if (!mapping)
		return -ENOENT;
	ending->slot = slot;
	ending->generation = atomic_load_explicit(&mapping->generation, memory_order_relaxed);
	return end_slot(space, slot, flags & IST_UNREGISTER_TRY, &ending->last);
}

static void wait_for_end(struct space *space, const struct ending *ending)
{
	if (!ending->last)
		limbo_wait_end(space, ending->slot, ending->generation);
}

/* What goes without the lock of the space: what the cache, which is under that, would not keep. */
static bool may_end_alone(const struct space *space, const struct mapping *mapping)
{
	return mapping->place == PLACE_VIEW || (mapping->place == PLACE_RUN && space->config.cache_size == 0);
}

/* Under the owner's lock alone, which it gives back. 1: this is not enough. */
static int unregister_alone(struct space *space, struct owner *owner, uint32_t slot, unsigned flags)
{
	const struct mapping *mapping = mapping_at(space, slot);
	struct ending ending = {.last = true};
	int error = 1;

	if (mapping->kind == MAPPING_PAGES && may_end_alone(space, mapping))
		error = begin_ending(space, slot, flags, &ending);
	space_leave_owner(owner);
	wait_for_end(space, &ending);
	return error;
}

static bool is_pages_with_cookie(void *context, uint32_t slot)
{
	const struct cookie_query *query = context;

	return mapping_at(query->space, slot)->kind == MAPPING_PAGES && space_has_cookie(query, slot);
}

/* Under the owner's lock. */
static int find_to_end(struct space *space, struct owner *owner, uint64_t cookie, uint32_t *slot)
{
	const struct mapping *mapping;

	*slot = space_find_cookie(space, owner, cookie, is_pages_with_cookie);
	mapping = mapping_at(space, *slot);
	if (!mapping)
		return -ENOENT;
	return atomic_load_explicit(&mapping->guarded, memory_order_relaxed) ? -EPERM : 0;
}

static int unregister_cookie_alone(struct space *space, uint32_t id, uint64_t cookie, unsigned flags)
{
	struct owner *owner = space_is_open(space) ? space_enter_owner(space, id) : NULL;
	uint32_t slot;
	int error;

	if (!owner)
		return 1;
	error = find_to_end(space, owner, cookie, &slot);
	if (!error)
		return unregister_alone(space, owner, slot, flags);
	space_leave_owner(owner);
	return error;
}

static int unregister_cookie(struct space *space, uint32_t id, uint64_t cookie, unsigned flags)
{
	struct ending ending = {.last = true};
	int error = space_enter(space);
	struct owner *owner;
	uint32_t slot;

	if (error)
		return error;
	owner = owner_find(&space->owners, id);
	error = owner ? 0 : -ENOENT;
	if (owner) {
		pthread_mutex_lock(&owner->lock);
		error = find_to_end(space, owner, cookie, &slot);
		if (!error)
			error = begin_ending(space, slot, flags, &ending);
		pthread_mutex_unlock(&owner->lock);
	}
	space_leave(space);
	wait_for_end(space, &ending);
	return error;
}

int space_unregister(struct space *space, uint32_t owner, uint64_t cookie, unsigned flags)
{
	int error;

	if (cookie == 0 || (flags & ~IST_UNREGISTER_TRY))
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	error = unregister_cookie_alone(space, owner, cookie, flags);
	return error == 1 ? unregister_cookie(space, owner, cookie, flags) : error;
}

/* In a read section, so that the record stays what it was until the owner's lock is had; after that LIVE says it. */
static struct owner *lock_owner_of(struct space *space, const struct ist_mapping *handle)
{
	const struct mapping *mapping;
	struct owner *owner;

	rcu_enter();
	mapping = handle_find_with(space, handle, REFS_LIVE);
	owner = mapping ? mapping_owner(space, mapping) : NULL;
	rcu_leave();
	if (!owner)
		return NULL;
	pthread_mutex_lock(&owner->lock);
	mapping = handle_find_with(space, handle, REFS_LIVE);
	if (mapping && mapping_owner(space, mapping) == owner)
		return owner;
	pthread_mutex_unlock(&owner->lock);
	return NULL;
}

static int unregister_handle(struct space *space, const struct ist_mapping *handle, enum mapping_kind kind,
                             unsigned flags)
{
	struct ending ending = {.last = true};
	struct owner *owner;
	int error = space_enter(space);

	if (error)
		return error;
	owner = lock_owner_of(space, handle);
	error = owner ? 0 : -ENOENT;
	if (owner) {
		error = mapping_at(space, handle->slot)->kind == kind
		                ? begin_ending(space, handle->slot, flags, &ending)
		                : -EINVAL;
		pthread_mutex_unlock(&owner->lock);
	}
	space_leave(space);
	wait_for_end(space, &ending);
	return error;
}

/* The owner's id, of a mapping that is alive; false: it is none of those that need no other lock than his. */
static bool owner_alone(struct space *space, const struct ist_mapping *handle, uint32_t *id)
{
	const struct mapping *mapping;
	bool is_alone;

	rcu_enter();
	mapping = handle_find_with(space, handle, REFS_LIVE);
	is_alone = mapping && may_end_alone(space, mapping);
	if (is_alone)
		*id = mapping_owner(space, mapping)->id;
	rcu_leave();
	return is_alone;
}

static int unregister_handle_alone(struct space *space, const struct ist_mapping *handle, unsigned flags)
{
	const struct mapping *mapping;
	struct owner *owner;
	uint32_t id;

	if (!space_is_open(space) || !owner_alone(space, handle, &id))
		return 1;
	owner = space_enter_owner(space, id);
	if (!owner)
		return 1;
	mapping = handle_find_with(space, handle, REFS_LIVE);
	if (mapping && mapping_owner(space, mapping) == owner)
		return unregister_alone(space, owner, handle->slot, flags);
	space_leave_owner(owner);
	return 1;
}

int space_unregister_handle(struct space *space, const struct ist_mapping *handle, enum mapping_kind kind,
                            unsigned flags)
{
	int error = 1;

	if (flags & ~IST_UNREGISTER_TRY)
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	if (kind == MAPPING_PAGES)
		error = unregister_handle_alone(space, handle, flags);
	return error == 1 ? unregister_handle(space, handle, kind, flags) : error;
}

int space_flush(struct space *space)
{
	int error = space_enter(space);

	if (error)
		return error;
	cache_shrink(space, 0);
	space_leave(space);
	return 0;
}

int space_drain(struct space *space)
{
	int error = space_enter(space);

	if (error)
		return error;
	space_leave(space);
	return limbo_drain(space);
}
