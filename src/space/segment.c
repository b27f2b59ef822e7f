/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "space/segment.h"

#include "space/space.h"

uint32_t segment_at(const struct mapping *mapping, uint64_t page)
{
	const struct segment *all = mapping_segments(mapping);
	uint32_t low = 0, high = mapping->segments;

	while (high - low > 1) { /* the last one that begins at the page or before */
		uint32_t middle = low + (high - low) / 2;

		if (all[middle].at <= page)
			low = middle;
		else
			high = middle;
	}
	return low;
}

char *segment_address(struct space *space, const struct mapping *mapping, uint32_t segment, uint64_t page)
{
	const struct segment *at;
	const struct backing *backing;

	if (mapping->kind == MAPPING_RANGE)
		return mapping->vaddr + (size_t)segment * IST_PAGE_SIZE;
	at = &mapping_segments(mapping)[segment];
	if (mapping->place != PLACE_VIEW)
		return mapping->vaddr - mapping->offset +
		       (size_t)(at->at + (page - at->page)) * IST_PAGE_SIZE;
	backing = space_backing(space, at->backing);
	return backing->view + (size_t)(page - backing->page) * IST_PAGE_SIZE;
}

/* Segments that go on in the next backing are two, though a run has them side by side. */
uint64_t segment_reach(struct space *space, const struct mapping *mapping, uint32_t segment)
{
	const struct segment *all = mapping_segments(mapping);
	uint64_t end = all[segment].page + segment_pages(mapping, segment);

	while (++segment < mapping->segments && all[segment].page == end &&
	       (mapping->place != PLACE_VIEW || segment_address(space, mapping, segment, end) ==
	                                                segment_address(space, mapping, segment - 1, end)))
		end += segment_pages(mapping, segment);
	return end;
}
