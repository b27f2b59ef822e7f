/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/stats.h"

#include "reclaim/resting.h"

static uint64_t page_trees_bytes(struct space *space)
{
	uint64_t bytes = 0;

	for (uint32_t i = 1; i <= space->backings.slots.made; i++) {
		const struct page_tree *tree = &space_backing(space, i)->tree;

		if (space_backing(space, i)->listed)
			bytes += atomic_load_explicit(&tree->bytes, memory_order_relaxed) +
			         atomic_load_explicit(&tree->groups.bytes, memory_order_relaxed);
	}
	return bytes;
}

static void count_of_owners(struct space *space, struct ist_mapping_stats *out)
{
	for (uint32_t number = 1; number <= space->owners.slots.made; number++) {
		struct owner *owner = owner_at(&space->owners, number);

		out->mappings += atomic_load_explicit(&owner->registered, memory_order_relaxed);
		out->pages += atomic_load_explicit(&owner->registered_pages, memory_order_relaxed);
		out->waiting += rest_count(space, owner);
	}
}

static uint64_t bookkeeping(struct space *space)
{
	struct pamap_stats paddr, vaddr;

	pamap_get_stats(space->by_paddr, &paddr);
	pamap_get_stats(space->by_vaddr, &vaddr);
	return paddr.bytes + vaddr.bytes + space->slots.bytes + space->owners.slots.bytes +
	       atomic_load_explicit(&space->index.bytes, memory_order_relaxed) +
	       atomic_load_explicit(&space->owners.index.bytes, memory_order_relaxed) +
	       atomic_load_explicit(&space->segment_bytes, memory_order_relaxed) +
	       space->backings.slots.bytes + space->links.slots.bytes + space->groups.slots.bytes +
	       page_trees_bytes(space);
}

void space_stats(struct space *space, struct ist_mapping_stats *out)
{
	if (space_enter(space))
		return;
	*out = (struct ist_mapping_stats){
	        .referenced = atomic_load_explicit(&space->referenced, memory_order_relaxed),
	        .waiting = atomic_load_explicit(&space->limbo.waiting, memory_order_relaxed),
	        .cached = space->cache.count,
	        .cached_bytes = space->cache.bytes,
	        .cache_hits = space->cache.hits,
	        .cache_misses = space->cache.misses,
	        .owners = space->owners.alive,
	        .backings = space->backings.count,
	        .window_size = space->window.size,
	        .window_used =
	                atomic_load_explicit(&space->window.used, memory_order_relaxed) * IST_PAGE_SIZE,
	        .bookkeeping = bookkeeping(space),
	        .refused = atomic_load_explicit(&space->refused, memory_order_relaxed),
	};
	count_of_owners(space, out);
	space_leave(space);
}
