/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"
#include "platform/platform.h"

#ifndef CHUNK_FIRST /* models take less */
#define CHUNK_FIRST 8192u
#endif
#define CHUNK_SMALL 65536u /* below, what blocks leave over of a chunk is much of it: grow sooner */
#define CHUNK_MAX (UINT64_C(1) << 20)
#define LIMIT_DEFAULT (UINT64_C(64) << 20)
#define WORTH_PART 16u /* handed over at once: this part of the memory for leaves, but no less */
#define WORTH_MIN 32768u /* than this, nor more */
#define WORTH_MAX 1048576u
#define WAIT_NS 100000000

static size_t cover_bytes(size_t count)
{
	return sizeof(struct cover) + count * sizeof(struct pamap_entry);
}

void store_init(struct store *store)
{
	store->limit = LIMIT_DEFAULT;
	store->bump_leaf.next_bytes = store->bump_inner.next_bytes = store->bump_block.next_bytes =
	        CHUNK_FIRST;
	cond_init_monotonic(&store->has_elapsed);
	pthread_mutex_init(&store->elapsed_lock, NULL);
}

static void free_hints(struct store *store, struct hints *hints)
{
	while (hints) {
		struct hints *next = hints->next;

		store_discard_hints(store, hints);
		hints = next;
	}
}

static void free_covers(struct store *store, struct cover *cover)
{
	while (cover) {
		struct cover *next = cover->next;

		store_discard_cover(store, cover);
		cover = next;
	}
}

/* Whether it has elapsed by `until` (null: whenever). */
static bool wait_until_elapsed(struct store *store, const struct timespec *until)
{
	bool elapsed;
	int error = 0;

	rcu_kick();
	pthread_mutex_lock(&store->elapsed_lock);
	while (!(elapsed = atomic_load_explicit(&store->elapsed, memory_order_acquire)) && error != ETIMEDOUT)
		error = until ? pthread_cond_timedwait(&store->has_elapsed, &store->elapsed_lock, until)
		              : pthread_cond_wait(&store->has_elapsed, &store->elapsed_lock);
	pthread_mutex_unlock(&store->elapsed_lock);
	return elapsed;
}

void store_drop(struct store *store)
{
	while (store->is_sent && rcu_help() && !atomic_load_explicit(&store->elapsed, memory_order_acquire))
		continue; /* no thread is to be had */
	if (store->is_sent)
		wait_until_elapsed(store, NULL);
	/* The reclaimer may be about to leave land(): an update can have seen `elapsed` without the mutex. */
	pthread_mutex_lock(&store->elapsed_lock);
	pthread_mutex_unlock(&store->elapsed_lock);
	free_covers(store, store->in_flight.cover);
	free_covers(store, store->limbo.cover);
	free_hints(store, store->in_flight.hints);
	free_hints(store, store->limbo.hints);
	while (store->chunks) {
		struct chunk *chunk = store->chunks;

		store->chunks = chunk->next;
		platform_unmap(chunk, chunk->bytes);
	}
	pthread_cond_destroy(&store->has_elapsed);
	pthread_mutex_destroy(&store->elapsed_lock);
}

static void add_leaf(struct store *store, void *memory)
{
	struct leaf *leaf = memory;

	leaf->next = store->unused.leaf;
	store->unused.leaf = leaf;
	store->unused.leaves++;
}

/* What is left of a chunk for larger nodes is enough for leaves. */
static void use_rest(struct store *store, struct bump *bump)
{
	for (; (size_t)(bump->end - bump->at) >= sizeof(struct leaf); bump->at += sizeof(struct leaf))
		add_leaf(store, bump->at);
}

/* A new chunk for one kind. Chunks grow with the map, so that what is unused of the last one is little of it. */
static bool refill(struct store *store, struct bump *bump)
{
	size_t bytes = bump->next_bytes;
	struct chunk *chunk = platform_map(bytes);

	if (!chunk)
		return false;
	use_rest(store, bump);
	chunk->bytes = bytes;
	chunk->next = store->chunks;
	store->chunks = chunk;
	store->bytes += bytes;
	store->leaf_bytes += bump == &store->bump_leaf ? bytes : 0;
	bump->at = (char *)chunk + NODE_ALIGN;
	bump->end = (char *)chunk + bytes;
	if (bump->next_bytes < CHUNK_MAX &&
	    bump->next_bytes <= store->bytes / (bytes < CHUNK_SMALL ? 16 : 64))
		bump->next_bytes *= 2;
	return true;
}

static void *carve(struct store *store, struct bump *bump, size_t size)
{
	void *node;

	if ((size_t)(bump->end - bump->at) < size && !refill(store, bump))
		return NULL;
	node = bump->at;
	bump->at += size;
	return node;
}

static int reserve_inners(struct store *store, size_t inners)
{
	while (store->unused.inners < inners) {
		struct inner *inner = carve(store, &store->bump_inner, sizeof(*inner));

		if (!inner)
			return -ENOMEM;
		inner->next = store->unused.inner;
		store->unused.inner = inner;
		store->unused.inners++;
	}
	return 0;
}

int store_reserve(struct store *store, size_t leaves, size_t inners, size_t blocks)
{
	while (store->unused.leaves < leaves) {
		struct leaf *leaf = carve(store, &store->bump_leaf, sizeof(*leaf));

		if (!leaf)
			return -ENOMEM;
		add_leaf(store, leaf);
	}
	if (reserve_inners(store, inners))
		return -ENOMEM;
	while (store->unused.blocks < blocks) {
		struct block *block = carve(store, &store->bump_block, sizeof(*block));

		if (!block)
			return -ENOMEM;
		block->next = store->unused.block;
		store->unused.block = block;
		store->unused.blocks++;
	}
	return 0;
}

