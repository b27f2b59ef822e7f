/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/single.h"

#include <errno.h>
#include <string.h>

#include "pamap/tree.h"

/* Whether any segment of the leaf has a page in [first, last]; rank is that of first. */
static bool leaf_has_any(const struct leaf *leaf, unsigned rank, int32_t first, int32_t last)
{
	unsigned below = rank, above = rank;
	uint64_t word = 0;

	while (below > 0 && !(word = atomic_load_explicit(&leaf->word[below - 1], memory_order_relaxed)))
		below--;
	if (below > 0 && segment_last(leaf->key[below - 1], word, leaf->extra[below - 1]) >= first)
		return true;
	while (above < leaf->count && !atomic_load_explicit(&leaf->word[above], memory_order_relaxed))
		above++;
	return above < leaf->count && leaf->key[above] <= last;
}

static void set_entry(struct leaf *leaf, unsigned at, int32_t first, const struct pamap_entry *entry)
{
	leaf->key[at] = first;
	leaf->extra[at] = extra_make(entry);
	atomic_store_explicit(&leaf->word[at], word_make(entry), memory_order_relaxed);
}

/* Words only the writer stores to, copied while nobody stores; the copy is not published yet. */
static void copy_words(struct leaf *to, unsigned at, const struct leaf *from, unsigned begin, unsigned end)
{
	for (unsigned i = begin; i < end; i++)
		atomic_store_explicit(&to->word[at + i - begin],
		                      atomic_load_explicit(&from->word[i], memory_order_relaxed),
		                      memory_order_relaxed);
}

/* A copy of a leaf with one entry in the place of an emptied one that lies where it belongs. */
static void insert_in_slot(struct store *store, struct spot *spot, unsigned slot,
                           const struct pamap_entry *entry)
{
	struct leaf *old = node_leaf(spot->target), *made = store_leaf(store);
	int32_t first = in_region(entry->page);

	memcpy(made->key, old->key, sizeof(made->key));
	memcpy(made->extra, old->extra, sizeof(made->extra));
	copy_words(made, 0, old, 0, LEAF_MAX);
	made->count = old->count;
	made->live = (uint8_t)(old->live + 1);
	set_entry(made, slot, first, entry);
	tree_put_leaf(store, spot, made, first, first + (int32_t)entry->pages - 1, old->key[slot] == first);
}

/* A copy of a leaf with one more entry; emptied ones stay. */
static void insert_in_copy(struct store *store, struct spot *spot, unsigned rank,
                           const struct pamap_entry *entry)
{
	struct leaf *old = node_leaf(spot->target), *made = store_leaf(store);
	int32_t first = in_region(entry->page);
	unsigned count = old->count;

	memcpy(made->key, old->key, rank * sizeof(made->key[0]));
	memcpy(made->key + rank + 1, old->key + rank, (LEAF_MAX - rank) * sizeof(made->key[0]));
	memcpy(made->extra, old->extra, rank * sizeof(made->extra[0]));
	memcpy(made->extra + rank + 1, old->extra + rank, (count - rank) * sizeof(made->extra[0]));
	copy_words(made, 0, old, 0, rank);
	copy_words(made, rank + 1, old, rank, count);
	for (unsigned i = count + 1; i < LEAF_MAX; i++)
		atomic_store_explicit(&made->word[i], 0, memory_order_relaxed);
	made->count = (uint8_t)(count + 1);
	made->live = (uint8_t)(old->live + 1);
	if (!IS_MUTANT(1))
		set_entry(made, rank, first, entry);
	tree_put_leaf(store, spot, made, first, first + (int32_t)entry->pages - 1, true);
	if (IS_MUTANT(1)) { /* the mutant publishes before it has written all */
		mutant_dwell();
		set_entry(made, rank, first, entry);
	}
}

/* The general way: all segments into an array and out again, into as many leaves as it takes. */
static void insert_in_segments(struct store *store, struct spot *spot, const struct pamap_entry *entry,
                             bool at_end)
{
	int32_t first = in_region(entry->page);
	struct segments old, segments;
	unsigned i = 0;

	old.count = segments.count = 0;
	if (spot->target)
		segments_of_leaf(node_leaf(spot->target), &old);
	for (; i < old.count && old.first[i] < first; i++)
		segments_add(&segments, old.first[i], old.word[i], old.extra[i]);
	segments_add(&segments, first, word_make(entry), extra_make(entry));
	for (; i < old.count; i++)
		segments_add(&segments, old.first[i], old.word[i], old.extra[i]);
	tree_put(store, spot, &segments, segments.count <= LEAF_MAX ? JOIN_NONE : at_end ? JOIN_END : JOIN_FULL);
}

static bool is_empty(const struct leaf *leaf, unsigned at)
{
	return atomic_load_explicit(&leaf->word[at], memory_order_relaxed) == 0;
}

/*
 * Whether an emptied entry that stays behind the new one, from `behind` on, begins among its pages: a lookup of such a page
 * would come to the emptied entry and find nothing.
 */
static bool is_overshadowed(const struct leaf *leaf, unsigned behind, int32_t last)
{
	return behind < leaf->count && leaf->key[behind] <= last;
}

