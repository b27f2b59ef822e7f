/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Runs that stay mapped after their mapping was unregistered, the least recently unregistered first to go. In the index under
 * {owner, first page, pages}, so that the same list of the same owner finds its run again. A hit hands the run to a new slot;
 * the old slot goes through the limbo like any other, but without a run.
 *
 * What is in the cache is in no map, has no cookie and gives no reference. It is in a list of its owner's, so that it goes
 * with him.
 */
#include "reclaim/cache.h"

#include <string.h>

#include "reclaim/limbo.h"

static uint32_t hash_of(const struct space *space, uint16_t owner, uint64_t first, uint64_t pages)
{
	return space_hash(space, KEY_CACHED, owner, first, pages);
}

/* Out of the cache's and the owner's lists and the index; the slot is the caller's. */
static void take_out(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint64_t pages = mapping->pages;

	index_remove(&space->index, hash_of(space, mapping->owner, mapping_segments(mapping)->page, pages),
	             slot);
	if (mapping->older)
		mapping_at(space, mapping->older)->newer = mapping->newer;
	else
		space->cache.oldest = mapping->newer;
	if (mapping->newer)
		mapping_at(space, mapping->newer)->older = mapping->older;
	else
		space->cache.newest = mapping->older;
	space->cache.count--;
	space->cache.bytes -= pages * IST_PAGE_SIZE;
	mapping_owner(space, mapping)->cached--;
	space_unlink(space, &mapping_owner(space, mapping)->first_cached, slot);
}

void cache_drop(struct space *space, uint32_t slot)
{
	take_out(space, slot);
	limbo_add(space, slot);
}

void cache_shrink(struct space *space, uint64_t bytes)
{
	while (space->cache.bytes > bytes)
		cache_drop(space, space->cache.oldest);
}

bool cache_keep(struct space *space, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct owner *owner = mapping_owner(space, mapping);
	uint64_t pages, bytes, limit = space->config.cache_size;

	if (limit == 0 || mapping->kind != MAPPING_PAGES || !mapping_has_run(mapping) ||
	    !owner_is_live(owner))
		return false;
	pages = mapping->pages;
	bytes = pages * IST_PAGE_SIZE;
	/* What is larger than its pages has guard pages: not what another registration wants. */
	if (bytes > limit || pages != mapping->run.count ||
	    index_insert(&space->index,
	                 hash_of(space, mapping->owner, mapping_segments(mapping)->page, pages), slot))
		return false;
	cache_shrink(space, limit - bytes);
	mapping->cached = true;
	mapping->newer = 0;
	mapping->older = space->cache.newest;
	if (space->cache.newest)
		mapping_at(space, space->cache.newest)->newer = slot;
	else
		space->cache.oldest = slot;
	space->cache.newest = slot;
	space->cache.count++;
	space->cache.bytes += bytes;
	owner->cached++;
	space_link(space, &owner->first_cached, slot);
	return true;
}

struct cache_query {
	struct space *space;
	const struct mapping *like;
};

static bool is_same(void *context, uint32_t slot)
{
	const struct cache_query *query = context;
	const struct mapping *mapping = mapping_at(query->space, slot), *like = query->like;

	return mapping->cached && mapping->owner == like->owner && mapping->attributes == like->attributes &&
	       mapping->segments == like->segments && mapping->pages == like->pages &&
	       memcmp(mapping_segments(mapping), mapping_segments(like),
	              like->segments * sizeof(struct segment)) == 0;
}

bool cache_take(struct space *space, bool may_be_there, uint32_t slot)
{
	struct mapping *to = mapping_at(space, slot), *from;
	struct cache_query query = {space, to};
	uint32_t found = 0;

	if (space->cache.count > 0 && may_be_there)
		found = index_find(&space->index,
		                   hash_of(space, to->owner, mapping_segments(to)->page, to->pages), is_same,
		                   &query);
	space->cache.hits += found != 0;
	space->cache.misses += found == 0;
	if (!found)
		return false;
	from = mapping_at(space, found);
	take_out(space, found);
	to->place = PLACE_RUN;
	to->run = from->run;
	to->vaddr = window_address(&space->window, to->run) + to->offset;
	window_enter(&space->window, to->run, slot);
	from->run = (struct run){0};
	limbo_add(space, found);
	return true;
}
