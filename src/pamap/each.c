/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Iteration, leaf by leaf. A mapping is visited at the segment of its first page; segments come and go with overlaps, but
 * one begins there as long as the mapping is there.
 */
#include "pamap/map.h"
#include "pamap/plan.h"

struct walk {
	struct pamap *map;
	uint64_t first, last; /* of the mappings wanted; first moves on: what is behind it was visited */
	pamap_visit *visit;
	void *context;
};

static bool visit_list(const struct walk *walk, uint64_t page, struct list list)
{
	for (uint32_t i = 0; i < list.count; i++) {
		const struct pamap_entry *e = &list.entry[i];

		if (e->page == page && !owner_is_hidden(walk->map, e->owner) &&
		    !walk->visit(walk->context, e))
			return false;
	}
	return true;
}

static bool visit_segment(const struct walk *walk, uint64_t page, struct list list)
{
	return page < walk->first || page > walk->last || visit_list(walk, page, list);
}

static bool visit_leaf(const struct walk *walk, const struct leaf *leaf, uint64_t base)
{
	struct pamap_entry one;

	for (unsigned i = 0; i < leaf->count; i++) {
		uint64_t word = atomic_load_explicit(&leaf->word[i], memory_order_acquire); /* [pamap.P1] */
		uint64_t page = base + (uint64_t)leaf->key[i];

		if (word && !visit_segment(walk, page, leaf_list(page, word, leaf->extra[i], &one)))
			return false;
	}
	return true;
}

static bool visit_block(const struct walk *walk, const struct block *block, uint64_t start)
{
	struct pamap_entry one;

	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		uint64_t word = atomic_load_explicit(&block->word[i], memory_order_acquire); /* [pamap.P1] */

		if (word && !visit_segment(walk, start + i, block_list(block, start + i, word, &one)))
			return false;
	}
	return true;
}

static void walk_regions(struct walk *walk)
{
	uint64_t page, region;
	struct spot spot;
	bool more = true;

	while (more && walk->first <= walk->last) {
		page = walk->first;
		region = map_next_region(walk->map, page >> REGION_BITS);
		if (region == UINT64_MAX)
			return;
		if (region != page >> REGION_BITS)
			walk->first = page = region << REGION_BITS;
		tree_find(map_root(walk->map, region), (int32_t)(page & (uint64_t)REGION_LAST), &spot);
		if (node_kind(spot.target) == NODE_BLOCK)
			more = visit_block(walk, node_block(spot.target),
			                   (region << REGION_BITS) + (uint64_t)block_start(&spot));
		else if (spot.target)
			more = visit_leaf(walk, node_leaf(spot.target), region << REGION_BITS);
		walk->first = (region << REGION_BITS) + (uint64_t)spot.high + 1;
	}
}

void pamap_for_each(struct pamap *map, uint64_t first, uint64_t last, pamap_visit *visit, void *context)
{
	struct walk walk = {map, first, last, visit, context};

	if (!atomic_load_explicit(&map->owners, memory_order_relaxed))
		return;
	rcu_enter();
	walk_regions(&walk);
	rcu_leave();
}

struct first_found {
	struct pamap_entry *out;
	bool found;
};

static bool take_first(void *context, const struct pamap_entry *entry)
{
	struct first_found *first = context;

	*first->out = *entry;
	first->found = true;
	return false;
}

bool pamap_next(struct pamap *map, uint64_t first, struct pamap_entry *out)
{
	struct first_found found = {out, false};

	pamap_for_each(map, first, UINT64_MAX >> PAMAP_PAGE_SHIFT, take_first, &found);
	return found.found;
}