static int insert_in_leaf(struct store *store, struct spot *spot, const struct pamap_entry *entry)
{
	struct leaf *leaf = node_leaf(spot->target);
	int32_t first = in_region(entry->page), last = first + (int32_t)entry->pages - 1;
	unsigned rank = leaf ? leaf_rank(leaf, first) : 0;

	if (last > spot->high || (leaf && leaf_has_any(leaf, rank, first, last)))
		return SINGLE_NOT;
	if (tree_reserve(store, spot, 3))
		return -ENOMEM;
	if (leaf && is_overshadowed(leaf, rank, last) && is_overshadowed(leaf, rank + 1, last))
		insert_in_segments(store, spot, entry, false);
	else if (leaf && rank > 0 && is_empty(leaf, rank - 1) && !is_overshadowed(leaf, rank, last))
		insert_in_slot(store, spot, rank - 1, entry);
	else if (leaf && rank < leaf->count && is_empty(leaf, rank))
		insert_in_slot(store, spot, rank, entry);
	else if (leaf && leaf->count < LEAF_MAX)
		insert_in_copy(store, spot, rank, entry);
	else if (leaf && leaf->live == LEAF_MAX && rank == LEAF_MAX)
		insert_in_segments(store, spot, entry, true);
	else
		insert_in_segments(store, spot, entry, false);
	return SINGLE_DONE;
}

static int insert_in_block(struct store *store, struct spot *spot, const struct pamap_entry *entry)
{
	struct block *block = node_block(spot->target);
	_Atomic uint64_t *word = &block->word[in_region(entry->page) - block_start(spot)];
	struct cover *cover;
	unsigned palette;

	if (entry->pages != 1 || atomic_load_explicit(word, memory_order_relaxed) != 0)
		return SINGLE_NOT;
	palette = block_palette(block, entry->owner, entry->attributes);
	if (palette) {
		atomic_store_explicit(word, block_word_make(entry->to, entry->handle, palette),
		                      memory_order_release); /* [pamap.P1] */
	} else {
		cover = store_cover(store, 1);
		if (!cover)
			return -ENOMEM;
		cover->entry[0] = *entry;
		atomic_store_explicit(word, block_cover_word(cover), memory_order_release); /* [pamap.P1] */
	}
	block->live++;
	return SINGLE_DONE;
}

int single_insert(struct pamap *map, const struct pamap_entry *entry)
{
	uint64_t region = entry->page >> REGION_BITS;
	struct spot spot;
	struct root *root;

	if (!entry_fits_word(entry) || (entry->page + entry->pages - 1) >> REGION_BITS != region)
		return SINGLE_NOT;
	root = map_make_root(map, region);
	if (!root)
		return -ENOMEM;
	hints_touch(root, entry->page);
	store_touch(&map->store);
	tree_find(root, in_region(entry->page), &spot);
	if (node_kind(spot.target) == NODE_LEAF && spot.target && node_leaf(spot.target)->live == LEAF_MAX &&
	    tree_make_block(&map->store, &spot))
		tree_find(root, in_region(entry->page), &spot);
	if (node_kind(spot.target) == NODE_BLOCK)
		return insert_in_block(&map->store, &spot, entry);
	return insert_in_leaf(&map->store, &spot, entry);
}

static bool empty_in_block(struct block *block, const struct pamap_entry *entry)
{
	_Atomic uint64_t *slot = &block->word[entry->page & (BLOCK_PAGES - 1)];
	uint64_t word = atomic_load_explicit(slot, memory_order_relaxed);
	unsigned palette = block_word_palette(word);

	if (palette == 0 || palette == PALETTE_COVER || entry->pages != 1)
		return false;
	if (block->palette[palette] != palette_make(entry->owner, entry->attributes) ||
	    word != block_word_make(entry->to, entry->handle, palette))
		return false;
	atomic_store_explicit(slot, 0, memory_order_release);
	block->live--;
	return true;
}

static bool empty_in_leaf(struct leaf *leaf, const struct pamap_entry *entry)
{
	int32_t first = in_region(entry->page);
	unsigned rank = leaf_rank(leaf, first);

	if (rank == 0 || leaf->key[rank - 1] != first || leaf->extra[rank - 1] != extra_make(entry) ||
	    atomic_load_explicit(&leaf->word[rank - 1], memory_order_relaxed) != word_make(entry))
		return false;
	atomic_store_explicit(&leaf->word[rank - 1], 0, memory_order_release);
	leaf->live--;
	return true;
}

/* Empties the entry's word, if it is in the leaf or block. */
static bool empty_in(node_ref ref, const struct pamap_entry *entry)
{
	return node_kind(ref) == NODE_BLOCK ? empty_in_block(node_block(ref), entry)
	                                    : empty_in_leaf(node_leaf(ref), entry);
}

int single_remove(struct pamap *map, const struct pamap_entry *entry)
{
	struct root *root = map_root(map, entry->page >> REGION_BITS);
	struct spot spot;
	node_ref ref;

	if (!root || !entry_fits_word(entry))
		return SINGLE_NOT;
	ref = hint_node(root_hint(root, entry->page << PAMAP_PAGE_SHIFT)); /* it is in the tree [pamap.P3] */
	if (!ref || node_kind(ref) == NODE_INNER) {
		tree_find(root, in_region(entry->page), &spot);
		ref = spot.target;
	}
	if (!ref || !empty_in(ref, entry))
		return SINGLE_NOT;
	if (tree_is_sparse(ref)) {
		tree_find(root, in_region(entry->page), &spot);
		tree_shrink(&map->store, &spot, false);
	}
	return SINGLE_DONE;
}
