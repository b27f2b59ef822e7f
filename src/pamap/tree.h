/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The shape of a region's tree: finding the leaf or block for a page, and putting other nodes in its place.
 * tree_find is for readers too, inside a read section; all else is the writer's.
 *
 * Every change is published by one store of a pointer, in the lowest inner node whose keys stay the same, or in the
 * root. Nodes between that store and the leaf are copies; what they replaced is retired. The caller has reserved
 * nodes (tree_reserve), so that nothing fails half-way. Hints to what the store replaces go before it, hints to what it
 * published come after it [pamap.P3].
 *
 * If the writer stops: before the store, nobody sees anything of it but that hints are missing; after it, the change is
 * complete for readers, and only what was replaced has not reached the limbo yet. Either way readers go on, and other
 * updates wait for the mutex. If a reader stops: what it may be in is not reused [pamap.P2]; the backlog grows to its limit,
 * nothing else happens. If the reclaimer stops: the same.
 */
#ifndef PAMAP_TREE_H
#define PAMAP_TREE_H

#include "pamap/hints.h"
#include "pamap/node.h"
#include "pamap/store.h"

/*
 * The height grows when the root is full: each level multiplies the number of leaf splits that have been by at least
 * 31, so the 2^64 updates that no machine lives to see are 13 levels.
 */
#ifndef DEPTH_MAX /* models take less of each */
#define DEPTH_MAX 14u
#define PIECES_MAX 128u
#define BLOCK_WORTH 192u /* so many single pages in one aligned run of 512 are worth a block */
#endif

/* The place of a page in a tree. */
struct spot {
	struct root *root;
	struct {
		struct inner *node;
		unsigned index;
		int32_t low, high; /* pages that lead there */
	} level[DEPTH_MAX];
	unsigned depth; /* inner nodes on the way; level[depth - 1] is the parent */
	node_ref target; /* leaf or block; 0: there is none for this page */
	int32_t from; /* the parent's key for it; a block begins at the multiple of its size below */
	int32_t low, high; /* pages that lead to the same target */
	unsigned at, old; /* which children of the parent a new target would replace */
	struct inner *made[2 * DEPTH_MAX + 1]; /* by a change at the spot: inner nodes */
	unsigned made_count;
};

void tree_find(struct root *root, int32_t x, struct spot *spot);

static inline int32_t block_start(const struct spot *spot)
{
	return block_first(spot->from);
}

/* Segments as a leaf has them, without those that are emptied. */
struct segments {
	unsigned count;
	int32_t first[PIECES_MAX];
	uint64_t word[PIECES_MAX];
	uint32_t extra[PIECES_MAX];
};

static inline int32_t segment_last(int32_t first, uint64_t word, uint32_t extra)
{
	return word_pages(word) ? first + (int32_t)word_pages(word) - 1 : first + (int32_t)extra;
}

static inline void segments_add(struct segments *segments, int32_t first, uint64_t word, uint32_t extra)
{
	segments->first[segments->count] = first;
	segments->word[segments->count] = word;
	segments->extra[segments->count++] = extra;
}

void segments_of_leaf(const struct leaf *leaf, struct segments *segments);

/* Nodes for one change at the spot that puts up to `leaves` leaves or a block there. -ENOMEM */
int tree_reserve(struct store *store, const struct spot *spot, size_t leaves);

/*
 * Put leaves with these segments in the place of the target. JOIN_FEW: if they are few, together with a neighbour's.
 * JOIN_FULL, for one more than a leaf holds: together with those of a neighbour leaf, whatever it has; two leaves
 * become two fuller ones, or three. So leaves filled in random order are four fifths full rather than two thirds.
 * JOIN_END, when the last segment is new and one too many: the others mostly stay together, so that ascending insertion
 * leaves full leaves behind.
 */
enum join { JOIN_NONE, JOIN_FEW, JOIN_FULL, JOIN_END };
void tree_put(struct store *store, struct spot *spot, struct segments *segments, enum join join);

/* Replace children [at, at + old) of the bottom parent (or the root) by up to 8 others. */
struct swap {
	unsigned at, old, count;
	int32_t key[8];
	node_ref ref[8];
};
void tree_swap(struct store *store, struct spot *spot, struct swap *swap);

/*
 * Put a leaf in the place of the target, a leaf too, from which it differs in pages [first, last] alone. keys_stay: it
 * has all keys of the old one.
 */
void tree_put_leaf(struct store *store, struct spot *spot, struct leaf *made, int32_t first, int32_t last,
                   bool keys_stay);

/*
 * A word or more of the target was emptied: if it is much too large for what is left, make it smaller. Best effort:
 * not without memory, not while too much waits for readers, and unless `now` only when it is sparse, which it is not
 * at each of many removals.
 */
bool tree_is_sparse(node_ref target);
void tree_shrink(struct store *store, struct spot *spot, bool now);

/*
 * The target is a full leaf: if its surroundings are dense single pages, put a block in their place (best effort:
 * false when there is none). In block.c.
 */
bool tree_make_block(struct store *store, struct spot *spot);
/* The number of a way to be {owner, attributes} in the block, a new one if need be; 0: there are too many. */
unsigned block_palette(struct block *block, uint16_t owner, uint8_t attributes);
void block_segments(const struct block *block, int32_t start, struct segments *segments);

#endif
