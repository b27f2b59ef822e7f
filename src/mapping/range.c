/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Reserved ranges: mappings whose pages come and go one by one. What is in them stands in an array beside; the maps have an
 * entry a page. References keep the whole, so no page leaves while there is one.
 */
#include <isthmus/range.h>

#include <errno.h>
#include <stdlib.h>

#include "mapping/space.h"
#include "platform/platform.h"

#define RANGE_FLAGS (IST_MAPPING_READ_ONLY | IST_MAPPING_GUARD)

/*
 * What is in a page of a range: {attributes 8, LEAVING 1, physical page + 1}, or 0. The entry in the maps is made from this
 * alone, so that the same one is taken out again. LEAVING: out of the maps, and readers are waited for.
 */
#define AT_SHIFT 56u
#define LEAVING (UINT64_C(1) << 55)
#define AT_PAGE (LEAVING - 1)

static uint64_t word_at(const struct mapping *mapping, uint64_t at)
{
	return atomic_load_explicit(&mapping->range[at], memory_order_relaxed);
}

static void set_word(struct mapping *mapping, uint64_t at, uint64_t word)
{
	atomic_store_explicit(&mapping->range[at], word, memory_order_relaxed);
}

static struct pamap_entry entry_of(struct space *space, uint32_t slot, uint64_t at, bool reverse)
{
	const struct mapping *mapping = mapping_at(space, slot);
	uint64_t word = word_at(mapping, at), page = (word & AT_PAGE) - 1,
	         to = (uint64_t)(uintptr_t)mapping->vaddr / IST_PAGE_SIZE + at;

	return (struct pamap_entry){
	        .page = reverse ? to : page,
	        .to = reverse ? page : to,
	        .pages = 1,
	        .handle = slot,
	        .owner = mapping->owner,
	        .attributes = (uint8_t)(word >> AT_SHIFT),
	};
}

bool range_has_page(const struct mapping *mapping, uint64_t page, uint64_t pages)
{
	uint64_t count = mapping->range ? mapping_pages(mapping) : 0;

	for (uint64_t at = 0; at < count; at++) {
		uint64_t word = word_at(mapping, at);

		if ((word & AT_PAGE) != 0 && (word & AT_PAGE) - 1 - page < pages)
			return true;
	}
	return false;
}

bool range_holds(struct space *space, uint32_t slot, uint64_t at, uint64_t len, bool reverse, uint64_t *to)
{
	const struct mapping *mapping = mapping_at(space, slot);
	uint64_t first = (reverse ? at : *to) / IST_PAGE_SIZE -
	                 (uint64_t)(uintptr_t)mapping->vaddr / IST_PAGE_SIZE,
	         more = (at % IST_PAGE_SIZE + (len - 1)) / IST_PAGE_SIZE, pages = mapping_pages(mapping),
	         page;

	if (first >= pages || more >= pages - first)
		return false;
	page = (reverse ? *to : at) / IST_PAGE_SIZE + 1;
	for (uint64_t i = 0; i <= more; i++) {
		uint64_t word = word_at(mapping, first + i);

		if ((word & (AT_PAGE | LEAVING)) != page + i)
			return false;
	}
	return true;
}

static int remove_entry(struct space *space, uint32_t slot, uint64_t at, bool reverse)
{
	struct pamap_entry entry = entry_of(space, slot, at, reverse);
	int error = pamap_remove(reverse ? space->by_vaddr : space->by_paddr, &entry);

	return error == -ENOENT ? 0 : error; /* so that it can be tried again */
}

