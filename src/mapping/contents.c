/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a mapping consists of: where its bytes lie, and what they are physically. Lock-free. */
#include <errno.h>

#include "mapping/space.h"

/* In a read section: what the handle names, if it is registered, or kept by a reference of the caller's. */
static const struct mapping *find_handle(struct space *space, const struct ist_mapping *handle)
{
	const struct mapping *mapping = mapping_at(space, handle->slot);
	uint64_t refs;

	if (!mapping)
		return NULL;
	/* Acquire: the record is behind it [S1]; and so is the generation, if it lives again. */
	refs = atomic_load_explicit(&mapping->refs, memory_order_acquire);
	if ((refs & REFS_ENDED) || !(refs & (REFS_LIVE | REFS_ANY)) ||
	    atomic_load_explicit(&mapping->generation, memory_order_relaxed) != handle->generation)
		return NULL;
	return mapping;
}

/* A page of the mapping: physically, and where it lies; false: there is none, of a range. */
struct place_of_page {
	uint64_t page;
	char *vaddr;
};

static bool find_page(struct space *space, const struct mapping *mapping, uint64_t at,
                      struct place_of_page *out)
{
	uint32_t segment;

	if (mapping->kind == MAPPING_RANGE) {
		out->vaddr = mapping->vaddr + (size_t)at * IST_PAGE_SIZE;
		return range_page(mapping, at, &out->page);
	}
	segment = segment_at(mapping, at);
	out->page = mapping_segments(mapping)[segment].page + (at - mapping_segments(mapping)[segment].at);
	out->vaddr = segment_address(space, mapping, segment, out->page);
	return true;
}

/* How many pages lie behind each other from page `at` on, in address space; at most `most`. */
static uint64_t pages_together(struct space *space, const struct mapping *mapping, uint64_t at, uint64_t most)
{
	const struct segment *all = mapping_segments(mapping);
	uint64_t together = 0;
	char *end;
	uint32_t segment;

	if (mapping->place != PLACE_VIEW)
		return most;
	segment = segment_at(mapping, at);
	end = segment_address(space, mapping, segment, all[segment].page + (at - all[segment].at));
	while (together < most) {
		uint64_t into = at + together - all[segment].at,
		         here = segment_pages(mapping, segment) - into;

		if (segment_address(space, mapping, segment, all[segment].page + into) != end)
			break;
		together += here;
		end += (size_t)here * IST_PAGE_SIZE;
		segment++;
		if (segment == mapping->segments)
			break;
	}
	return together < most ? together : most;
}

/* All of [offset, offset + len) in order; how many pieces it is. */
static size_t list_segments(struct space *space, const struct mapping *mapping, uint64_t offset, uint64_t len,
                            struct iovec *out, size_t room)
{
	uint64_t at = mapping->offset + offset, end = at + len;
	size_t count = 0;

	for (; at < end; count++) {
		uint64_t page = at / IST_PAGE_SIZE,
		         pages = pages_together(space, mapping, page, (end - 1) / IST_PAGE_SIZE - page + 1),
		         stop = (page + pages) * IST_PAGE_SIZE;
		struct place_of_page place;

		stop = stop < end ? stop : end;
		if (count < room) {
			find_page(space, mapping, page, &place);
			out[count].iov_base = place.vaddr + at % IST_PAGE_SIZE;
			out[count].iov_len = (size_t)(stop - at);
		}
		at = stop;
	}
	return count;
}

int ist_mapping_segments(struct ist_manager *manager, const struct ist_mapping *handle, uint64_t offset,
                         size_t len, struct iovec *out, size_t room, size_t *count)
{
	struct space *space = space_of(manager);
	const struct mapping *mapping;
	int error = 0;

	if (!manager || !handle || !count || len == 0 || (room > 0 && !out))
		return -EINVAL;
	if (!space_is_open(space))
		return -ENOENT;
	rcu_enter();
	mapping = find_handle(space, handle);
	if (!mapping)
		error = -ENOENT;
	else if (offset > mapping->size || len > mapping->size - offset)
		error = -ERANGE;
	else
		*count = list_segments(space, mapping, offset, len, out, room);
	rcu_leave();
	return error;
}

int ist_mapping_paddr(struct ist_manager *manager, const struct ist_mapping *handle, uint64_t offset,
                      uint64_t granule, uint64_t *out)
{
	struct space *space = space_of(manager);
	const struct mapping *mapping;
	struct place_of_page place;
	uint64_t at;
	int error = 0;

	if (!manager || !handle || !out || (granule != 0 && granule != IST_PAGE_SIZE))
		return -EINVAL;
	if (!space_is_open(space))
		return -ENOENT;
	rcu_enter();
	mapping = find_handle(space, handle);
	if (!mapping)
		error = -ENOENT;
	else if (offset >= mapping->size)
		error = -ERANGE;
	at = error ? 0 : mapping->offset + offset;
	if (!error && !find_page(space, mapping, at / IST_PAGE_SIZE, &place))
		error = -ENXIO;
	if (!error)
		*out = place.page * IST_PAGE_SIZE + (granule ? 0 : at % IST_PAGE_SIZE);
	rcu_leave();
	return error;
}
