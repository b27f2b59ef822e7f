/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What else could answer: a balanced tree under a reader-writer lock, and liburcu's hash table (single pages only). */
#include <urcu-bp.h>
#include <urcu/rculfhash.h>

#include "pamap.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "peers/tree.h"
#include "rcu/rcu.h"

static double each(double begin, size_t count)
{
	return (clock_seconds() - begin) * 1e9 / (double)count;
}

static void *isthmus_make(const struct set *set)
{
	return set->map;
}

static double isthmus_lookups(void *made, const uint64_t *at, size_t count)
{
	double begin = clock_seconds();
	uint64_t sum = 0, to = 0;

	for (size_t i = 0; i < count; i++) {
		pamap_translate(made, at[i], 1, &to);
		sum += to;
	}
	bench_use(sum);
	return each(begin, count);
}

static void isthmus_drop(void *made)
{
	(void)made;
}

struct tree_entry {
	struct tree_node node; /* by page */
	uint64_t pages, to;
};

struct locked_tree {
	pthread_rwlock_t lock;
	struct tree tree;
	struct tree_entry *entries;
};

static void *tree_make(const struct set *set)
{
	struct locked_tree *made = calloc(1, sizeof(*made));

	pthread_rwlock_init(&made->lock, NULL);
	made->tree.random = 1;
	made->entries = calloc(set->count, sizeof(*made->entries));
	for (size_t i = 0; i < set->count; i++) {
		made->entries[i].node.first = set->entry[i].page;
		made->entries[i].pages = set->entry[i].pages;
		made->entries[i].to = set->entry[i].to;
		tree_insert(&made->tree, &made->entries[i].node);
	}
	return made;
}

static double tree_lookups(void *made, const uint64_t *at, size_t count)
{
	struct locked_tree *locked = made;
	double begin = clock_seconds();
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t page = at[i] >> PAMAP_PAGE_SHIFT;
		struct tree_entry *entry;

		pthread_rwlock_rdlock(&locked->lock);
		entry = (struct tree_entry *)tree_below(&locked->tree, page, 1);
		if (entry && page - entry->node.first < entry->pages)
			sum += entry->to + (page - entry->node.first);
		pthread_rwlock_unlock(&locked->lock);
	}
	bench_use(sum);
	return each(begin, count);
}

static void tree_drop(void *made)
{
	struct locked_tree *locked = made;

	pthread_rwlock_destroy(&locked->lock);
	free(locked->entries);
	free(locked);
}

struct hash_entry {
	struct cds_lfht_node node;
	uint64_t page, to;
};

struct hash {
	struct cds_lfht *table;
	struct hash_entry *entries;
	size_t count;
};

static unsigned long hash_of(uint64_t page)
{
	uint64_t x = page * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned long)(x ^ x >> 32);
}

static int hash_match(struct cds_lfht_node *node, const void *key)
{
	return ((struct hash_entry *)node)->page == *(const uint64_t *)key;
}

static void *hash_make(const struct set *set)
{
	struct hash *made = calloc(1, sizeof(*made));
	size_t buckets = 1;

	while (buckets < set->count)
		buckets *= 2;
	made->table = cds_lfht_new(buckets, buckets, buckets, 0, NULL);
	made->entries = calloc(set->count, sizeof(*made->entries));
	made->count = set->count;
	rcu_enter();
	for (size_t i = 0; i < set->count; i++) {
		made->entries[i].page = set->entry[i].page;
		made->entries[i].to = set->entry[i].to;
		cds_lfht_add(made->table, hash_of(set->entry[i].page), &made->entries[i].node);
	}
	rcu_leave();
	return made;
}

static double hash_lookups(void *made, const uint64_t *at, size_t count)
{
	struct hash *hash = made;
	double begin = clock_seconds();
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t page = at[i] >> PAMAP_PAGE_SHIFT;
		struct cds_lfht_iter iter;

		rcu_enter();
		cds_lfht_lookup(hash->table, hash_of(page), hash_match, &page, &iter);
		if (cds_lfht_iter_get_node(&iter))
			sum += ((struct hash_entry *)cds_lfht_iter_get_node(&iter))->to;
		rcu_leave();
	}
	bench_use(sum);
	return each(begin, count);
}

static void hash_drop(void *made)
{
	struct hash *hash = made;

	rcu_enter();
	for (size_t i = 0; i < hash->count; i++)
		cds_lfht_del(hash->table, &hash->entries[i].node);
	rcu_leave();
	cds_lfht_destroy(hash->table, NULL);
	free(hash->entries);
	free(hash);
}

const struct peer_map peer_isthmus = {"isthmus", isthmus_make, isthmus_lookups, isthmus_drop};
const struct peer_map peer_tree = {"rwlock + treap", tree_make, tree_lookups, tree_drop};
const struct peer_map peer_hash = {"rculfhash, presized", hash_make, hash_lookups, hash_drop};
