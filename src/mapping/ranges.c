/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many ranges end at or below `page`. */
static size_t below(const struct ranges *ranges, uint64_t page)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct range *range = ranges->item[middle];

		if (range->page + (range->pages - 1) < page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct range *ranges_at(const struct ranges *ranges, uint64_t page)
{
	size_t at = below(ranges, page);

	return at < ranges->count ? ranges->item[at] : NULL;
}

bool ranges_overlap(const struct ranges *ranges, uint64_t page, uint64_t pages)
{
	const struct range *range = ranges_at(ranges, page);

	return range && range->page <= page + (pages - 1);
}

int ranges_add(struct ranges *ranges, struct range *range)
{
	size_t at = below(ranges, range->page);

	if (ranges_overlap(ranges, range->page, range->pages))
		return -EEXIST;
	if (ranges->count == ranges->room) {
		size_t room = ranges->room ? 2 * ranges->room : 8;
		struct range **item = malloc(room * sizeof(struct range *));

		if (!item)
			return -ENOMEM;
		if (ranges->count)
			memcpy(item, ranges->item, ranges->count * sizeof(struct range *));
		free(ranges->item);
		ranges->item = item;
		ranges->room = room;
	}
	memmove(ranges->item + at + 1, ranges->item + at, (ranges->count - at) * sizeof(struct range *));
	ranges->item[at] = range;
	ranges->count++;
	return 0;
}

void ranges_remove(struct ranges *ranges, const struct range *range)
{
	size_t at = below(ranges, range->page);

	memmove(ranges->item + at, ranges->item + at + 1, (ranges->count - at - 1) * sizeof(struct range *));
	ranges->count--;
}
