/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A writer and a reader of the PA map, small enough for a model checker to try every order that C11 allows: the
 * library's own lookup and update of single mappings, over a small RCU and over malloc. GenMC runs it as it is
 * (tests/meson.build); compiled as usual it runs with real threads, many times.
 *
 * The writer inserts page 2 into the leaf that has page 1 (a copy is published, the old leaf freed after a grace
 * period), then removes page 1 (a word is emptied). The reader, in one section, must find page 1 as it was written, or,
 * if it is gone, then page 2. The way to both is a hint, or the root while there is none. Mutants: 1 publishes early,
 * 2 frees without a grace period, 3 publishes without release. (4 leaves hints as they were; that takes more pages to
 * show, and the torture test does.)
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"

#ifdef GENMC
typedef int pthread_cond_t; /* its own <pthread.h> has none; nobody waits here */
#define model_until(condition) __VERIFIER_assume(condition)
#define model_alloc(size) malloc(size)
#define ROUNDS 1
#else
#include <sched.h>
#define model_until(condition) \
	do \
		sched_yield(); \
	while (!(condition))
#define model_alloc(size) aligned_alloc(128, size)
#define ROUNDS 3000
#endif

/*
 * Read sections: one flag, for there is one reader, whose sections do not nest. Stands in for rcu/rcu.h. Both sides
 * change the flag by read-modify-write: either the writer's finds the reader inside, or the reader's comes later and
 * brings with it what the writer did before.
 */
#define RCU_RCU_H
struct rcu_item {
	struct rcu_item *next;
	void (*release)(struct rcu_item *item);
};

static _Atomic int inside;

static inline void rcu_enter(void)
{
	atomic_exchange_explicit(&inside, 1, memory_order_acq_rel);
}

static inline void rcu_leave(void)
{
	atomic_store_explicit(&inside, 0, memory_order_release);
}

static void wait_for_readers(void)
{
	model_until(atomic_fetch_add_explicit(&inside, 0, memory_order_acq_rel) == 0);
}

/* A plain loop in the place of vectors. */
#define PAMAP_RANK_H
static inline unsigned rank_plainly(const int32_t *keys, int32_t limit, unsigned count)
{
	unsigned rank = 0;

	while (rank < count && keys[rank] < limit)
		rank++;
	return rank;
}
#define rank_of_32(keys, limit) rank_plainly(keys, limit, 32)
#define rank_of_64(keys, limit) rank_plainly(keys, limit, 64)

/* The library's file-local names meet here. */
#include "pamap/hints.c"
#include "pamap/tree.c"
#include "pamap/block.c"
#include "pamap/single.c"
#include "pamap/lookup.c"

int store_reserve(struct store *store, size_t leaves, size_t inners, size_t blocks)
{
	(void)store, (void)leaves, (void)inners, (void)blocks;
	return 0;
}

struct leaf *store_leaf(struct store *store)
{
	(void)store;
	return model_alloc(sizeof(struct leaf));
}

struct inner *store_inner(struct store *store)
{
	(void)store;
	return model_alloc(sizeof(struct inner));
}

struct block *store_block(struct store *store)
{
	(void)store;
	return model_alloc(sizeof(struct block));
}

struct cover *store_cover(struct store *store, size_t count)
{
	(void)store, (void)count;
	return NULL;
}

struct hints *store_hints(struct store *store, size_t count)
{
	(void)store, (void)count;
	return NULL;
}

void store_retire_hints(struct store *store, struct hints *hints)
{
	(void)store, (void)hints;
}

static void free_later(void *node)
{
	if (!IS_MUTANT(2))
		wait_for_readers();
	free(node);
}

void store_retire_leaf(struct store *store, struct leaf *leaf)
{
	(void)store;
	free_later(leaf);
}

void store_retire_inner(struct store *store, struct inner *inner)
{
	(void)store;
	free_later(inner);
}

void store_retire_block(struct store *store, struct block *block)
{
	(void)store;
	free_later(block);
}

void store_discard_block(struct store *store, struct block *block)
{
	(void)store;
	free(block);
}

uint64_t store_backlog(const struct store *store)
{
	(void)store;
	return 0;
}

static struct pamap map;
static _Atomic uint32_t owners[8];

struct root *map_make_root(struct pamap *in, uint64_t region)
{
	(void)region;
	return &in->first.root;
}

static const struct pamap_entry first = {1, 1, 11, 5, 1, 1}, second = {2, 1, 22, 6, 2, 2};

static bool finds(const struct pamap_entry *e)
{
	struct pamap_value value;

	if (!pamap_lookup(&map, e->page << PAMAP_PAGE_SHIFT, 1, &value))
		return false;
	assert(value.to == e->to << PAMAP_PAGE_SHIFT);
	assert(value.handle == e->handle && value.owner == e->owner && value.attributes == e->attributes);
	return true;
}

static void *reader(void *unused)
{
	(void)unused;
	/* pamap_lookup has a section of its own; the flag knows no nesting, so each is one by itself. */
	if (!finds(&first))
		assert(finds(&second));
	return NULL;
}

static void *writer(void *unused)
{
	(void)unused;
	assert(single_insert(&map, &second) == SINGLE_DONE);
	assert(single_remove(&map, &first) == SINGLE_DONE);
	return NULL;
}

/* One bucket, which both pages are in. */
static void make_hints(void)
{
	static _Alignas(64) char memory[sizeof(struct hints) + sizeof(node_ref)];
	struct hints *hints = (struct hints *)memory;

	hints->shift = 2;
	hints->count = 1;
	atomic_store_explicit(&hints->slot[0], 0, memory_order_relaxed);
	atomic_store_explicit(&map.first.root.hints, hints, memory_order_relaxed);
}

int main(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[2];

		memset(&map, 0, sizeof(map));
		atomic_store_explicit(&map.owners, owners, memory_order_relaxed);
		map.store.limit = 1;
		make_hints();
		if (single_insert(&map, &first) != SINGLE_DONE)
			return 1;
		if (pthread_create(&threads[0], NULL, reader, NULL) || pthread_create(&threads[1], NULL, writer, NULL))
			return 1;
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		free(node_leaf(atomic_load_explicit(&map.first.root.top, memory_order_relaxed)));
	}
	return 0;
}
