/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/pamap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pamap/atfork.h"
#include "pamap/map.h"
#include "pamap/plan.h"
#include "pamap/single.h"
#include "platform/platform.h"

#define LAST_PAGE (UINT64_MAX >> PAMAP_PAGE_SHIFT)
#define NO_REGION UINT64_MAX

int pamap_create(struct pamap **out)
{
	int error = atfork_start();
	struct pamap *map = error ? NULL : calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	atomic_store_explicit(&map->first_number, NO_REGION, memory_order_relaxed);
	pthread_mutex_init(&map->writer, NULL);
	store_init(&map->store);
	atfork_enlist(map);
	*out = map;
	return 0;
}

static void drop_cover(struct store *store, uint64_t word, struct cover *cover)
{
	if (word)
		store_discard_cover(store, cover);
}

/* Covers are the only memory of a tree that is not in a chunk. */
static void drop_covers(struct store *store, node_ref ref)
{
	if (ref == 0)
		return;
	switch (node_kind(ref)) {
	case NODE_INNER:
		for (unsigned i = 0; i < node_inner(ref)->count; i++)
			drop_covers(store,
			            atomic_load_explicit(&node_inner(ref)->child[i], memory_order_relaxed));
		return;
	case NODE_LEAF:
		for (unsigned i = 0; i < node_leaf(ref)->count; i++) {
			uint64_t word = atomic_load_explicit(&node_leaf(ref)->word[i], memory_order_relaxed);

			if (word_pages(word) == 0)
				drop_cover(store, word, word_cover(word));
		}
		return;
	case NODE_BLOCK:
		for (unsigned i = 0; i < BLOCK_PAGES; i++) {
			uint64_t word = atomic_load_explicit(&node_block(ref)->word[i], memory_order_relaxed);

			if (block_word_palette(word) == PALETTE_COVER)
				drop_cover(store, word, block_word_cover(word));
		}
	}
}

static void drop_root(struct store *store, struct root *root)
{
	struct hints *hints = atomic_load_explicit(&root->hints, memory_order_relaxed);

	drop_covers(store, atomic_load_explicit(&root->top, memory_order_relaxed));
	if (hints)
		store_discard_hints(store, hints);
}

void pamap_destroy(struct pamap *map)
{
	struct regions *regions = atomic_load_explicit(&map->regions, memory_order_relaxed);

	atfork_delist(map);
	drop_root(&map->store, &map->first.root);
	for (size_t i = 0; regions && i < regions->count; i++) {
		drop_root(&map->store, &regions->region[i]->root);
		free(regions->region[i]);
	}
	free(regions);
	store_drop(&map->store);
	platform_unmap(atomic_load_explicit(&map->owners, memory_order_relaxed), OWNERS * sizeof(uint32_t));
	pthread_mutex_destroy(&map->writer);
	free(map);
}

#ifdef ISTHMUS_TEST_HOOKS
void pamap_set_backlog_limit(struct pamap *map, uint64_t bytes)
{
	pthread_mutex_lock(&map->writer);
	map->store.limit = bytes;
	pthread_mutex_unlock(&map->writer);
}
#endif

uint64_t map_next_region(struct pamap *map, uint64_t number)
{
	struct regions *regions = atomic_load_explicit(&map->regions, memory_order_acquire); /* [pamap.P1] */
	uint64_t first = atomic_load_explicit(&map->first_number, memory_order_relaxed);
	uint64_t best = first != NO_REGION && first >= number ? first : NO_REGION;

	for (size_t i = 0; regions && i < regions->count; i++)
		if (regions->region[i]->number >= number && regions->region[i]->number < best)
			best = regions->region[i]->number;
	return best;
}

static struct regions *make_regions(const struct regions *old, struct region *added)
{
	size_t count = old ? old->count : 0, at = 0;
	struct regions *made = malloc(sizeof(*made) + (count + 1) * sizeof(made->region[0]));

	if (!made)
		return NULL;
	made->count = count + 1;
	while (at < count && old->region[at]->number < added->number)
		at++;
	if (old) {
		memcpy(made->region, old->region, at * sizeof(made->region[0]));
		memcpy(made->region + at + 1, old->region + at, (count - at) * sizeof(made->region[0]));
	}
	made->region[at] = added;
	return made;
}

static void free_regions(struct rcu_item *item)
{
	free((char *)item - offsetof(struct regions, item));
}

struct root *map_make_root(struct pamap *map, uint64_t number)
{
	struct regions *old = atomic_load_explicit(&map->regions, memory_order_relaxed), *made;
	struct root *root = map_root(map, number);
	struct region *region;

