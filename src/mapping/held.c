/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What no lookup finds any more and what is accessible all the same. The maps do not show it, so all slots are looked at; which
 * is done only while there is something of the kind.
 */
#include "mapping/space.h"

static bool has_page(const struct mapping *mapping, uint64_t page, uint64_t pages)
{
	const struct extent *extent;

	if (mapping->kind == MAPPING_RANGE)
		return range_has_page(mapping, page, pages);
	extent = mapping_extents(mapping);
	for (uint32_t i = 0; i < mapping->extents; i++)
		if (extent[i].page - page < pages || page - extent[i].page < extent[i].pages)
			return true;
	return false;
}

/*
 * Neither LIVE nor ENDED: it has references, is in the hands of the thread that put the last one, or is stuck. LIVE: it may be
 * hidden with its owner.
 */
static bool is_hidden(struct space *space, const struct mapping *mapping)
{
	uint64_t refs = atomic_load_explicit(&mapping->refs, memory_order_acquire); /* with its record [S1] */

	if (refs & REFS_LIVE)
		return !owner_is_live(mapping_owner(space, mapping));
	return !(refs & REFS_ENDED) && mapping->kind != MAPPING_CACHED;
}

bool space_is_held(struct space *space, uint64_t page, uint64_t pages, uint32_t but)
{
	bool held = false;

	if (!space->dying && !space->stuck &&
	    atomic_load_explicit(&space->referenced, memory_order_relaxed) == 0)
		return false;
	rcu_enter(); /* what ends meanwhile keeps its list until we have left */
	for (uint32_t slot = 1; slot <= space->slots.made && !held; slot++) {
		const struct mapping *mapping = mapping_at(space, slot);

		held = slot != but && is_hidden(space, mapping) && has_page(mapping, page, pages);
	}
	rcu_leave();
	return held;
}
