/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>

#include "base/twin.h"
#include "mapping/space.h"

void space_bury(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint32_t all = UINT32_MAX;

	if (atomic_load_explicit(&mapping->held, memory_order_relaxed)) {
		if (mapping->kind == MAPPING_RANGE)
			range_withdraw(space, slot, &all);
		else
			cover_withdraw(space, slot, &all);
	}
	limbo_add(space, slot);
}

/* The mapping has no references and gives none. The owner's counters first: the slot is the limbo's afterwards. */
void space_ended(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	uint64_t pages = mapping->pages;

	atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed);
	space_bury(space, slot);
	owner_put(owner, pages, 1);
}

void space_drop_hold(struct space *space, uint32_t slot)
{
	if (atomic_fetch_sub_explicit(&mapping_at(space, slot)->refs, REFS_HOLD, memory_order_acq_rel) ==
	    REFS_HOLD) /* [S3] */
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
	uint64_t pages = mapping->pages;

	if (atomic_fetch_sub_explicit(&mapping->refs, REFS_HOLD, memory_order_acq_rel) !=
	    REFS_HOLD) /* [S3] */
		return;
	atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed);
	space_bury(space, slot);
	atomic_fetch_sub_explicit(&owner->pages, pages, memory_order_relaxed);
	space_owe(space, owner);
}

static void end_last(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	uint64_t pages = mapping->pages;

	if (atomic_load_explicit(&mapping->held, memory_order_relaxed) || !cache_keep(space, slot))
		space_bury(space, slot);
	owner_put(owner, pages, 1);
}

/*
 * Clear LIVE and take a hold: [S2]. Whoever has references then, and nobody else, keeps the pages in their nodes: there is
 * none but those, for nobody gets one any more.
 */
static int claim(struct mapping *mapping, bool try)
{
	uint64_t refs = atomic_load_explicit(&mapping->refs, memory_order_relaxed);

	do {
		if (!(refs & REFS_LIVE))
			return -ENOENT;
		if (try && (refs & REFS_ANY) != 0)
			return -EBUSY;
	} while (!atomic_compare_exchange_weak_explicit(
	        &mapping->refs, &refs, (refs & REFS_ANY) + (TWIN_BROKEN(213) ? 0 : REFS_HOLD),
	        memory_order_relaxed, memory_order_relaxed));
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
		cover_withdraw(space, slot, budget);
}

/* It was claimed, and is in no node any more, unless it is held. True: it has ended. */
static bool finish(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	bool last;

	if (mapping->cookie)
		index_remove(
		        &space->index,
		        space_hash(space, KEY_COOKIE, mapping_owner(space, mapping)->id, mapping->cookie, 0),
		        slot);
	space_unlink(space, slot);
	space->mappings--;
	space->pages -= mapping->pages;
	/* Before our hold goes: the last putter counts it out again. */
	atomic_fetch_add_explicit(&space->referenced, 1, memory_order_relaxed);
	if (TWIN_BROKEN(213)) /* has no hold of its own */
		last = (atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_ANY) == 0;
	else
		last = atomic_fetch_sub_explicit(&mapping->refs, REFS_HOLD, memory_order_acq_rel) ==
		       REFS_HOLD; /* [S3] */
	if (last) {
		atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed);
		end_last(space, slot);
	}
	return last;
}

int space_end(struct space *space, uint32_t slot, bool try, bool *last)
{
	uint32_t all = UINT32_MAX;
	int error = claim(mapping_at(space, slot), try);

	if (error)
		return error;
	withdraw(space, slot, &all);
	*last = finish(space, slot);
	return 0;
}

void space_end_some(struct space *space, uint32_t slot, uint32_t *budget)
{
	claim(mapping_at(space, slot), false); /* or an earlier step did */
	withdraw(space, slot, budget);
	if (*budget > 0) {
		finish(space, slot);
		(*budget)--;
	}
}

/* Under the lock, which it gives back. */
static int unregister_slot(struct space *space, uint32_t slot, unsigned flags)
{
	uint32_t generation =
	        atomic_load_explicit(&mapping_at(space, slot)->generation, memory_order_relaxed);
	bool last = true;
	int error = space_end(space, slot, flags & IST_UNREGISTER_TRY, &last);

	space_leave(space);
	if (!last)
		limbo_wait_end(space, slot, generation);
	return error;
}

static bool is_pages_with_cookie(void *context, uint32_t slot)
{
	const struct cookie_query *query = context;

	return mapping_at(query->space, slot)->kind == MAPPING_PAGES && space_has_cookie(query, slot);
}

int ist_mapping_unregister(struct ist_manager *manager, uint32_t owner, uint64_t cookie, unsigned flags)
{
	struct space *space = space_of(manager);
	uint32_t slot;
	int error;

	if (cookie == 0 || (flags & ~IST_UNREGISTER_TRY))
		return -EINVAL;
	error = space_enter(space);
	if (error)
		return error;
	slot = space_find_cookie(space, owner, cookie, is_pages_with_cookie);
	if (!slot)
		error = -ENOENT;
	else if (atomic_load_explicit(&mapping_at(space, slot)->guarded, memory_order_relaxed))
		error = -EPERM;
	if (!error)
		return unregister_slot(space, slot, flags);
	space_leave(space);
	return error;
}

int space_unregister_handle(struct space *space, const struct ist_mapping *handle, enum mapping_kind kind,
                            unsigned flags)
{
	struct mapping *mapping;
	int error;

	if (!handle || (flags & ~IST_UNREGISTER_TRY))
		return -EINVAL;
	error = space_enter(space);
	if (error)
		return error;
	mapping = mapping_at(space, handle->slot);
	/* A slot that lives again has the next generation; one that is not registered has no LIVE. */
	if (!mapping ||
	    atomic_load_explicit(&mapping->generation, memory_order_relaxed) != handle->generation ||
	    !(atomic_load_explicit(&mapping->refs, memory_order_relaxed) & REFS_LIVE))
		error = -ENOENT;
	else if (mapping->kind != kind)
		error = -EINVAL;
	if (!error)
		return unregister_slot(space, handle->slot, flags);
	space_leave(space);
	return error;
}

int ist_mapping_unregister_one(struct ist_manager *manager, const struct ist_mapping *handle, unsigned flags)
{
	return space_unregister_handle(space_of(manager), handle, MAPPING_PAGES, flags);
}

int ist_mapping_flush(struct ist_manager *manager)
{
	struct space *space = space_of(manager);
	int error = space_enter(space);

	if (error)
		return error;
	cache_shrink(space, 0);
	space_leave(space);
	return 0;
}

int ist_mapping_drain(struct ist_manager *manager)
{
	struct space *space = space_of(manager);
	int error = space_enter(space);

	if (error)
		return error;
	space_leave(space);
	return limbo_drain(space);
}
