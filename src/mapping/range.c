/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Reserved ranges: mappings whose pages come and go one by one. What is in them stands in an array beside; the maps have an
 * entry a page. References keep the whole, so no page leaves while there is one.
 */
#include <isthmus/range.h>

#include <errno.h>

#include "mapping/space.h"
#include "platform/platform.h"

#define RANGE_FLAGS (IST_MAPPING_READ_ONLY | IST_MAPPING_GUARD)

static struct pamap_entry entry_of(struct space *space, uint32_t slot, uint64_t at, bool reverse)
{
	const struct mapping *mapping = mapping_at(space, slot);
	uint64_t page = mapping->range[at] - 1, to = (uint64_t)(uintptr_t)mapping->vaddr / IST_PAGE_SIZE + at;
	const struct backing *backing = backing_at(&space->backings, page);

	/* A backing stays as long as the map has a page of it. */
	return (struct pamap_entry){
	        .page = reverse ? to : page,
	        .to = reverse ? page : to,
	        .pages = 1,
	        .handle = slot,
	        .owner = mapping->owner,
	        .attributes = (uint8_t)(mapping->attributes | (backing ? backing->attributes : 0)),
	};
}

static int remove_entry(struct space *space, uint32_t slot, uint64_t at, bool reverse)
{
	struct pamap_entry entry = entry_of(space, slot, at, reverse);
	int error = pamap_remove(reverse ? space->by_vaddr : space->by_paddr, &entry);

	return error == -ENOENT ? 0 : error; /* so that it can be tried again */
}

int range_retract(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	int error = 0;

	for (uint64_t at = first; at < first + count && !error; at++) {
		if (mapping_at(space, slot)->range[at] == 0)
			continue;
		error = remove_entry(space, slot, at, false);
		if (!error)
			error = remove_entry(space, slot, at, true);
	}
	return error;
}

static int insert_entry(struct space *space, uint32_t slot, uint64_t at, bool reverse)
{
	struct pamap_entry entry = entry_of(space, slot, at, reverse);

	return pamap_insert(reverse ? space->by_vaddr : space->by_paddr, &entry, 0);
}

static char *address_of(const struct mapping *mapping, uint64_t at)
{
	return mapping->vaddr + at * IST_PAGE_SIZE;
}

/* Out of the maps and inaccessible; the array forgets the pages only when both are done. */
static int clear(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	struct mapping *mapping = mapping_at(space, slot);
	int error = range_retract(space, slot, first, count);

	if (!error)
		error = rcu_wait();
	if (!error)
		error = platform_reserve_at(address_of(mapping, first), count * IST_PAGE_SIZE);
	for (uint64_t at = first; at < first + count && !error; at++)
		mapping->range[at] = 0;
	return error;
}

static int check_pages(struct space *space, const struct mapping *mapping, uint64_t first,
                       const uint64_t *pages, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		const struct backing *backing = backing_at(&space->backings, pages[i] / IST_PAGE_SIZE);

		if (pages[i] % IST_PAGE_SIZE)
			return -EINVAL;
		if (mapping->range[first + i])
			return -EEXIST;
		if (!backing || (backing->attributes & IST_DEVICE))
			return -ENXIO;
		if (ranges_overlap(&space->protections, pages[i] / IST_PAGE_SIZE, 1))
			return -EACCES;
	}
	return 0;
}

static int map_one(struct space *space, uint32_t slot, uint64_t at, uint64_t page)
{
	struct mapping *mapping = mapping_at(space, slot);
	const struct backing *backing = backing_at(&space->backings, page);
	bool writable = !((mapping->attributes | backing->attributes) & IST_READ_ONLY);
	int error = place_page(space, address_of(mapping, at), page, writable);

	if (error)
		return error;
	mapping->range[at] = page + 1;
	error = insert_entry(space, slot, at, true);
	return error ? error : insert_entry(space, slot, at, false);
}

