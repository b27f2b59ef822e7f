/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Lookups and references: no lock, no waiting, but for the last put of a mapping that was unregistered meanwhile. See [space.S1]
 * to [space.S4] in space/record.h.
 */
#include "mapping/lookup.h"

#include <errno.h>

#include "base/mutant.h"
#include "mapping/find.h"
#include "mapping/handle.h"
#include "mapping/unregister.h"

static bool is_live(struct space *space, struct mapping *mapping)
{
	/* Acquire: the record behind it [space.S1]. */
	return (atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_LIVE) &&
	       owner_is_live(mapping_owner(space, mapping));
}

static bool is_live_with_cookie(void *context, uint32_t slot)
{
	const struct cookie_query *query = context;

	/* Live first: the acquire there is what makes the rest readable. */
	return is_live(query->space, mapping_at(query->space, slot)) && space_has_cookie(query, slot);
}

/* In a read section. 0: none. */
static uint32_t find_cookie(struct space *space, uint32_t id, uint64_t cookie)
{
	struct owner *owner = owner_find(&space->owners, id);

	return owner ? space_find_cookie(space, owner, cookie, is_live_with_cookie) : 0;
}

int space_find(struct space *space, uint32_t owner, uint64_t cookie, struct ist_mapping *out)
{
	uint32_t slot;

	if (cookie == 0)
		return -EINVAL;
	if (!space_is_open(space))
		return -ENOENT;
	rcu_enter();
	slot = find_cookie(space, owner, cookie);
	if (slot)
		space_describe(space, slot, out);
	rcu_leave();
	return slot ? 0 : -ENOENT;
}

/* A reference, or a hold. The counts are never near their ends: each was handed to somebody who has memory for it. */
static bool take(struct mapping *mapping, uint64_t one)
{
	uint64_t refs = atomic_load_explicit(&mapping->refs, memory_order_relaxed);

	do {
		if (!(refs & REFS_LIVE) && !IS_MUTANT(211))
			return false;
		if ((refs & REFS_COUNT) == REFS_COUNT)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&mapping->refs, &refs, refs + one,
	                                                memory_order_acquire, /* [space.S3] */
	                                                memory_order_relaxed));
	return true;
}

/* Give back a reference; *ended: it was the last one, and until the slot is in the limbo it is the caller's. False: there is none. */
static bool put_reference(struct mapping *mapping, bool *ended)
{
	uint64_t refs = atomic_load_explicit(&mapping->refs, memory_order_relaxed);

	do {
		if ((refs & REFS_COUNT) == 0)
			return false;
		/* Release: what was done with it; acquire: for the last one, what all others did [space.S3]. */
	} while (!atomic_compare_exchange_weak_explicit(&mapping->refs, &refs, refs - 1, memory_order_acq_rel,
	                                                memory_order_relaxed));
	*ended = refs == 1;
	return true;
}

/*
 * A slot whose use had ended before this section began may live again inside it: whether what was found is what the
 * reference was given to is asked again when it cannot change any more. False: it was given back.
 */
static bool keep_reference(struct space *space, uint32_t slot, bool same)
{
	bool ended = false;

	if (same)
		return true;
	put_reference(mapping_at(space, slot), &ended);
	if (ended)
		space_ended(space, slot);
	return false;
}

/* What the handle names, if it is live. In a read section. */
static struct mapping *find_live(struct space *space, const struct ist_mapping *handle)
{
	struct mapping *mapping = handle_find(space, handle);

	return mapping && is_live(space, mapping) ? mapping : NULL;
}

/* Take a reference, or a hold, of what the handle names: given, unless it turns out that the slot lives again (keep_reference). */
static bool take_of(struct space *space, const struct ist_mapping *handle, uint64_t one)
{
	struct mapping *mapping;
	bool given;

	if (!space_is_open(space))
		return false;
	rcu_enter();
	mapping = find_live(space, handle);
	given = mapping && take(mapping, one);
	rcu_leave();
	return given;
}

