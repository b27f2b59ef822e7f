/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "space/range_words.h"

#include "platform/platform.h"

bool range_page(const struct mapping *mapping, uint64_t at, uint64_t *page)
{
	uint64_t word = range_word(mapping, at);

	*page = (word & RANGE_PAGE) - 1;
	return (word & RANGE_PAGE) != 0 && !(word & RANGE_LEAVING);
}

/* Whether pages from `at` on are [first, last], as `mask` of their words says. */
static bool holds(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last, uint64_t mask)
{
	if (last - first >= mapping->pages - at)
		return false;
	for (uint64_t i = 0; i <= last - first; i++)
		if ((range_word(mapping, at + i) & mask) != first + i + 1)
			return false;
	return true;
}

bool range_holds(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last)
{
	return holds(mapping, at, first, last, RANGE_PAGE | RANGE_LEAVING);
}

bool range_held(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last)
{
	return holds(mapping, at, first, last, RANGE_PAGE);
}

void range_give_link(struct space *space, struct mapping *mapping, uint64_t at)
{
	uint32_t link = mapping->range_link[at];

	if (link)
		stock_give(&space->links, link, link);
	mapping->range_link[at] = 0;
}

void range_drop(struct space *space, struct mapping *mapping)
{
	if (!mapping->range)
		return;
	for (uint64_t at = 0; at < mapping->pages; at++)
		range_give_link(space, mapping, at);
	platform_unmap((void *)(uintptr_t)mapping->range, range_array_bytes(mapping));
}
