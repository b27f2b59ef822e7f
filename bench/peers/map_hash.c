/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* liburcu's hash table, of single pages, with as many buckets as it will have entries. */
#include <urcu-bp.h>
#include <urcu/rculfhash.h>

#include "maps.h"

#include "lib/must.h"
#include "rcu/rcu.h"

enum { PAGE_SHIFT = 12 };

struct entry {
	struct cds_lfht_node node;
	uint64_t page, vaddr;
};

struct hash {
	struct cds_lfht *table;
	struct entry *entries;
	size_t count, most;
};

static unsigned long hash_of(uint64_t page)
{
	uint64_t x = page * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned long)(x ^ x >> 32);
}

static int match(struct cds_lfht_node *node, const void *key)
{
	return ((struct entry *)node)->page == *(const uint64_t *)key;
}

static void *create(size_t most)
{
	struct hash *hash = must_allocate(1, sizeof(*hash));
	size_t buckets = 1;

	while (buckets < most)
		buckets *= 2;
	hash->table = cds_lfht_new(buckets, buckets, buckets, 0, NULL);
	must(!hash->table);
	hash->entries = must_allocate(most, sizeof(*hash->entries));
	hash->most = most;
	return hash;
}

static void insert(void *map, uint64_t paddr, uint64_t bytes, uint64_t vaddr)
{
	struct hash *hash = map;
	struct entry *entry;

	(void)bytes;
	must(hash->count == hash->most);
	entry = &hash->entries[hash->count++];
	entry->page = paddr >> PAGE_SHIFT;
	entry->vaddr = vaddr;
	rcu_enter();
	cds_lfht_add(hash->table, hash_of(entry->page), &entry->node);
	rcu_leave();
}

static bool find(void *map, uint64_t paddr, uint64_t *vaddr)
{
	struct hash *hash = map;
	uint64_t page = paddr >> PAGE_SHIFT;
	struct cds_lfht_node *node;
	struct cds_lfht_iter iter;

	rcu_enter();
	cds_lfht_lookup(hash->table, hash_of(page), match, &page, &iter);
	node = cds_lfht_iter_get_node(&iter);
	if (node)
		*vaddr = ((struct entry *)node)->vaddr + (paddr & ((UINT64_C(1) << PAGE_SHIFT) - 1));
	rcu_leave();
	return node;
}

static void destroy(void *map)
{
	struct hash *hash = map;

	rcu_enter();
	for (size_t i = 0; i < hash->count; i++)
		cds_lfht_del(hash->table, &hash->entries[i].node);
	rcu_leave();
	cds_lfht_destroy(hash->table, NULL);
	free(hash->entries);
	free(hash);
}

const struct map_peer map_peer_hash = {"rculfhash, presized", create, insert, find, destroy};
