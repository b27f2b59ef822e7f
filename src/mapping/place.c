/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Where a mapping's pages become accessible: where the caller has mapped them, or in a run of the window. */
#include "mapping/place.h"

#include <errno.h>

#include "backing/seams.h"
#include "mapping/pages.h"
#include "platform/platform.h"
#include "reclaim/limbo.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How many of `pages` from `page` on lie in the backing, which holds the first. */
static uint64_t pages_in(const struct backing *backing, uint64_t page, uint64_t pages)
{
	return least(pages, backing->pages - (page - backing->page));
}

/* The backing of a page, which may be the same as the last one's. */
static struct backing *find_backing(struct space *space, uint64_t page, struct backing *last)
{
	return last && page - last->page < last->pages ? last : space_find_backing(space, page);
}

/* Whether what is wanted of this backing is there without being mapped. */
static bool is_in_view(const struct backing *backing, const struct request *request)
{
	bool read_only = request->flags & IST_MAPPING_READ_ONLY && !(backing->attributes & IST_READ_ONLY);

	return backing->view && !(request->flags & IST_MAPPING_GUARD) && !read_only;
}

static int check_extent(struct space *space, const struct request *request, struct extent extent,
                        struct backing **last, struct placing *plan)
{
	if (space_is_protected(space, extent.page, extent.pages))
		return -EACCES;
	while (extent.pages > 0) {
		const struct backing *backing = *last = find_backing(space, extent.page, *last);
		uint64_t here;

		if (!backing || backing_is_leaving(backing) ||
		    ((backing->attributes & IST_DEVICE) != 0) != (request->kind == MAPPING_MMIO))
			return -ENXIO;
		plan->attributes |= (uint8_t)backing->attributes;
		plan->in_views &= is_in_view(backing, request);
		plan->needs_lock |= backing_needs_lock(backing);
		plan->segments++;
		here = pages_in(backing, extent.page, extent.pages);
		extent.page += here;
		extent.pages -= here;
	}
	return 0;
}

int place_check(struct space *space, const struct request *request, struct placing *plan)
{
	struct backing *last = NULL;
	int error = 0;

	*plan = (struct placing){
	        .attributes = request->flags & IST_MAPPING_READ_ONLY ? IST_READ_ONLY : 0,
	        .in_views = true,
	        /* Acquire: [space.E1]. */
	        .protections = atomic_load_explicit(&space->protections_changed, memory_order_acquire)};
	for (size_t i = 0; i < request->list.count && !error; i++)
		error = check_extent(space, request, request->list.extent[i], &last, plan);
	/* Consecutive addresses are promised to who does not ask for segments. */
	if (plan->segments > 1 && !(request->flags & IST_MAPPING_SEGMENTS))
		plan->in_views = false;
	return error || plan->segments <= UINT32_MAX ? error : -ENOMEM;
}

void place_segments(struct space *space, struct mapping *mapping, const struct request *request)
{
	struct segment *to = mapping->segments == 1 ? &mapping->one : mapping->many;
	struct backing *last = NULL;
	uint64_t at = 0;

	for (size_t i = 0; i < request->list.count; i++) {
		struct extent extent = request->list.extent[i];

		while (extent.pages > 0) {
			uint64_t here;

			last = find_backing(space, extent.page, last);
			here = pages_in(last, extent.page, extent.pages);
			*to++ = (struct segment){
			        .page = extent.page,
			        .at = at & ((UINT64_C(1) << 40) - 1),
			        .backing = last->number & BACKING_MAX,
			};
			at += here;
			extent.page += here;
			extent.pages -= here;
		}
	}
}

/* The place of a page in the backing's view, or in its file. */
static uint64_t position_in(const struct backing *backing, uint64_t page)
{
	uint64_t into = (page - backing->page) * IST_PAGE_SIZE;

	return backing->view ? (uint64_t)(uintptr_t)backing->view + into : backing->offset + into;
}

/* A part of a run that is being mapped. */
struct part {
	char *where;
	bool is_first; /* of the run's parts */
	bool writable;
	bool lost; /* the place turned out not to be ours any more */
};

/*
 * Map up to all of `extent`, which is in the backing; returns how many pages, or a negative errno value. Host pages may be larger than
 * ours: then the first part may begin, and the last one end, in the middle of one.
 */
