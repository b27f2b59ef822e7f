/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Removal of all that an owner has. */
#include <errno.h>

#include "pamap/map.h"
#include "pamap/plan.h"

int pamap_owner_hide(struct pamap *map, uint16_t owner, struct pamap_reap *out)
{
	_Atomic uint32_t *owners;
	int error = 0;

	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&map->writer);
	owners = atomic_load_explicit(&map->owners, memory_order_relaxed);
	if (!owners) {
		error = -ENOENT;
	} else if (owner_is_hidden(map, owner)) {
		error = -EBUSY;
	} else {
		uint32_t count = atomic_load_explicit(&owners[owner], memory_order_relaxed);
		uint32_t hidden = atomic_load_explicit(&map->hidden, memory_order_relaxed);

		atomic_store_explicit(&owners[owner], count | OWNER_HIDDEN, memory_order_relaxed);
		atomic_store_explicit(&map->hidden, hidden + 1, memory_order_release); /* [pamap.H1] */
		out->owner = owner;
		out->at = 0;
	}
	pthread_mutex_unlock(&map->writer);
	return error;
}

static uint32_t left(struct pamap *map, uint16_t owner)
{
	_Atomic uint32_t *owners = atomic_load_explicit(&map->owners, memory_order_relaxed);

	return atomic_load_explicit(&owners[owner], memory_order_relaxed) & ~OWNER_HIDDEN;
}

/* One of the owner's mappings among those of a segment that share it with others or do not fit a word. */
static const struct pamap_entry *in_cover(const struct cover *cover, uint16_t owner)
{
	for (uint32_t i = 0; i < cover->count; i++)
		if (cover->entry[i].owner == owner)
			return &cover->entry[i];
	return NULL;
}

static void empty_word(struct pamap *map, _Atomic uint64_t *word, uint16_t owner)
{
	atomic_store_explicit(word, 0, memory_order_release);
	map_count(map, owner, -1);
}

/* Empties the owner's words; a mapping that is in a cover is copied to *found instead, and ends the search. */
static bool reap_leaf(struct pamap *map, struct leaf *leaf, uint16_t owner, struct pamap_entry *found)
{
	for (unsigned i = 0; i < leaf->count; i++) {
		uint64_t word = atomic_load_explicit(&leaf->word[i], memory_order_relaxed);
		const struct pamap_entry *e =
		        word && word_pages(word) == 0 ? in_cover(word_cover(word), owner) : NULL;

		if (e) {
			*found = *e;
			return true;
		}
		if (word_pages(word) != 0 && word_owner(word) == owner) {
			empty_word(map, &leaf->word[i], owner);
			leaf->live--;
		}
	}
	return false;
}

static bool reap_block(struct pamap *map, struct block *block, uint16_t owner, struct pamap_entry *found)
{
	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		uint64_t word = atomic_load_explicit(&block->word[i], memory_order_relaxed);
		unsigned palette = block_word_palette(word);
		const struct pamap_entry *e =
		        palette == PALETTE_COVER ? in_cover(block_word_cover(word), owner) : NULL;

		if (e) {
			*found = *e;
			return true;
		}
		if (palette != 0 && palette != PALETTE_COVER && (uint16_t)block->palette[palette] == owner) {
			empty_word(map, &block->word[i], owner);
			block->live--;
		}
	}
	return false;
}

/* One leaf or block, or one mapping that is in covers; moves on when the place is clean. */
static int reap_step(struct pamap *map, struct pamap_reap *reap)
{
	uint64_t region = map_next_region(map, reap->at >> REGION_BITS);
	struct root *root = map_root(map, region);
	struct plan_op op = {.kind = PLAN_DROP};
	struct pamap_entry found;
	struct spot spot;
	bool covered;
	int error;

	if (region != reap->at >> REGION_BITS)
		reap->at = region << REGION_BITS;
	tree_find(root, (int32_t)(reap->at & (uint64_t)REGION_LAST), &spot);
	covered = node_kind(spot.target) == NODE_BLOCK
	                  ? reap_block(map, node_block(spot.target), reap->owner, &found)
	                  : spot.target && reap_leaf(map, node_leaf(spot.target), reap->owner, &found);
	if (covered) {
		op.entry = &found;
		error = plan_run(map, &op);
		if (!error)
			map_count(map, reap->owner, -1);
		return error;
	}
	reap->at = (region << REGION_BITS) + (uint64_t)spot.high + 1;
	tree_shrink(&map->store, &spot, true);
	return 0;
}

static void show_again(struct pamap *map, uint16_t owner)
{
	_Atomic uint32_t *owners = atomic_load_explicit(&map->owners, memory_order_relaxed);
	uint32_t hidden = atomic_load_explicit(&map->hidden, memory_order_relaxed);

	atomic_store_explicit(&owners[owner], 0, memory_order_relaxed);
	atomic_store_explicit(&map->hidden, hidden - 1, memory_order_release);
}

int pamap_owner_reap(struct pamap *map, struct pamap_reap *reap, unsigned budget)
{
	int error;

	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&map->writer);
	error = owner_is_hidden(map, reap->owner) ? store_admit(&map->store) : -ENOENT;
	for (; !error && budget > 0 && left(map, reap->owner) > 0; budget--)
		error = reap_step(map, reap);
	if (!error && left(map, reap->owner) > 0)
		error = 1;
	store_hand_over(&map->store);
	pthread_mutex_unlock(&map->writer);
	if (error)
		return error;

	rcu_wait(); /* [pamap.H1] */
	pthread_mutex_lock(&map->writer);
	if (owner_is_hidden(map, reap->owner))
		show_again(map, reap->owner);
	pthread_mutex_unlock(&map->writer);
	return 0;
}

void pamap_owner_show(struct pamap *map, uint16_t owner)
{
	pthread_mutex_lock(&map->writer);
	show_again(map, owner);
	pthread_mutex_unlock(&map->writer);
}
