/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Memory for the nodes of one map: carved from chunks that grow with the map, recycled through free lists, kept until
 * the map goes. What was replaced waits in the limbo for a grace period. Everything here is under the map's mutex.
 *
 * The limbo goes through rcu_defer as one item: what has gathered since the last hand-over, a list for each kind, so
 * that giving back a thousand nodes costs as much as giving back one, and a grace period serves them all. The reclaimer
 * only says that the item has elapsed; the next update takes it back. It must not need the mutex: an updater that never
 * pauses would starve it.
 *   [pamap.L1] `elapsed` is set with release by the reclaimer, and cleared by the writer after an acquire.
 */
#ifndef PAMAP_STORE_H
#define PAMAP_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "pamap/hints.h"
#include "pamap/node.h"
#include "rcu/rcu.h"

struct chunk {
	struct chunk *next;
	size_t bytes;
};

/* Unused nodes of one kind, singly linked through their `next` (its place differs, so each kind has its functions). */
struct node_lists {
	struct leaf *leaf, *leaf_last;
	struct inner *inner, *inner_last;
	struct block *block, *block_last;
	struct cover *cover, *cover_last;
	struct hints *hints;
	size_t leaves, inners, blocks; /* how many of each */
	uint64_t bytes;
};

/* The part of a chunk that was not handed out yet. */
struct bump {
	char *at, *end;
	size_t next_bytes; /* of the next chunk */
};

struct store {
	struct chunk *chunks;
	struct bump bump_leaf, bump_inner, bump_block;
	struct node_lists unused; /* `cover` is unused here: covers come from malloc, hints from the system */
	struct node_lists limbo; /* replaced since the last hand-over */
	struct node_lists in_flight; /* handed over */
	struct rcu_item item;
	bool is_sent; /* `in_flight` waits for its grace period */
	atomic_bool elapsed; /* [pamap.L1] */
	pthread_mutex_t elapsed_lock; /* for those who wait for it */
	pthread_cond_t has_elapsed;
	uint64_t bytes, limit, refused;
	/* Of `bytes`: chunks for leaves, of which there are as many as updates replace. */
	uint64_t leaf_bytes;
};

void store_init(struct store *store);
/* Waits for a hand-over under way. Gives back all nodes, but covers that are in the tree. */
void store_drop(struct store *store);

/* From now on this many nodes of each kind can be had without failure. -ENOMEM. */
int store_reserve(struct store *store, size_t leaves, size_t inners, size_t blocks);
struct leaf *store_leaf(struct store *store);
/* Start loading the leaf that will be had next: it has not been used for long. */
static inline void store_touch(struct store *store)
{
	const char *leaf = (const char *)store->unused.leaf;

	for (size_t at = 0; leaf && at < sizeof(struct leaf); at += CACHE_LINE)
		__builtin_prefetch(leaf + at, 1);
}
struct inner *store_inner(struct store *store);
struct block *store_block(struct store *store);
struct cover *store_cover(struct store *store, size_t count); /* null: no memory */
struct hints *store_hints(struct store *store, size_t count); /* empty; null: no memory */

/* Give back what no reader can have seen ... */
void store_discard_cover(struct store *store, struct cover *cover);
void store_discard_block(struct store *store, struct block *block);
void store_discard_hints(struct store *store, struct hints *hints);
/* ... and what readers may still be in [pamap.P2]: after it was replaced. */
void store_retire_leaf(struct store *store, struct leaf *leaf);
void store_retire_inner(struct store *store, struct inner *inner);
void store_retire_block(struct store *store, struct block *block);
void store_retire_cover(struct store *store, struct cover *cover);
void store_retire_hints(struct store *store, struct hints *hints);

uint64_t store_backlog(const struct store *store);
/* -EAGAIN when, for 100 ms, too much waited for readers. */
int store_admit(struct store *store);
/* Take back what has elapsed, and hand over what was replaced. */
void store_hand_over(struct store *store);
/*
 * The same at the end of an update, but once it is worth a grace period: one interrupts all readers that are running
 * (membarrier), and costs as much as some ten updates. What is less stays with the map until a later update.
 */
void store_end_update(struct store *store);

#endif
