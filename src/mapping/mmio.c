/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * MMIO mappings: found by {physical range} when they are mapped, by {vaddr, len} when they are unmapped. Each distinct range that
 * somebody asked for is a mapping; one that lies inside another's pages (same device, older) has no run of its own but a
 * hold on that one, its parent (PLACE_PARENT, whose slot is in run.first).
 */
#include "mapping/mmio.h"

#include <errno.h>

#include "backing/page_tree.h"
#include "mapping/find.h"
#include "mapping/pages.h"
#include "mapping/place.h"
#include "mapping/register.h"
#include "mapping/request.h"
#include "mapping/slots.h"
#include "mapping/unregister.h"

static uint32_t mmio_hash(const struct space *space, const void *vaddr, uint64_t len)
{
	return space_hash(space, KEY_MMIO, 0, (uint64_t)(uintptr_t)vaddr, len);
}

struct vaddr_query {
	struct space *space;
	const void *vaddr;
	uint64_t len;
};

static bool mmio_is_at(void *context, uint32_t slot)
{
	const struct vaddr_query *query = context;
	const struct mapping *mapping = mapping_at(query->space, slot);

	return mapping->kind == MAPPING_MMIO && mapping->vaddr == query->vaddr && mapping->size == query->len;
}

static uint32_t find_mmio(struct space *space, const void *vaddr, uint64_t len)
{
	struct vaddr_query query = {space, vaddr, len};

	return index_find(&space->index, mmio_hash(space, vaddr, len), mmio_is_at, &query);
}

/* How often it was mapped: in a field that only the cache uses otherwise. */
static uint32_t *count_of(struct space *space, uint32_t slot)
{
	return &mapping_at(space, slot)->older;
}

/* A mapping whose pages hold the range already, and where the range lies there; 0: none. */
static uint32_t find_parent(struct space *space, uint64_t paddr, size_t len, char **vaddr)
{
	struct found found;
	bool is_there;

	rcu_enter();
	is_there = find_by_paddr(space, paddr, len, owner_at(&space->owners, OWNER_HOST), &found) &&
	           mapping_at(space, found.slot)->kind == MAPPING_MMIO;
	rcu_leave();
	if (!is_there)
		return 0;
	*vaddr = (char *)(uintptr_t)found.to;
	return found.slot;
}

static int enter_mmio(struct space *space, uint32_t slot)
{
	const struct mapping *mapping = mapping_at(space, slot);
	bool last;
	int error = index_insert(&space->index, mmio_hash(space, mapping->vaddr, mapping->size), slot);

	if (error)
		space_end(space, slot, false, &last);
	else
		*count_of(space, slot) = 1;
	return error;
}

static int map_new(struct space *space, uint64_t paddr, size_t len, void **vaddr)
{
	struct request request = {.offset = paddr % IST_PAGE_SIZE, .size = len, .kind = MAPPING_MMIO};
	uint64_t pages = pages_needed(request.offset, len), offset = paddr - space->carve_out->paddr;
	uint32_t slot;
	int error;

	if (pages == 0)
		return -EINVAL;
	if (offset < space->carve_out->size || space->carve_out->paddr - paddr < len)
		return -EACCES;
	pages_init(&request.list);
	error = pages_add(&request.list, paddr / IST_PAGE_SIZE, pages);
	if (!error)
		error = space_register(space, &request, &slot);
	if (!error)
		error = enter_mmio(space, slot);
	if (!error)
		*vaddr = mapping_at(space, slot)->vaddr;
	return error;
}

/* Its segments, and those into their nodes. */
static int enter_inside(struct space *space, uint32_t slot, uint64_t paddr)
{
	struct request request = {.kind = MAPPING_MMIO};
	struct placing plan;
	uint32_t all = UINT32_MAX;
	int error;

	pages_init(&request.list);
	error = pages_add(&request.list, paddr / IST_PAGE_SIZE, mapping_at(space, slot)->pages);
	if (!error)
		error = place_check(space, &request, &plan);
	if (!error)
		error = space_make_segments(space, slot, &request, &plan);
	if (!error)
		error = page_tree_enter(space, slot, false);
	if (error)
		page_tree_withdraw(space, slot, &all);
	return error;
}

