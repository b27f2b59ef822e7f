/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "space/ranges.h"

#include <stdlib.h>

/* How many ranges end below `page`. */
static size_t below(const struct ranges *ranges, uint64_t page)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct range *range = &ranges->at[middle].range;

		if (range->page + (range->pages - 1) < page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_out(const struct ranges *ranges, size_t at)
{
	return atomic_load_explicit(&ranges->at[at].is_out, memory_order_relaxed); /* [space.E2] */
}

bool ranges_overlap(const struct ranges *ranges, uint64_t page, uint64_t pages)
{
	size_t at = ranges ? below(ranges, page) : 0;

	for (; ranges && at < ranges->count && ranges->at[at].range.page <= page + (pages - 1); at++) {
		if (!is_out(ranges, at))
			return true;
	}
	return false;
}

static void append(struct ranges *ranges, const struct range *range)
{
	ranges->at[ranges->count].range = *range;
	atomic_init(&ranges->at[ranges->count].is_out, false);
	ranges->count++;
}

struct ranges *ranges_with(const struct ranges *ranges, const struct range *range)
{
	size_t count = ranges ? ranges->count : 0, at = ranges ? below(ranges, range->page) : 0;
	struct ranges *with = malloc(sizeof(*with) + (count + 1) * sizeof(with->at[0]));

	if (!with)
		return NULL;
	with->count = 0;
	for (size_t i = 0; i <= count; i++) {
		if (i == at)
			append(with, range);
		if (i < count && !is_out(ranges, i))
			append(with, &ranges->at[i].range);
	}
	return with;
}

bool ranges_take_out(struct ranges *ranges, const struct range *range)
{
	size_t at = ranges ? below(ranges, range->page) : 0;

	for (; ranges && at < ranges->count && ranges->at[at].range.page <= range->page; at++) {
		if (is_out(ranges, at) || ranges->at[at].range.page != range->page ||
		    ranges->at[at].range.pages != range->pages)
			continue;
		atomic_store_explicit(&ranges->at[at].is_out, true, memory_order_relaxed); /* [space.E2] */
		return true;
	}
	return false;
}

static void release(struct rcu_item *item)
{
	free((char *)item - offsetof(struct ranges, item));
}

void ranges_retire(struct ranges *ranges)
{
	if (!ranges)
		return;
	ranges->item.release = release;
	rcu_defer(&ranges->item);
}