struct leaf *store_leaf(struct store *store)
{
	struct leaf *leaf = store->unused.leaf;

	store->unused.leaf = leaf->next;
	store->unused.leaves--;
	return leaf;
}

struct inner *store_inner(struct store *store)
{
	struct inner *inner;

	/* Should the plans ever have reserved too few there is memory as a rule; if not, this is the end, and not a write to nowhere. */
	if (reserve_inners(store, 1))
		abort();
	inner = store->unused.inner;
	store->unused.inner = inner->next;
	store->unused.inners--;
	return inner;
}

struct block *store_block(struct store *store)
{
	struct block *block = store->unused.block;

	store->unused.block = block->next;
	store->unused.blocks--;
	return block;
}

struct cover *store_cover(struct store *store, size_t count)
{
	struct cover *cover = malloc(cover_bytes(count));

	if (!cover)
		return NULL;
	memset(cover, 0, sizeof(*cover));
	cover->count = (uint32_t)count;
	store->bytes += cover_bytes(count);
	return cover;
}

struct hints *store_hints(struct store *store, size_t count)
{
	size_t bytes = sizeof(struct hints) + count * sizeof(node_ref);
	struct hints *hints = platform_map(bytes);

	if (!hints)
		return NULL;
	hints->bytes = bytes;
	store->bytes += bytes;
	return hints;
}

void store_discard_hints(struct store *store, struct hints *hints)
{
	store->bytes -= hints->bytes;
	platform_unmap(hints, hints->bytes);
}

void store_discard_cover(struct store *store, struct cover *cover)
{
	store->bytes -= cover_bytes(cover->count);
	free(cover);
}

void store_discard_block(struct store *store, struct block *block)
{
	block->next = store->unused.block;
	store->unused.block = block;
	store->unused.blocks++;
}

void store_retire_leaf(struct store *store, struct leaf *leaf)
{
	struct node_lists *to =
	        IS_MUTANT(2) ? &store->unused : &store->limbo; /* the mutant does not wait for readers */

	leaf->next = to->leaf;
	if (!to->leaf)
		to->leaf_last = leaf;
	to->leaf = leaf;
	to->leaves++;
	to->bytes += sizeof(*leaf);
}

void store_retire_inner(struct store *store, struct inner *inner)
{
	struct node_lists *to = &store->limbo;

	inner->next = to->inner;
	if (!to->inner)
		to->inner_last = inner;
	to->inner = inner;
	to->inners++;
	to->bytes += sizeof(*inner);
}

void store_retire_block(struct store *store, struct block *block)
{
	struct node_lists *to = &store->limbo;

	block->next = to->block;
	if (!to->block)
		to->block_last = block;
	to->block = block;
	to->blocks++;
	to->bytes += sizeof(*block);
}

void store_retire_cover(struct store *store, struct cover *cover)
{
	struct node_lists *to = &store->limbo;

	cover->next = to->cover;
	if (!to->cover)
		to->cover_last = cover;
	to->cover = cover;
	to->bytes += cover_bytes(cover->count);
}

void store_retire_hints(struct store *store, struct hints *hints)
{
	hints->next = store->limbo.hints;
	store->limbo.hints = hints;
	store->limbo.bytes += hints->bytes;
}

uint64_t store_backlog(const struct store *store)
{
	return store->limbo.bytes + store->in_flight.bytes;
}

/* Whole lists at once: the nodes are not touched. */
static void give_back(struct store *store, struct node_lists *from)
{
	struct node_lists *to = &store->unused;

	if (from->leaf) {
		from->leaf_last->next = to->leaf;
		to->leaf = from->leaf;
		to->leaves += from->leaves;
	}
	if (from->inner) {
		from->inner_last->next = to->inner;
		to->inner = from->inner;
		to->inners += from->inners;
	}
	if (from->block) {
		from->block_last->next = to->block;
		to->block = from->block;
		to->blocks += from->blocks;
	}
	free_covers(store, from->cover);
	free_hints(store, from->hints);
	*from = (struct node_lists){0};
}

/* In the reclaimer, a grace period after the hand-over. */
static void land(struct rcu_item *item)
{
	struct store *store = (struct store *)((char *)item - offsetof(struct store, item));

	pthread_mutex_lock(&store->elapsed_lock);
	atomic_store_explicit(&store->elapsed, true, memory_order_release); /* [pamap.L1] */
	pthread_cond_broadcast(&store->has_elapsed);
	pthread_mutex_unlock(&store->elapsed_lock);
}

static void take_back(struct store *store)
{
	if (store->is_sent &&
	    atomic_load_explicit(&store->elapsed, IS_MUTANT(342) ? memory_order_relaxed
	                                                          : memory_order_acquire)) { /* [pamap.L1] */
		give_back(store, &store->in_flight);
		store->is_sent = false;
	}
}

void store_hand_over(struct store *store)
{
	take_back(store);
	if (store->is_sent || store->limbo.bytes == 0)
		return;
	store->in_flight = store->limbo;
	store->limbo = (struct node_lists){0};
	store->is_sent = true;
	atomic_store_explicit(&store->elapsed, false, memory_order_relaxed);
	store->item.release = land;
	rcu_defer(&store->item);
}

void store_end_update(struct store *store)
{
	take_back(store);
	if (store->limbo.bytes >= bits_max(WORTH_MIN, bits_min(WORTH_MAX, store->leaf_bytes / WORTH_PART)))
		store_hand_over(store);
}

int store_admit(struct store *store)
{
	struct timespec until;

	if (store_backlog(store) <= store->limit)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	store_hand_over(store);
	while (store_backlog(store) > store->limit) {
		if (!wait_until_elapsed(store, &until)) {
			store->refused++;
			return -EAGAIN;
		}
		store_hand_over(store);
	}
	return 0;
}