bool space_get(struct space *space, const struct ist_mapping *handle)
{
	return take_of(space, handle, 1) &&
	       keep_reference(space, handle->slot, handle_find(space, handle) != NULL);
}

bool space_hold(struct space *space, const struct ist_mapping *handle)
{
	if (!take_of(space, handle, REFS_HOLD))
		return false;
	if (handle_find(space, handle))
		return true;
	space_drop_hold(space, handle->slot); /* as in keep_reference */
	return false;
}

/* Of a mapping that one has a reference to. */
static bool is_of(struct space *space, uint32_t slot, uint32_t owner, uint64_t cookie)
{
	const struct mapping *mapping = mapping_at(space, slot);

	return mapping->cookie == cookie && mapping_owner(space, mapping)->id == owner;
}

int space_find_get(struct space *space, uint32_t owner, uint64_t cookie, struct ist_mapping *out)
{
	bool given;
	uint32_t slot;

	if (cookie == 0)
		return -EINVAL;
	if (!space_is_open(space))
		return -ENOENT;
	rcu_enter();
	slot = find_cookie(space, owner, cookie);
	given = slot && take(mapping_at(space, slot), 1);
	rcu_leave();
	if (!given)
		return -ENOENT;
	if (!keep_reference(space, slot, is_of(space, slot, owner, cookie)))
		return -ENOENT;
	space_describe(space, slot, out);
	return 0;
}

bool space_put(struct space *space, const struct ist_mapping *handle)
{
	struct mapping *mapping;
	bool had, ended = false;

	if (!space_is_open(space))
		return false;
	rcu_enter(); /* so that a handle nobody has a reference to is told, and not mistaken */
	mapping = handle_find(space, handle);
	had = mapping && put_reference(mapping, &ended);
	rcu_leave();
	if (ended)
		space_ended(space, handle->slot);
	return had;
}

static int check_paddr(struct space *space, uint64_t paddr, size_t len)
{
	if (len == 0 || len - 1 > UINT64_MAX - paddr)
		return -EINVAL;
	return space_is_open(space) ? 0 : -ENOENT;
}

/*
 * In the read section of the search. Not whether it is LIVE: while the oldest mapping of a page is being unregistered the next
 * one is registered all the time, so there must be an answer; this one linearizes in the page's node, before the removal there.
 */
static void describe_found(struct space *space, const struct found *found, struct ist_mapping *out,
                           void **vaddr)
{
	space_describe(space, found->slot, out);
	if (vaddr)
		*vaddr = (void *)(uintptr_t)found->to;
}

int space_find_paddr(struct space *space, uint64_t paddr, size_t len, struct ist_mapping *out, void **vaddr)
{
	int error = check_paddr(space, paddr, len);
	struct found found;

	if (error)
		return error;
	rcu_enter();
	if (find_by_paddr(space, paddr, len, NULL, &found))
		describe_found(space, &found, out, vaddr);
	else
		error = -ENOENT;
	rcu_leave();
	return error;
}

int space_find_paddr_of(struct space *space, uint32_t id, uint64_t paddr, size_t len, struct ist_mapping *out,
                        void **vaddr)
{
	int error = check_paddr(space, paddr, len);
	struct owner *owner;
	struct found found;

	if (error)
		return error;
	rcu_enter();
	owner = owner_find(&space->owners, id);
	if (owner && owner_is_live(owner) && find_by_paddr(space, paddr, len, owner, &found))
		describe_found(space, &found, out, vaddr);
	else
		error = -ENOENT;
	rcu_leave();
	return error;
}

int space_unguard(struct space *space, const struct ist_mapping *handle)
{
	struct mapping *mapping;

	if (!space_get(space, handle))
		return -ENOENT;
	mapping = mapping_at(space, handle->slot);
	atomic_store_explicit(&mapping->guarded, false, memory_order_relaxed); /* it orders nothing */
	keep_reference(space, handle->slot, false);
	return 0;
}