static int map(struct space *space, uint32_t slot, uint64_t first, const uint64_t *pages, uint64_t count)
{
	int error = check_pages(space, mapping_at(space, slot), first, pages, count);

	for (uint64_t i = 0; i < count && !error; i++) {
		error = map_one(space, slot, first + i, pages[i] / IST_PAGE_SIZE);
		if (error) /* with what this one has done itself; what cannot be undone goes with the range */
			clear(space, slot, first, i + 1);
	}
	return error;
}

/* The range that the handle names, with [first, first + count) inside. Under the lock. */
static int find(struct space *space, const struct ist_mapping *range, uint64_t first, uint64_t count,
                struct mapping **out)
{
	struct mapping *mapping = mapping_at(space, range->slot);
	uint64_t pages;

	if (!mapping ||
	    atomic_load_explicit(&mapping->generation, memory_order_relaxed) != range->generation ||
	    !(atomic_load_explicit(&mapping->refs, memory_order_relaxed) & REFS_LIVE) ||
	    !owner_is_live(mapping_owner(space, mapping)))
		return -ENOENT;
	if (mapping->kind != MAPPING_RANGE)
		return -EINVAL;
	pages = mapping_pages(mapping);
	if (first > pages || count > pages - first)
		return -ERANGE;
	*out = mapping;
	return 0;
}

int ist_range_map(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                  const uint64_t *pages, uint64_t count)
{
	struct space *space = space_of(manager);
	struct mapping *mapping;
	int error = !range || !pages || count == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = find(space, range, first, count, &mapping);
	if (!error)
		error = map(space, range->slot, first, pages, count);
	space_leave(space);
	return error;
}

static int unmap(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	const struct mapping *mapping = mapping_at(space, slot);

	for (uint64_t i = 0; i < count; i++)
		if (mapping->range[first + i] == 0)
			return -ENXIO;
	if (atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_COUNT)
		return -EBUSY;
	return clear(space, slot, first, count);
}

int ist_range_unmap(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                    uint64_t count)
{
	struct space *space = space_of(manager);
	struct mapping *mapping;
	int error = !range || count == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = find(space, range, first, count, &mapping);
	if (!error)
		error = unmap(space, range->slot, first, count);
	space_leave(space);
	return error;
}

int range_reserve(struct space *space, struct mapping *mapping, uint64_t pages, unsigned flags)
{
	uint64_t guard = flags & IST_MAPPING_GUARD ? 1 : 0;
	int error = space->window.host_page > IST_PAGE_SIZE
	                    ? -ENOTSUP
	                    : window_take(&space->window, pages + 2 * guard, &mapping->run);

	if (error)
		return error;
	mapping->place = PLACE_RUN;
	mapping->vaddr = window_address(&space->window, mapping->run) + guard * IST_PAGE_SIZE;
	mapping->range = platform_map(pages * sizeof(uint64_t));
	return mapping->range ? 0 : -ENOMEM;
}

int ist_range_reserve(struct ist_manager *manager, uint64_t pages, uint32_t owner, uint64_t cookie,
                      unsigned flags, struct ist_mapping *out)
{
	struct space *space = space_of(manager);
	struct request request = {.cookie = cookie, .owner = owner, .flags = flags, .kind = MAPPING_RANGE};
	uint32_t slot;
	int error = !out || pages == 0 || pages > UINT32_MAX || (flags & ~RANGE_FLAGS) ? -EINVAL
	                                                                               : space_enter(space);

	if (error)
		return error;
	pages_init(&request.list);
	request.list.pages = pages;
	request.size = pages * IST_PAGE_SIZE;
	error = space_register(space, &request, &slot);
	if (!error)
		space_describe(space, slot, out);
	space_leave(space);
	return error;
}

int ist_range_release(struct ist_manager *manager, const struct ist_mapping *range, unsigned flags)
{
	return space_unregister_handle(space_of(manager), range, MAPPING_RANGE, flags);
}