	if (root)
		return root;
	if (!map->has_first) {
		map->has_first = true;
		map->first.root.region = number;
		atomic_store_explicit(&map->first_number, number, memory_order_relaxed);
		return &map->first.root;
	}
	region = calloc(1, sizeof(*region));
	if (!region)
		return NULL;
	region->number = region->root.region = number;
	made = make_regions(old, region);
	if (!made) {
		free(region);
		return NULL;
	}
	atomic_store_explicit(&map->regions, made, memory_order_release); /* [pamap.P1] */
	if (old) {
		old->item.release = free_regions;
		rcu_defer(&old->item);
	}
	return &region->root;
}

/* Before the first update: what only written maps need. */
static int make_ready(struct pamap *map)
{
	_Atomic uint32_t *owners;

	if (atomic_load_explicit(&map->owners, memory_order_relaxed))
		return 0;
	owners = platform_map(OWNERS * sizeof(*owners));
	if (!owners)
		return -ENOMEM;
	atomic_store_explicit(&map->owners, owners, memory_order_release); /* [pamap.P1] */
	return 0;
}

void map_count(struct pamap *map, uint16_t owner, int change)
{
	_Atomic uint32_t *owners = atomic_load_explicit(&map->owners, memory_order_relaxed);
	uint32_t before = atomic_load_explicit(&owners[owner], memory_order_relaxed);

	atomic_store_explicit(&owners[owner], before + (uint32_t)change, memory_order_relaxed);
	map->mappings += (uint64_t)(int64_t)change;
}

static int check(const struct pamap_entry *e)
{
	if (e->pages == 0 || e->page > LAST_PAGE || e->to > LAST_PAGE || e->pages - 1 > LAST_PAGE - e->page ||
	    e->pages - 1 > LAST_PAGE - e->to)
		return -EINVAL;
	return e->pages > PAMAP_PAGES_MAX ? -EFBIG : 0;
}

/* The mutex, and all that an update may fail for before it looks at the tree. */
static int begin_update(struct pamap *map)
{
	int error;

	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&map->writer);
	error = make_ready(map);
	if (!error)
		error = store_admit(&map->store);
	if (error)
		pthread_mutex_unlock(&map->writer);
	return error;
}

static void end_update(struct pamap *map)
{
	store_end_update(&map->store);
	pthread_mutex_unlock(&map->writer);
}

static int insert(struct pamap *map, const struct pamap_entry *entry, unsigned flags)
{
	struct plan_op op = {PLAN_ADD, entry, NULL, flags};
	int error = check(entry);

	if (error)
		return error;
	if (owner_is_hidden(map, entry->owner))
		return -EBUSY;
	error = single_insert(map, entry);
	if (error == SINGLE_NOT)
		error = plan_run(map, &op);
	if (!error)
		map_count(map, entry->owner, 1);
	return error;
}

int pamap_insert(struct pamap *map, const struct pamap_entry *entry, unsigned flags)
{
	int error = begin_update(map);

	if (error)
		return error;
	error = insert(map, entry, flags);
	end_update(map);
	return error;
}

static int remove_locked(struct pamap *map, const struct pamap_entry *entry)
{
	struct plan_op op = {PLAN_DROP, entry, NULL, 0};
	int error = single_remove(map, entry);

	if (error == SINGLE_NOT) {
		error = store_admit(&map->store);
		if (!error)
			error = plan_run(map, &op);
	}
	if (!error)
		map_count(map, entry->owner, -1);
	return error;
}

int pamap_remove(struct pamap *map, const struct pamap_entry *entry)
{
	int error = check(entry);

	if (error)
		return error;
	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&map->writer);
	error = remove_locked(map, entry);
	end_update(map);
	return error;
}

int pamap_replace(struct pamap *map, const struct pamap_entry *entry, const struct pamap_entry *with)
{
	struct plan_op op = {PLAN_SWAP, entry, with, 0};
	int error = check(entry) ? -EINVAL : check(with);

	if (!error && (entry->page != with->page || entry->pages != with->pages))
		error = -EINVAL;
	if (!error)
		error = begin_update(map);
	if (error)
		return error;
	error = owner_is_hidden(map, with->owner) ? -EBUSY : plan_run(map, &op);
	if (!error) {
		map_count(map, entry->owner, -1);
		map_count(map, with->owner, 1);
	}
	end_update(map);
	return error;
}

void pamap_get_stats(struct pamap *map, struct pamap_stats *out)
{
	pthread_mutex_lock(&map->writer);
	store_hand_over(&map->store);
	out->mappings = map->mappings;
	out->bytes = map->store.bytes;
	out->backlog_bytes = store_backlog(&map->store);
	out->backlog_limit = map->store.limit;
	out->refused = map->store.refused;
	pthread_mutex_unlock(&map->writer);
}
