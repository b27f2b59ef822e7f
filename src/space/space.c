/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "space/space.h"

#include <errno.h>

#include "platform/platform.h"

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