int range_retract(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	const struct mapping *mapping = mapping_at(space, slot);
	int error = 0;

	for (uint64_t at = first; at < first + count && !error; at++) {
		if ((word_at(mapping, at) & AT_PAGE) == 0)
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
	bool strict = !reverse && (space->config.flags & IST_MAPPING_STRICT);

	return pamap_insert(reverse ? space->by_vaddr : space->by_paddr, &entry,
	                    strict ? PAMAP_EXCLUSIVE : 0);
}

static char *address_of(const struct mapping *mapping, uint64_t at)
{
	return mapping->vaddr + at * IST_PAGE_SIZE;
}

/* These addresses may be somebody else's now: nothing is mapped there any more, and the run is not given back. */
static void lose(struct space *space, struct mapping *mapping, uint64_t first, uint64_t count)
{
	window_lose(&space->window);
	mapping->place = PLACE_NONE;
	for (uint64_t at = first; at < first + count; at++)
		set_word(mapping, at, LEAVING);
}

/*
 * Out of the maps and inaccessible; the array forgets the pages only when both are done. Gives the lock back while it waits for
 * readers: meanwhile the range is `changing`, which keeps others from its pages, and a hold keeps it from landing.
 */
static int clear_pages(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	struct mapping *mapping = mapping_at(space, slot);
	int error = range_retract(space, slot, first, count);

	if (error)
		return error;
	for (uint64_t at = first; at < first + count; at++)
		if (word_at(mapping, at) != 0)
			set_word(mapping, at, word_at(mapping, at) | LEAVING);
	mapping->changing = true;
	atomic_fetch_add_explicit(&mapping->refs, REFS_HOLD, memory_order_relaxed); /* it is LIVE */
	pthread_mutex_unlock(&space->lock);
	error = rcu_wait();
	pthread_mutex_lock(&space->lock);
	if (!error)
		error = platform_reserve_at(address_of(mapping, first), count * IST_PAGE_SIZE);
	if (error == -ESTALE)
		lose(space, mapping, first, count);
	for (uint64_t at = first; at < first + count && !error; at++)
		set_word(mapping, at, 0);
	mapping->changing = false;
	space_drop_hold_inside(space, slot);
	return error == -ESTALE ? -ENOMEM : error;
}

static int check_page(struct space *space, uint64_t page)
{
	const struct backing *backing = backing_at(&space->backings, page);

	if (!backing || backing->leaving || (backing->attributes & IST_DEVICE))
		return -ENXIO;
	if (ranges_overlap(&space->protections, page, 1))
		return -EACCES;
	return (space->config.flags & IST_MAPPING_STRICT) && space_is_held(space, page, 1, 0) ? -EEXIST : 0;
}

/* `pages` are the caller's numbers of pages, copied. */
static int check_pages(struct space *space, const struct mapping *mapping, uint64_t first,
                       const uint64_t *pages, uint64_t count)
{
	int error = mapping->changing ? -EAGAIN : 0;

	for (uint64_t i = 0; i < count && !error; i++)
		error = word_at(mapping, first + i) ? -EEXIST : check_page(space, pages[i]);
	return error;
}

static int map_one(struct space *space, uint32_t slot, uint64_t at, uint64_t page)
{
	struct mapping *mapping = mapping_at(space, slot);
	const struct backing *backing = backing_at(&space->backings, page);
	uint8_t attributes = (uint8_t)(mapping->attributes | backing->attributes);
	int error = place_page(space, address_of(mapping, at), page, !(attributes & IST_READ_ONLY));

	if (error == -ESTALE) {
		lose(space, mapping, at, 1);
		return -ENOMEM;
	}
	if (error)
		return error;
	set_word(mapping, at, (uint64_t)attributes << AT_SHIFT | (page + 1));
	error = insert_entry(space, slot, at, true);
	return error ? error : insert_entry(space, slot, at, false);
}

/* `done` pages, and what there is of one more. */
static void undo(struct space *space, uint32_t slot, uint64_t first, uint64_t done)
{
	if (word_at(mapping_at(space, slot), first + done) & AT_PAGE)
		done++;
	if (done > 0)
		clear_pages(space, slot, first, done);
}

static int range_map(struct space *space, uint32_t slot, uint64_t first, const uint64_t *pages,
                     uint64_t count)
{
	int error = check_pages(space, mapping_at(space, slot), first, pages, count);

	for (uint64_t i = 0; i < count && !error; i++) {
		error = map_one(space, slot, first + i, pages[i]);
		if (error) /* with what this one has done itself; what cannot be undone goes with the range */
			undo(space, slot, first, i);
	}
	return error;
}

/* The range that the handle names, with [first, first + count) inside. Under the lock. */
static int find_range(struct space *space, const struct ist_mapping *range, uint64_t first, uint64_t count,
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

/* Once, so that what is checked is what is mapped. */
static int copy_numbers(const uint64_t *pages, uint64_t count, uint64_t **out)
{
	uint64_t *copy = count <= SIZE_MAX / sizeof(*copy) ? malloc((size_t)count * sizeof(*copy)) : NULL;
	int error = 0;

	if (!copy)
		return -ENOMEM;
	for (uint64_t i = 0; i < count && !error; i++)
		error = pages_read(&pages[i], &copy[i]);
	if (error)
		free(copy);
	else
		*out = copy;
	return error;
}

int ist_range_map(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                  const uint64_t *pages, uint64_t count)
{
	struct space *space = space_of(manager);
	struct mapping *mapping;
	uint64_t *copy = NULL;
	int error = !range || !pages || count == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = find_range(space, range, first, count, &mapping);
	space_leave(space);
	if (!error) /* not before: the array is as long as the range allows */
		error = copy_numbers(pages, count, &copy);
	if (!error)
		error = space_enter(space);
	if (!error) {
		error = find_range(space, range, first, count, &mapping);
		if (!error)
			error = range_map(space, range->slot, first, copy, count);
		space_leave(space);
	}
	free(copy);
	return error;
}

static int range_unmap(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	const struct mapping *mapping = mapping_at(space, slot);

	if (mapping->changing)
		return -EAGAIN;
	for (uint64_t i = 0; i < count; i++)
		if ((word_at(mapping, first + i) & AT_PAGE) == 0) /* nor is what was lost */
			return -ENXIO;
	if (atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_COUNT)
		return -EBUSY;
	return clear_pages(space, slot, first, count);
}

int ist_range_unmap(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                    uint64_t count)
{
	struct space *space = space_of(manager);
	struct mapping *mapping;
	int error = !range || count == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = find_range(space, range, first, count, &mapping);
	if (!error)
		error = range_unmap(space, range->slot, first, count);
	space_leave(space);
	return error;
}

int range_reserve(struct space *space, struct mapping *mapping, uint64_t pages, unsigned flags)
{
	uint64_t guard = flags & IST_MAPPING_GUARD ? 1 : 0;
	int error;

	if (space->window.host_page > IST_PAGE_SIZE)
		return -ENOTSUP;
	if (pages > space->window.size / IST_PAGE_SIZE)
		return -EINVAL;
	error = window_take(&space->window, pages + 2 * guard, &mapping->run);
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

	if (!manager || !out || pages == 0 || pages > UINT32_MAX || (flags & ~RANGE_FLAGS))
		return -EINVAL;
	pages_init(&request.list);
	request.list.pages = pages;
	request.size = pages * IST_PAGE_SIZE;
	return space_register_and_describe(space, &request, out);
}

int ist_range_release(struct ist_manager *manager, const struct ist_mapping *range, unsigned flags)
{
	return space_unregister_handle(space_of(manager), range, MAPPING_RANGE, flags);
}
