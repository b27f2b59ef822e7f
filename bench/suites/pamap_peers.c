/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What else could answer: a balanced tree under a reader-writer lock, and liburcu's hash table (single pages only). */
#include <urcu-bp.h>
#include <urcu/rculfhash.h>

#include "pamap.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "peers/maps.h"
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

static void *tree_make(const struct set *set)
{
	void *made = map_peer_tree.create(set->count);

	for (size_t i = 0; i < set->count; i++)
		map_peer_tree.insert(made, set->entry[i].page << PAMAP_PAGE_SHIFT,
		                     (uint64_t)set->entry[i].pages << PAMAP_PAGE_SHIFT, set->entry[i].to);
	return made;
}

static double tree_lookups(void *made, const uint64_t *at, size_t count)
{
	double begin = clock_seconds();
	uint64_t sum = 0, to;

	for (size_t i = 0; i < count; i++) {
		if (map_peer_tree.find(made, at[i], &to))
			sum += to;
	}
	bench_use(sum);
	return each(begin, count);
}

static void tree_drop(void *made)
{
	map_peer_tree.destroy(made);
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
