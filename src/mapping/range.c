/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Reserved ranges: mappings whose pages come and go one by one. What is in them stands in an array beside, and each page has
 * a link of its own. References keep the whole, so no page leaves while there is one.
 */
#include "mapping/range.h"

#include <errno.h>
#include <stdlib.h>

#include "backing/page_tree.h"
#include "backing/sharing.h"
#include "mapping/pages.h"
#include "mapping/place.h"
#include "mapping/register.h"
#include "mapping/request.h"
#include "mapping/unregister.h"
#include "platform/platform.h"
#include "space/range_words.h"

#define RANGE_FLAGS (IST_MAPPING_READ_ONLY | IST_MAPPING_GUARD)
#define VISITS 64u /* pages without anything that may be passed for one of a budget */

void range_withdraw(struct space *space, uint32_t slot, uint32_t *budget)
{
	struct mapping *mapping = mapping_known(space, slot);
	bool held = atomic_load_explicit(&mapping->held, memory_order_relaxed), second = mapping->linked == 0;
	uint64_t visits = (uint64_t)*budget * VISITS;

	for (; mapping->out < mapping->pages && visits > 0 && *budget > 0; mapping->out++, visits--) {
		uint64_t word = range_word(mapping, mapping->out), page = (word & RANGE_PAGE) - 1;
		uint32_t link = mapping->range_link[mapping->out];

		if (!link)
			continue;
		if (second || (word & RANGE_LEAVING && !held)) /* it is held, and that is over */
			page_tree_take_out_page(space, page, link);
		else if (!(word & RANGE_LEAVING))
			page_tree_withdraw_page(space, page, link, held);
		(*budget)--;
	}
	if (mapping->out < mapping->pages) {
		*budget = 0;
		return;
	}
	mapping->linked = mapping->out = 0;
}

static char *address_of(const struct mapping *mapping, uint64_t at)
{
	return mapping->vaddr + at * IST_PAGE_SIZE;
}

/* These addresses may be somebody else's now: nothing is mapped there any more, and the run is not given back. */
static void lose(struct space *space, struct mapping *mapping, uint64_t first, uint64_t count)
{
	window_lose(&space->window);
	window_leave(&space->window, mapping->run);
	mapping->run = (struct run){0};
	for (uint64_t at = first; at < first + count; at++)
		range_set_word(mapping, at, RANGE_LEAVING);
}

/* Not found any more, but still in use: their links are held. */
static void withdraw_pages(struct space *space, struct mapping *mapping, uint64_t first, uint64_t count)
{
	uint64_t page;

	for (uint64_t at = first; at < first + count; at++) {
		if (mapping->range_link[at] && range_page(mapping, at, &page))
			page_tree_withdraw_page(space, page, mapping->range_link[at], true);
		if (range_word(mapping, at) != 0)
			range_set_word(mapping, at, range_word(mapping, at) | RANGE_LEAVING);
	}
}

/* No longer in use either; no reader can know the links. */
static void take_out_pages(struct space *space, struct mapping *mapping, uint64_t first, uint64_t count)
{
	for (uint64_t at = first; at < first + count; at++) {
		if (mapping->range_link[at])
			page_tree_take_out_page(space, (range_word(mapping, at) & RANGE_PAGE) - 1,
			                        mapping->range_link[at]);
		range_give_link(space, mapping, at);
	}
}

/*
 * Not found and inaccessible; the array forgets the pages only when both are done. Gives the lock back while it waits for
 * readers: meanwhile the range is `changing`, which keeps others from its pages, and a hold keeps it from being released.
 */
static int clear_pages(struct space *space, uint32_t slot, uint64_t first, uint64_t count)
{
	struct mapping *mapping = mapping_at(space, slot);
	int error;

	withdraw_pages(space, mapping, first, count);
	mapping->changing = true;
	atomic_fetch_add_explicit(&mapping->refs, REFS_HOLD, memory_order_relaxed); /* it is LIVE */
	pthread_mutex_unlock(&space->lock);
	error = rcu_wait();
	pthread_mutex_lock(&space->lock);
	groups_give(space, &mapping->dead); /* of earlier pages: readers have gone by */
	if (!error)
		error = platform_reserve_at(address_of(mapping, first), count * IST_PAGE_SIZE);
	if (!error || error == -ESTALE)
		take_out_pages(space, mapping, first, count);
	if (error == -ESTALE)
		lose(space, mapping, first, count);
	for (uint64_t at = first; at < first + count && !error; at++)
		range_set_word(mapping, at, 0);
	mapping->changing = false;
	space_drop_hold_inside(space, slot);
	return error == -ESTALE ? -ENOMEM : error;
}