static uint32_t take_slot(struct space *space, struct owner *owner)
{
	uint32_t slot;

	pthread_mutex_lock(&owner->lock);
	slot = space_take_slot(space, owner);
	pthread_mutex_unlock(&owner->lock);
	return slot;
}

/* A range inside the pages of another one: a mapping with the same addresses. */
static int map_inside(struct space *space, uint32_t parent, uint64_t paddr, size_t len, char *vaddr)
{
	struct owner *owner = owner_at(&space->owners, OWNER_HOST);
	uint32_t slot = take_slot(space, owner);
	struct mapping *mapping = mapping_at(space, slot);
	struct mapping *of = mapping_at(space, parent);
	int error;

	if (!mapping)
		return -ENOMEM;
	mapping->serial = atomic_fetch_add_explicit(&space->serial, 1, memory_order_relaxed);
	mapping->size = len;
	mapping->vaddr = vaddr;
	mapping->owner = OWNER_HOST;
	mapping->offset = (uint16_t)(paddr % IST_PAGE_SIZE);
	mapping->attributes = of->attributes;
	mapping->kind = MAPPING_MMIO;
	mapping->pages = pages_needed(mapping->offset, len);
	mapping->place = PLACE_PARENT;
	mapping->run = (struct run){parent, 0};
	/* It has one that we know under the lock: LIVE, or that of the range inside it which led here. So it has not ended. */
	atomic_fetch_add_explicit(&of->refs, REFS_HOLD, memory_order_relaxed);
	error = enter_inside(space, slot, paddr);
	if (error) {
		space_bury(space, slot);
		return error;
	}
	mapping->stretches = 1;
	owner_hold(owner, mapping->pages, 1);
	pthread_mutex_lock(&owner->lock);
	space_link(space, &owner->first, slot);
	space_count(owner, mapping, true);
	pthread_mutex_unlock(&owner->lock);
	atomic_store_explicit(&mapping->refs, REFS_LIVE, memory_order_release); /* [space.S1] */
	return enter_mmio(space, slot);
}

static int mmio_map(struct space *space, uint64_t paddr, size_t len, void **out)
{
	char *vaddr = NULL;
	uint32_t parent = find_parent(space, paddr, len, &vaddr), slot;
	int error;

	if (!parent)
		return map_new(space, paddr, len, out);
	slot = find_mmio(space, vaddr, len);
	if (slot) {
		if (*count_of(space, slot) == UINT32_MAX)
			return -ENOMEM;
		(*count_of(space, slot))++;
		error = 0;
	} else {
		/* Parents have no parents: the pages belong to whoever has the run. */
		if (mapping_at(space, parent)->place == PLACE_PARENT)
			parent = mapping_at(space, parent)->run.first;
		error = map_inside(space, parent, paddr, len, vaddr);
	}
	if (!error)
		*out = vaddr;
	return error;
}

int space_mmio_map(struct space *space, uint64_t paddr, size_t len, void **vaddr)
{
	int error = len == 0 || len - 1 > UINT64_MAX - paddr ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = mmio_map(space, paddr, len, vaddr);
	space_leave(space);
	if ((error != -ENOSPC && error != -ENOMEM) || !space_make_room(space))
		return error;
	error = space_enter(space);
	if (error)
		return error;
	error = mmio_map(space, paddr, len, vaddr);
	space_leave(space);
	return error;
}

static int mmio_unmap(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint32_t hash = mmio_hash(space, mapping->vaddr, mapping->size);
	bool last;
	int error;

	if (*count_of(space, slot) > 1) {
		(*count_of(space, slot))--;
		return 0;
	}
	error = space_end(space, slot, false, &last);
	if (!error)
		index_remove(&space->index, hash, slot);
	return error;
}

int space_mmio_unmap(struct space *space, const void *vaddr, size_t len)
{
	uint32_t slot;
	int error = len == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	slot = find_mmio(space, vaddr, len);
	error = slot ? mmio_unmap(space, slot) : -ENOENT;
	space_leave(space);
	return error;
}
