/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Blocks. Leaves become a block when those of one parent hold BLOCK_WORTH segments in an aligned run of 512 pages, each
 * of one page; above 195 a block is smaller than leaves filled as insertion in random order fills them.
 */
#include "pamap/tree.h"

#include <string.h>

unsigned block_palette(struct block *block, uint16_t owner, uint8_t attributes)
{
	uint32_t wanted = palette_make(owner, attributes);

	for (unsigned i = 1; i <= PALETTE_MAX; i++) {
		if (block->palette[i] == wanted)
			return i;
		if (block->palette[i] == 0) {
			block->palette[i] = wanted; /* no reader has met this number yet [pamap.P1] */
			return i;
		}
	}
	return 0;
}

void block_segments(const struct block *block, int32_t start, struct segments *segments)
{
	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		uint64_t word = atomic_load_explicit(&block->word[i], memory_order_relaxed);
		unsigned palette = block_word_palette(word);
		struct pamap_entry e = {.pages = 1};

		if (palette == PALETTE_COVER) {
			segments_add(segments, start + (int32_t)i, cover_word(block_word_cover(word)), 0);
		} else if (palette) {
			e.to = block_word_to(word);
			e.handle = block_word_handle(word);
			e.owner = (uint16_t)block->palette[palette];
			e.attributes = (uint8_t)(block->palette[palette] >> 16);
			segments_add(segments, start + (int32_t)i, word_make(&e), extra_make(&e));
		}
	}
}

static bool is_single_page(uint64_t word, uint32_t extra)
{
	return word_pages(word) == 1 || (word_pages(word) == 0 && extra == 0);
}

/* Whether all of the leaf lies in the 512 pages at `start`, in single pages. */
static bool leaf_suits(const struct leaf *leaf, int32_t start)
{
	bool any = false;

	for (unsigned i = 0; i < leaf->count; i++) {
		uint64_t word = atomic_load_explicit(&leaf->word[i], memory_order_relaxed);

		if (!word)
			continue;
		if (leaf->key[i] < start || leaf->key[i] - start >= (int32_t)BLOCK_PAGES ||
		    !is_single_page(word, leaf->extra[i]))
			return false;
		any = true;
	}
	return any;
}

static const struct leaf *suitable(const struct inner *parent, unsigned index, int32_t start)
{
	node_ref ref = atomic_load_explicit(&parent->child[index], memory_order_relaxed);

	return node_kind(ref) == NODE_LEAF && leaf_suits(node_leaf(ref), start) ? node_leaf(ref) : NULL;
}

static bool move_leaf(struct block *block, const struct leaf *leaf, int32_t start)
{
	for (unsigned i = 0; i < leaf->count; i++) {
		uint64_t word = atomic_load_explicit(&leaf->word[i], memory_order_relaxed), moved;
		unsigned palette;

		if (!word)
			continue;
		if (word_pages(word) == 0) {
			moved = block_cover_word(word_cover(word));
		} else {
			palette = block_palette(block, word_owner(word), (uint8_t)(leaf->extra[i] >> 24));
			if (palette == 0)
				return false;
			moved = block_word_make(word_to(word), leaf->extra[i] & WORD_HANDLE_MAX, palette);
		}
		atomic_store_explicit(&block->word[leaf->key[i] - start], moved, memory_order_relaxed);
		block->live++;
	}
	return true;
}

/* From the children [from, to) of the parent; they are replaced if it works out. */
static bool make_block(struct store *store, struct spot *spot, int32_t start, unsigned from, unsigned to)
{
	struct inner *parent = spot->level[spot->depth - 1].node;
	struct swap swap = {.at = from, .old = to - from, .count = 1};
	struct block *block;

	if (tree_reserve(store, spot, 0) || store_reserve(store, 0, 0, 1))
		return false;
	block = store_block(store);
	memset(block, 0, sizeof(*block));
	for (unsigned i = from; i < to; i++) {
		if (!move_leaf(block,
		               node_leaf(atomic_load_explicit(&parent->child[i], memory_order_relaxed)),
		               start)) {
			store_discard_block(store, block);
			return false;
		}
	}
	/* Pages below the block that led to the first leaf will lead to the neighbour. */
	swap.key[0] = parent->key[from] < start ? start : parent->key[from];
	swap.ref[0] = block_ref(block);
	for (unsigned i = from; i < to; i++)
		store_retire_leaf(store,
		                  node_leaf(atomic_load_explicit(&parent->child[i], memory_order_relaxed)));
	tree_swap(store, spot, &swap);
	return true;
}

bool tree_make_block(struct store *store, struct spot *spot)
{
	const struct leaf *leaf = node_leaf(spot->target), *other;
	int32_t start = block_first(leaf->key[0]);
	struct inner *parent;
	unsigned from = spot->at, to = spot->at + 1, live = leaf->live;

	if (spot->depth == 0 || !leaf_suits(leaf, start))
		return false;
	parent = spot->level[spot->depth - 1].node;
	for (; from > 0 && (other = suitable(parent, from - 1, start)); from--)
		live += other->live;
	for (; to < parent->count && (other = suitable(parent, to, start)); to++)
		live += other->live;
	return live >= BLOCK_WORTH && make_block(store, spot, start, from, to);
}
