/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Where a mapping's pages become accessible: where the caller has mapped them, or in a run of the window. */
#include <errno.h>

#include "mapping/space.h"
#include "platform/platform.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How many of `pages` from `page` on lie in the backing, which holds the first. */
static uint64_t pages_in(const struct backing *backing, uint64_t page, uint64_t pages)
{
	return least(pages, backing->pages - (page - backing->page));
}

static int check_extent(struct space *space, struct extent extent, bool device, uint8_t *attributes)
{
	if (ranges_overlap(&space->protections, extent.page, extent.pages))
		return -EACCES;
	while (extent.pages > 0) {
		const struct backing *backing = backing_at(&space->backings, extent.page);
		uint64_t here;

		if (!backing || backing->leaving || ((backing->attributes & IST_DEVICE) != 0) != device)
			return -ENXIO;
		*attributes |= (uint8_t)backing->attributes;
		here = pages_in(backing, extent.page, extent.pages);
		extent.page += here;
		extent.pages -= here;
	}
	return 0;
}

int place_check(struct space *space, const struct request *request, uint8_t *attributes)
{
	int error = 0;

	*attributes = request->flags & IST_MAPPING_READ_ONLY ? IST_READ_ONLY : 0;
	for (size_t i = 0; i < request->list.count && !error; i++)
		error = check_extent(space, request->list.extent[i], request->kind == MAPPING_MMIO,
		                     attributes);
	return error;
}

/* The place of a page in its file, or in the caller's memory. */
static uint64_t position_in(const struct backing *backing, uint64_t page)
{
	uint64_t into = (page - backing->page) * IST_PAGE_SIZE;

	return backing->vaddr ? (uint64_t)(uintptr_t)backing->vaddr + into : backing->offset + into;
}

/*
 * Map up to all of `extent` at `where`; returns how many pages, or a negative errno value. Host pages may be larger than
 * ours: then the first piece may begin, and the last one end, in the middle of one. *lost: the place is not ours any more.
 */
static int64_t map_piece(struct space *space, char *where, struct extent extent, bool first, bool writable,
                         bool *lost)
{
	struct backing *backing = backing_at(&space->backings, extent.page);
	uint64_t pages = pages_in(backing, extent.page, extent.pages),
	         position = position_in(backing, extent.page);
	size_t host = space->window.host_page, lead = (size_t)((uintptr_t)where % host), bytes;
	int error;

	if (position % host != lead || (!first && lead != 0) || backing->whole)
		return -ENOTSUP;
	if (backing->vaddr) {
		int64_t alike = backing_seam(backing, position, pages * IST_PAGE_SIZE);

		if (alike < 0)
			return alike;
		pages = (uint64_t)alike / IST_PAGE_SIZE;
	}
	bytes = lead + (size_t)pages * IST_PAGE_SIZE;
	if (backing->vaddr)
		error = platform_map_again_at(where - lead, bytes, (void *)(uintptr_t)(position - lead),
		                              writable);
	else
		error = platform_map_shared_at(where - lead, bytes, backing->fd, position - lead, writable);
	if (error == -ESTALE) {
		window_lose(&space->window);
		*lost = true;
		error = -ENOMEM;
	}
	return error ? error : (int64_t)pages;
}

static int map_all(struct space *space, char *where, const struct page_list *list, bool writable, bool *lost)
{
	bool first = true;

	for (size_t i = 0; i < list->count; i++) {
		struct extent extent = list->extent[i];

		while (extent.pages > 0) {
			int64_t pages = map_piece(space, where, extent, first, writable, lost);

			if (pages < 0)
				return (int)pages;
			where += (size_t)pages * IST_PAGE_SIZE;
			extent.page += (uint64_t)pages;
			extent.pages -= (uint64_t)pages;
			first = false;
		}
	}
	return 0;
}

int place_page(struct space *space, void *where, uint64_t page, bool writable)
{
	bool lost = false;
	int64_t pages = map_piece(space, where, (struct extent){page, 1}, true, writable, &lost);

	return lost ? -ESTALE : pages < 0 ? (int)pages : 0;
}

static bool is_direct(const struct backing *backing, const struct request *request, uint8_t attributes)
{
	return request->list.count == 1 && backing->vaddr && !(request->flags & IST_MAPPING_GUARD) &&
	       request->list.pages <= pages_in(backing, request->list.extent[0].page, UINT64_MAX) &&
	       attributes == backing->attributes; /* not if it has to be made read-only */
}

/* What is ripe is covered whole by what is mapped now, unless some of it must stay inaccessible. */
static int take_run(struct space *space, uint64_t pages, bool guarded, struct run *out)
{
	if (!guarded && space->window.host_page == IST_PAGE_SIZE && limbo_take_ripe(space, pages, out))
		return 0;
	return window_take(&space->window, pages, out);
}

int place(struct space *space, struct mapping *mapping, const struct request *request)
{
	struct backing *backing = backing_at(&space->backings, request->list.extent[0].page);
	uint64_t position = position_in(backing, request->list.extent[0].page);
	size_t host = space->window.host_page, lead = (size_t)(position % host);
	size_t guard = request->flags & IST_MAPPING_GUARD ? host : 0;
	bool lost = false;
	char *where;
	int error;

	if (is_direct(backing, request, mapping->attributes)) {
		atomic_fetch_add_explicit(&backing->uses, 1, memory_order_relaxed);
		mapping->direct = backing;
		mapping->place = PLACE_DIRECT;
		mapping->vaddr = (char *)(uintptr_t)position + request->offset;
		return 0;
	}
	error = backing->whole ? -ENOTSUP : 0;
	if (!error)
		error = take_run(space, request->list.pages + (lead + 2 * guard) / IST_PAGE_SIZE, guard != 0,
		                 &mapping->run);
	if (error)
		return error;
	mapping->place = PLACE_RUN;
	where = window_address(&space->window, mapping->run) + guard + lead;
	mapping->vaddr = where + request->offset;
	error = map_all(space, where, &request->list, !(mapping->attributes & IST_READ_ONLY), &lost);
	if (lost)
		mapping->place =
		        PLACE_NONE; /* what is mapped of it stays so, and the run is never used again */
	return error;
}