static int check_page(struct space *space, uint64_t page)
{
	const struct backing *backing = space_find_backing(space, page);

	if (!backing || backing_is_leaving(backing) || (backing->attributes & IST_DEVICE))
		return -ENXIO;
	return space_is_protected(space, page, 1) ? -EACCES : 0;
}

/* `pages` are the caller's numbers of pages, copied. */
static int check_pages(struct space *space, const struct mapping *mapping, uint64_t first,
                       const uint64_t *pages, uint64_t count)
{
	int error = mapping->changing ? -EAGAIN : 0;

	for (uint64_t i = 0; i < count && !error; i++)
		error = range_word(mapping, first + i) ? -EEXIST : check_page(space, pages[i]);
	return error;
}

/* Into its node, when it is accessible. */
static int enter_page(struct space *space, uint32_t slot, uint64_t at, uint64_t page)
{
	const struct backing *backing = space_find_backing(space, page);

	if ((space->config.flags & IST_MAPPING_STRICT) &&
	    page_tree_is_used(&backing->tree, page - backing->page, 1))
		return -EEXIST;
	return page_tree_enter_page(space, slot, (uint32_t)at, page,
	                            &mapping_at(space, slot)->range_link[at]);
}

static int map_one(struct space *space, uint32_t slot, uint64_t at, uint64_t page)
{
	struct mapping *mapping = mapping_at(space, slot);
	const struct backing *backing = space_find_backing(space, page);
	uint8_t attributes = (uint8_t)(mapping->attributes | backing->attributes);
	int error = place_page(space, address_of(mapping, at), page, !(attributes & IST_READ_ONLY));

	if (error == -ESTALE) {
		lose(space, mapping, at, 1);
		return -ENOMEM;
	}
	if (error)
		return error;
	range_set_word(mapping, at, (uint64_t)attributes << RANGE_ATTRIBUTES_SHIFT | (page + 1));
	return enter_page(space, slot, at, page);
}

/* `done` pages, and what there is of one more. */
static void undo(struct space *space, uint32_t slot, uint64_t first, uint64_t done)
{
	if (range_word(mapping_at(space, slot), first + done) & RANGE_PAGE)
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
	pages = mapping->pages;
	if (first > pages || count > pages - first)
		return -ERANGE;
	*out = mapping;
	return 0;
}

int space_range_map(struct space *space, const struct ist_mapping *range, uint64_t first,
                    const uint64_t *pages, uint64_t count)
{
	struct mapping *mapping;
	uint64_t *copy = NULL;
	int error = count == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = find_range(space, range, first, count, &mapping);
	space_leave(space);
	if (!error) /* not before: the array is as long as the range allows */
		error = pages_copy_numbers(pages, count, &copy);
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
		if ((range_word(mapping, first + i) & RANGE_PAGE) == 0) /* nor is what was lost */
			return -ENXIO;
	if (atomic_load_explicit(&mapping->refs, memory_order_acquire) & REFS_COUNT)
		return -EBUSY;
	return clear_pages(space, slot, first, count);
}

int space_range_unmap(struct space *space, const struct ist_mapping *range, uint64_t first, uint64_t count)
{
	struct mapping *mapping;
	int error = count == 0 ? -EINVAL : space_enter(space);

	if (error)
		return error;
	error = find_range(space, range, first, count, &mapping);
	if (!error)
		error = range_unmap(space, range->slot, first, count);
	space_leave(space);
	return error;
}

int range_reserve(struct space *space, uint32_t slot, unsigned flags)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint64_t guard = flags & IST_MAPPING_GUARD ? 1 : 0;
	int error;

	if (space->window.host_page > IST_PAGE_SIZE)
		return -ENOTSUP;
	if (mapping->pages > space->window.size / IST_PAGE_SIZE)
		return -EINVAL;
	error = window_take(&space->window, mapping->pages + 2 * guard, &mapping->run);
	if (error)
		return error;
	mapping->place = PLACE_RUN;
	mapping->vaddr = window_address(&space->window, mapping->run) + guard * IST_PAGE_SIZE;
	mapping->range = platform_map(range_array_bytes(mapping));
	if (!mapping->range)
		return -ENOMEM;
	mapping->range_link = (uint32_t *)(uintptr_t)(mapping->range + mapping->pages);
	mapping->linked = 1;
	window_enter(&space->window, mapping->run, slot);
	return 0;
}

int space_range_reserve(struct space *space, uint64_t pages, uint32_t owner, uint64_t cookie, unsigned flags,
                        struct ist_mapping *out)
{
	struct request request = {.cookie = cookie, .owner = owner, .flags = flags, .kind = MAPPING_RANGE};

	if (pages == 0 || pages > UINT32_MAX || (flags & ~RANGE_FLAGS))
		return -EINVAL;
	pages_init(&request.list);
	request.list.pages = pages;
	request.size = pages * IST_PAGE_SIZE;
	return space_register_and_describe(space, &request, out);
}