static int64_t map_part(struct space *space, struct part *part, struct backing *backing, struct extent extent)
{
	uint64_t pages = extent.pages, position = position_in(backing, extent.page);
	size_t host = space->window.host_page, lead = (size_t)((uintptr_t)part->where % host), bytes;
	int error;

	if (position % host != lead || (!part->is_first && lead != 0) || backing->large)
		return -ENOTSUP;
	if (backing->view && !backing->ours) {
		int64_t alike = backing_seam(backing, position, pages * IST_PAGE_SIZE);

		if (alike < 0)
			return alike;
		pages = (uint64_t)alike / IST_PAGE_SIZE;
	}
	bytes = lead + (size_t)pages * IST_PAGE_SIZE;
	if (backing->view) /* one system call, where a file takes two */
		error = platform_map_again_at(part->where - lead, bytes, (void *)(uintptr_t)(position - lead),
		                              part->writable);
	else
		error = platform_map_shared_at(part->where - lead, bytes, backing->fd, position - lead,
		                               part->writable);
	if (error == -ESTALE) {
		window_lose(&space->window);
		part->lost = true;
		error = -ENOMEM;
	}
	return error ? error : (int64_t)pages;
}

static int map_all(struct space *space, char *where, const struct mapping *mapping, bool *lost)
{
	struct part part = {.where = where, .writable = !(mapping->attributes & IST_READ_ONLY)};

	for (uint32_t i = 0; i < mapping->segments; i++) {
		const struct segment *segment = &mapping_segments(mapping)[i];
		struct extent extent = {segment->page, segment_pages(mapping, i)};

		while (extent.pages > 0) {
			int64_t pages;

			part.is_first = i == 0 && extent.page == segment->page;
			pages = map_part(space, &part, space_backing(space, segment->backing), extent);
			*lost = part.lost;
			if (pages < 0)
				return (int)pages;
			part.where += (size_t)pages * IST_PAGE_SIZE;
			extent.page += (uint64_t)pages;
			extent.pages -= (uint64_t)pages;
		}
	}
	return 0;
}

int place_page(struct space *space, void *where, uint64_t page, bool writable)
{
	struct part part = {.where = where, .is_first = true, .writable = writable};
	int64_t pages = map_part(space, &part, space_find_backing(space, page), (struct extent){page, 1});

	return part.lost ? -ESTALE : pages < 0 ? (int)pages : 0;
}

/* What is reusable is covered whole by what is mapped now, unless some of it must stay inaccessible. */
static int take_run(struct space *space, uint64_t pages, bool guarded, struct run *out)
{
	if (!guarded && space->window.host_page == IST_PAGE_SIZE && limbo_take_reusable(space, pages, out))
		return 0;
	return window_take(&space->window, pages, out);
}

static void place_in_views(struct space *space, struct mapping *mapping)
{
	mapping->place = PLACE_VIEW;
	if (mapping->segments == 1)
		mapping->vaddr = segment_address(space, mapping, 0, mapping->one.page) + mapping->offset;
}

int place(struct space *space, uint32_t slot, const struct request *request, const struct placing *plan)
{
	struct mapping *mapping = mapping_at(space, slot);
	const struct segment *first = mapping_segments(mapping);
	const struct backing *backing = space_backing(space, first->backing);
	size_t host = space->window.host_page, lead = (size_t)(position_in(backing, first->page) % host);
	size_t guard = request->flags & IST_MAPPING_GUARD ? host : 0;
	bool lost = false;
	char *where;
	int error;

	if (plan->in_views) {
		place_in_views(space, mapping);
		return 0;
	}
	error = backing->large ? -ENOTSUP : 0;
	if (!error)
		error = take_run(space, request->list.pages + (lead + 2 * guard) / IST_PAGE_SIZE, guard != 0,
		                 &mapping->run);
	if (error)
		return error;
	mapping->place = PLACE_RUN;
	where = window_address(&space->window, mapping->run) + guard + lead;
	mapping->vaddr = where + request->offset;
	error = map_all(space, where, mapping, &lost);
	if (lost)
		mapping->place =
		        PLACE_NONE; /* what is mapped of it stays so, and the run is never used again */
	else if (!error)
		window_enter(&space->window, mapping->run, slot);
	return error;
}
