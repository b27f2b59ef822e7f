/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a mapping consists of: where its bytes lie, and what they are physically. Lock-free. */
#include "mapping/contents.h"

#include <errno.h>

#include "mapping/handle.h"
#include "space/range_words.h"

/* The physical page; false: there is none, of a range. */
static bool find_page(const struct mapping *mapping, uint64_t at, uint64_t *page)
{
	const struct segment *segment;

	if (mapping->kind == MAPPING_RANGE)
		return range_page(mapping, at, page);
	segment = &mapping_segments(mapping)[segment_at(mapping, at)];
	*page = segment->page + (at - segment->at);
	return true;
}

/*
 * Where the part in one place that has this segment ends, in bytes of the mapping, up to `end`; *segment is the next one behind it then.
 * Segments may lie side by side.
 */
static uint64_t end_of_part(struct space *space, const struct mapping *mapping, uint32_t *segment,
                            uint64_t end)
{
	const struct segment *all = mapping_segments(mapping);
	uint64_t stop;
	char *behind;

	do {
		uint64_t pages = segment_pages(mapping, *segment);

		behind = segment_address(space, mapping, *segment, all[*segment].page + pages);
		stop = (all[*segment].at + pages) * IST_PAGE_SIZE;
		(*segment)++;
	} while (stop < end && segment_address(space, mapping, *segment, all[*segment].page) == behind);
	return stop < end ? stop : end;
}

/* All of [offset, offset + len) in order; how many parts it is. */
static size_t list_segments(struct space *space, const struct mapping *mapping, uint64_t offset, uint64_t len,
                            struct iovec *out, size_t room)
{
	const struct segment *all = mapping_segments(mapping);
	uint64_t at = mapping->offset + offset, end = at + len;
	uint32_t segment;
	size_t count = 0;

	if (mapping->place != PLACE_VIEW) {
		if (room > 0)
			*out = (struct iovec){mapping->vaddr + offset, (size_t)len};
		return 1;
	}
	for (segment = segment_at(mapping, at / IST_PAGE_SIZE); at < end; count++) {
		char *begin = segment_address(space, mapping, segment, all[segment].page) +
		              (at - all[segment].at * IST_PAGE_SIZE);
		uint64_t stop = end_of_part(space, mapping, &segment, end);

		if (count < room)
			out[count] = (struct iovec){begin, (size_t)(stop - at)};
		at = stop;
	}
	return count;
}

int space_list_segments(struct space *space, const struct ist_mapping *handle, uint64_t offset, size_t len,
                        struct iovec *out, size_t room, size_t *count)
{
	const struct mapping *mapping;
	int error = 0;

	if (len == 0)
		return -EINVAL;
	if (!space_is_open(space))
		return -ENOENT;
	rcu_enter();
	mapping = handle_find_with(
	        space, handle, REFS_LIVE | REFS_ANY); /* registered, or kept by a reference of the caller's */
	if (!mapping)
		error = -ENOENT;
	else if (offset > mapping->size || len > mapping->size - offset)
		error = -ERANGE;
	else
		*count = list_segments(space, mapping, offset, len, out, room);
	rcu_leave();
	return error;
}

int space_paddr(struct space *space, const struct ist_mapping *handle, uint64_t offset, uint64_t granule,
                uint64_t *out)
{
	const struct mapping *mapping;
	uint64_t at, page;
	int error = 0;

	if (granule != 0 && granule != IST_PAGE_SIZE)
		return -EINVAL;
	if (!space_is_open(space))
		return -ENOENT;
	rcu_enter();
	mapping = handle_find_with(space, handle, REFS_LIVE | REFS_ANY);
	if (!mapping)
		error = -ENOENT;
	else if (offset >= mapping->size)
		error = -ERANGE;
	at = error ? 0 : mapping->offset + offset;
	if (!error && !find_page(mapping, at / IST_PAGE_SIZE, &page))
		error = -ENXIO;
	if (!error)
		*out = page * IST_PAGE_SIZE + (granule ? 0 : at % IST_PAGE_SIZE);
	rcu_leave();
	return error;
}
