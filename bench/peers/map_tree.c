/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <pthread.h>

#include "lib/must.h"
#include "maps.h"
#include "tree.h"

struct entry {
	struct tree_node node; /* first: where it begins */
	uint64_t bytes, vaddr;
};

struct locked_tree {
	pthread_rwlock_t lock;
	struct tree tree;
	struct entry *entries; /* in one piece: an allocation each would slow it down */
	size_t used, most;
};

static void *create(size_t most)
{
	struct locked_tree *map = must_allocate(1, sizeof(*map));

	map->entries = must_allocate(most, sizeof(*map->entries));
	map->most = most;
	pthread_rwlock_init(&map->lock, NULL);
	map->tree.random = 1;
	return map;
}

static void insert(void *context, uint64_t paddr, uint64_t bytes, uint64_t vaddr)
{
	struct locked_tree *map = context;
	struct entry *entry;

	pthread_rwlock_wrlock(&map->lock);
	must(map->used == map->most);
	entry = &map->entries[map->used++];
	entry->node.first = paddr;
	entry->bytes = bytes;
	entry->vaddr = vaddr;
	tree_insert(&map->tree, &entry->node);
	pthread_rwlock_unlock(&map->lock);
}

static bool find(void *context, uint64_t paddr, uint64_t *vaddr)
{
	struct locked_tree *map = context;
	struct entry *entry;
	bool found;

	pthread_rwlock_rdlock(&map->lock);
	entry = (struct entry *)(void *)tree_below(&map->tree, paddr, 1);
	found = entry && paddr - entry->node.first < entry->bytes;
	if (found)
		*vaddr = entry->vaddr + (paddr - entry->node.first);
	pthread_rwlock_unlock(&map->lock);
	return found;
}

static void destroy(void *context)
{
	struct locked_tree *map = context;

	free(map->entries);
	pthread_rwlock_destroy(&map->lock);
	free(map);
}

const struct map_peer map_peer_tree = {"rwlock, treap", create, insert, find, destroy};
