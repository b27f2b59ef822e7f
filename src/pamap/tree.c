/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/tree.h"

#include <string.h>

#define LEAF_MIN 8u /* below: try to join a neighbour, */
#define LEAF_JOINED 24u /* if no more than this comes of it */
#define LEAF_SLACK 10u /* how far from its share of the segments a leaf may end, for a round separator */
#define LEAF_SPREAD 27u /* what leaves between which a full one was spread hold at most */
#define INNER_MIN 16u
#define INNER_JOINED 48u
#define BLOCK_MIN 96u /* below: leaves again */

/*
 * The way led to a block, which has fewer pages than the range that leads there: below its first key (`is_below`), or behind its last
 * page, there is no node yet, and the spot is the place for a new one, beside the block.
 */
static void step_off_block(struct spot *spot, int32_t x, bool is_below)
{
	int32_t begin = block_start(spot), end = begin + (int32_t)BLOCK_PAGES;

	if (is_below) {
		spot->high = spot->from - 1;
	} else if (x - begin >= (int32_t)BLOCK_PAGES) {
		spot->low = end;
		spot->at++;
	} else {
		if (spot->high > end - 1)
			spot->high = end - 1;
		return;
	}
	spot->target = 0;
	spot->old = 0;
}

/*
 * From the root down to the leaf or block that page x of the region belongs to. Kept of each inner node on the way: the pages
 * [low, high] that lead to it, and which child was taken; so that whatever is put in the place of the target can be hung in.
 */
void tree_find(struct root *root, int32_t x, struct spot *spot)
{
	unsigned rank = 1;

	spot->root = root;
	spot->depth = spot->at = 0;
	spot->from = spot->low = 0;
	spot->high = REGION_LAST;
	spot->old = 1;
	spot->target = atomic_load_explicit(&root->top, memory_order_acquire); /* [pamap.P1] */
	while (node_kind(spot->target) == NODE_INNER) {
		struct inner *inner = node_inner(spot->target);

		rank = inner_rank(inner, x);
		spot->at = rank ? rank - 1 : 0; /* pages below the first key belong to the first child */
		spot->level[spot->depth].low = spot->low;
		spot->level[spot->depth].high = spot->high;
		spot->level[spot->depth].node = inner;
		spot->level[spot->depth].index = spot->at;
		spot->depth++;
		spot->from = inner->key[spot->at];
		if (rank)
			spot->low = spot->from;
		if (spot->at + 1 < inner->count)
			spot->high = inner->key[spot->at + 1] - 1;
		spot->target =
		        atomic_load_explicit(&inner->child[spot->at], memory_order_acquire); /* [pamap.P1] */
	}
	if (node_kind(spot->target) == NODE_BLOCK)
		step_off_block(spot, x, rank == 0);
}

void segments_of_leaf(const struct leaf *leaf, struct segments *segments)
{
	for (unsigned i = 0; i < leaf->count; i++) {
		uint64_t word = atomic_load_explicit(&leaf->word[i], memory_order_acquire); /* [pamap.P1] */

		if (word)
			segments_add(segments, leaf->key[i], word, leaf->extra[i]);
	}
}

int tree_reserve(struct store *store, const struct spot *spot, size_t leaves)
{
	return store_reserve(store, leaves, 2 * ((size_t)spot->depth + 1), 0);
}

static node_ref make_leaf(struct store *store, const struct segments *segments, unsigned begin,
                          unsigned count)
{
	struct leaf *leaf = store_leaf(store);

	for (unsigned i = 0; i < LEAF_MAX; i++) {
		leaf->key[i] = i < count ? segments->first[begin + i] : KEY_NONE;
		leaf->extra[i] = i < count ? segments->extra[begin + i] : 0;
		atomic_store_explicit(&leaf->word[i], i < count ? segments->word[begin + i] : 0,
		                      memory_order_relaxed);
	}
	leaf->key[LEAF_MAX] = KEY_NONE;
	leaf->count = leaf->live = (uint8_t)count;
	return leaf_ref(leaf);
}

/* The children of an inner node while they are rearranged. */
struct children {
	unsigned count;
	int32_t key[2 * INNER_MAX];
	node_ref ref[2 * INNER_MAX];
};

static void children_add(struct children *children, int32_t key, node_ref ref)
{
	children->key[children->count] = key;
	children->ref[children->count++] = ref;
}

static void children_copy(struct children *children, struct inner *inner, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		children_add(children, inner->key[i],
		             atomic_load_explicit(&inner->child[i], memory_order_relaxed));
}

static node_ref make_inner(struct store *store, struct spot *spot, const struct children *children,
                           unsigned begin, unsigned count)
{
	struct inner *inner = store_inner(store);

	for (unsigned i = 0; i < INNER_MAX; i++) {
		inner->key[i] = i < count ? children->key[begin + i] : KEY_NONE;
		atomic_store_explicit(&inner->child[i], i < count ? children->ref[begin + i] : 0,
		                      memory_order_relaxed);
	}
	for (unsigned i = INNER_MAX; i < INNER_MAX + 2; i++)
		inner->key[i] = KEY_NONE;
	inner->count = (uint8_t)count;
	spot->made[spot->made_count++] = inner;
	return inner_ref(inner);
}

/* The linearization point of most updates. [pamap.P1] */
static void publish(_Atomic node_ref *slot, node_ref ref)
{
	atomic_store_explicit(slot, ref, IS_MUTANT(3) ? memory_order_relaxed : memory_order_release);
}

static void publish_root(struct store *store, struct spot *spot, const struct swap *swap)
{
	node_ref root = swap->count ? swap->ref[0] : 0;

	/* A block is found by its key in a parent. */
	if (swap->count > 1 || node_kind(root) == NODE_BLOCK) {
		struct children children = {0};

		for (unsigned i = 0; i < swap->count; i++)
			children_add(&children, swap->key[i], swap->ref[i]);
		root = make_inner(store, spot, &children, 0, children.count);
	}
	publish(&spot->root->top, root);
}

/* An inner node that the change replaces. */
static void leave_inner(struct store *store, struct spot *spot, struct inner *inner)
{
	hints_forget_inner(spot->root, inner); /* [pamap.P3] */
	store_retire_inner(store, inner);
}

/* Few children are left in the node at `level`: take in those of a neighbour. Widens what the swap above replaces. */
static void join_inner(struct store *store, struct spot *spot, unsigned level, struct children *children,
                       struct swap *up)
{
	struct inner *above = spot->level[level - 1].node, *neighbour;
	unsigned index = spot->level[level - 1].index;
	bool left = index > 0;
	unsigned other = left ? index - 1 : index + 1;

	if (other >= above->count)
		return;
	neighbour = node_inner(atomic_load_explicit(&above->child[other], memory_order_relaxed));
	if (neighbour->count + children->count > INNER_JOINED)
		return;
	if (left) {
		struct children own = *children;

		children->count = 0;
		children_copy(children, neighbour, 0, neighbour->count);
		for (unsigned i = 0; i < own.count; i++)
			children_add(children, own.key[i], own.ref[i]);
		up->at = other;
	} else {
		children_copy(children, neighbour, 0, neighbour->count);
	}
	up->old = 2;
	leave_inner(store, spot, neighbour);
}

/* One level of a change: a copy of the node with other children, as the change of the level above. */
static void swap_in_copy(struct store *store, struct spot *spot, unsigned level, struct swap *swap)
{
	struct inner *inner = spot->level[level].node;
	struct children children = {0};
	struct swap up = {.at = level ? spot->level[level - 1].index : 0, .old = 1};
	bool at_end = swap->at + swap->old == inner->count;
	unsigned left;

	children_copy(&children, inner, 0, swap->at);
	for (unsigned i = 0; i < swap->count; i++)
		children_add(&children, swap->key[i], swap->ref[i]);
	children_copy(&children, inner, swap->at + swap->old, inner->count);
	leave_inner(store, spot, inner);
	if (level > 0 && children.count > 0 && children.count < INNER_MIN)
		join_inner(store, spot, level, &children, &up);

	if (level == 0 && children.count == 1 && node_kind(children.ref[0]) != NODE_BLOCK) {
		up.ref[up.count++] = children.ref[0]; /* the root has one child: it is the root */
	} else if (children.count > 0) {
		left = children.count <= INNER_MAX ? children.count : at_end ? INNER_MAX : children.count / 2;
		up.key[0] = children.key[0];
		if (level > 0 && spot->level[level - 1].node->key[up.at] < up.key[0])
			up.key[0] = spot->level[level - 1].node->key[up.at];
		up.ref[up.count++] = make_inner(store, spot, &children, 0, left);
		if (left < children.count) {
			up.key[1] = children.key[left];
			up.ref[up.count++] = make_inner(store, spot, &children, left, children.count - left);
		}
	}
	*swap = up;
}

/* Pages that lead to the children which the change replaces: of them alone the hints change. */
struct range {
	int32_t low, high;
};

/* Children [at, at + old) of the parent, or the root. */
static void set_range(struct range *range, const struct spot *spot, unsigned at, unsigned old)
{
	const struct inner *parent;

	range->low = spot->low;
	range->high = spot->high;
	if (spot->depth == 0 || old == 0)
		return;
	parent = spot->level[spot->depth - 1].node;
	range->low = at ? parent->key[at] : spot->level[spot->depth - 1].low;
	range->high =
	        at + old < parent->count ? parent->key[at + old] - 1 : spot->level[spot->depth - 1].high;
}

static void leave_target(struct root *root, node_ref ref, int32_t from)
{
	hints_forget_target(root, ref, from); /* [pamap.P3] */
	root->blocks -= node_kind(ref) == NODE_BLOCK;
	root->leaves -= node_kind(ref) == NODE_LEAF && ref;
}

/* Of the leaves and blocks that the change replaces, or gives other ranges. */
static void leave_targets(struct spot *spot, const struct swap *swap)
{
	struct inner *parent;

	if (spot->depth == 0) {
		leave_target(spot->root, spot->target, spot->from);
		return;
	}
	parent = spot->level[spot->depth - 1].node;
	for (unsigned i = swap->at; i < swap->at + swap->old; i++)
		leave_target(spot->root, atomic_load_explicit(&parent->child[i], memory_order_relaxed),
		             parent->key[i]);
}

static void join_targets(struct spot *spot, const struct swap *swap, const struct range *range)
{
	for (unsigned i = 0; i < swap->count; i++) {
		int32_t low = swap->at + i > 0 && swap->key[i] > range->low ? swap->key[i] : range->low;

		hints_learn_target(spot->root, swap->ref[i], swap->key[i], low,
		                   i + 1 < swap->count ? swap->key[i + 1] - 1 : range->high);
		spot->root->blocks += node_kind(swap->ref[i]) == NODE_BLOCK;
		spot->root->leaves += node_kind(swap->ref[i]) == NODE_LEAF;
	}
}

/* More hints when the tree has grown. Best effort. */
static void renew_hints(struct store *store, struct root *root)
{
	struct hints *old = atomic_load_explicit(&root->hints, memory_order_relaxed), *made;
	size_t count;

	if (!hints_are_few(root))
		return;
	count = hints_wanted(root);
	made = store_hints(store, count);
	if (!made)
		return;
	hints_fill(root, made, count);
	if (old)
		store_retire_hints(store, old);
}

/* Puts the change where keys stay the same; the inner nodes below are copies. */
static void put_swap(struct store *store, struct spot *spot, struct swap *swap)
{
	for (unsigned level = spot->depth; level-- > 0;) {
		struct inner *inner = spot->level[level].node;

		if (swap->old == 1 && swap->count == 1 && inner->key[swap->at] == swap->key[0]) {
			publish(&inner->child[swap->at], swap->ref[0]);
			return;
		}
		swap_in_copy(store, spot, level, swap);
	}
	publish_root(store, spot, swap);
}

void tree_swap(struct store *store, struct spot *spot, struct swap *swap)
{
	const struct swap targets = *swap;
	struct range range;

	set_range(&range, spot, swap->at, swap->old);
	leave_targets(spot, swap);
	spot->made_count = 0;
	put_swap(store, spot, swap);
	join_targets(spot, &targets, &range);
	for (unsigned i = 0; i < spot->made_count; i++)
		hints_learn_inner(spot->root, spot->made[i]);
	renew_hints(store, spot->root);
}

/* Where the target is to be replaced without other keys; null: nowhere, for its first page is below the parent's key. */
static _Atomic node_ref *child_slot(const struct spot *spot)
{
	struct inner *parent;

	if (spot->depth == 0)
		return &spot->root->top;
	parent = spot->level[spot->depth - 1].node;
	return parent->key[spot->at] == spot->low ? &parent->child[spot->at] : NULL;
}

void tree_put_leaf(struct store *store, struct spot *spot, struct leaf *made, int32_t first, int32_t last,
                   bool keys_stay)
{
	struct swap swap = {
	        .at = spot->at, .old = 1, .count = 1, .key = {spot->low}, .ref = {leaf_ref(made)}};
	struct range range;
	_Atomic node_ref *place = child_slot(spot);
	struct leaf *old = node_leaf(spot->target);

	set_range(&range, spot, spot->at, 1);
	if (place) {
		hints_forget_pages(spot->root, old, first, last); /* [pamap.P3] */
		publish(place, leaf_ref(made));
		hints_replace_leaf(spot->root, old, made, keys_stay, range.low, range.high);
	} else {
		tree_swap(store, spot, &swap);
	}
	store_retire_leaf(store, old);
}

static struct leaf *neighbour_leaf(const struct spot *spot, unsigned index)
{
	struct inner *parent = spot->level[spot->depth - 1].node;
	node_ref ref;

	if (index >= parent->count)
		return NULL;
	ref = atomic_load_explicit(&parent->child[index], memory_order_relaxed);
	return node_kind(ref) == NODE_LEAF ? node_leaf(ref) : NULL;
}

/* Take in the segments of the leaf before or behind, if few come of it. */
static bool join_leaf(struct store *store, const struct spot *spot, struct segments *segments,
                      struct swap *swap, unsigned most)
{
	for (unsigned side = 0; side < 2; side++) {
		struct leaf *other =
		        neighbour_leaf(spot, side ? spot->at + 1 : spot->at - 1); /* -1 is none */
		struct segments own;

		if (!other || other->live + segments->count > most)
			continue;
		if (side == 0) {
			own = *segments;
			segments->count = 0;
			segments_of_leaf(other, segments);
			for (unsigned i = 0; i < own.count; i++)
				segments_add(segments, own.first[i], own.word[i], own.extra[i]);
			swap->at--;
			swap->key[0] = spot->level[spot->depth - 1].node->key[swap->at];
		} else {
			segments_of_leaf(other, segments);
		}
		swap->old = 2;
		store_retire_leaf(store, other);
		return true;
	}
	return false;
}

static void retire_target(struct store *store, node_ref target)
{
	if (node_kind(target) == NODE_BLOCK)
		store_retire_block(store, node_block(target));
	else if (target)
		store_retire_leaf(store, node_leaf(target));
}

/*
 * Where the ranges of two leaves meet, between segment `at` and the one before: at the roundest page number there, so
 * that few buckets of the hints lie across (the shortest separator, as in a prefix B-tree).
 */
static int32_t separator(const struct segments *segments, unsigned at)
{
	uint32_t first = (uint32_t)segments->first[at];
	uint32_t before = (uint32_t)segment_last(segments->first[at - 1], segments->word[at - 1],
	                                         segments->extra[at - 1]);

	return (int32_t)(first & ~(uint32_t)((UINT64_C(1) << bits_highest(first ^ before)) - 1));
}

static unsigned roundness(const struct segments *segments, unsigned at)
{
	return bits_lowest((uint64_t)(uint32_t)separator(segments, at) | UINT64_C(1) << 32);
}

/* The end of the first of so many leaves for the segments from `begin` on: about its share, where a round number is. */
static unsigned cut_segments(const struct segments *segments, unsigned begin, unsigned leaves, unsigned share)
{
	unsigned rest = segments->count - begin - share, best = begin + share;

	for (unsigned off = 1; off <= LEAF_SLACK; off++) {
		if (share > off && rest + off <= LEAF_MAX * (leaves - 1) &&
		    roundness(segments, begin + share - off) > roundness(segments, best))
			best = begin + share - off;
		if (rest > off && share + off <= LEAF_MAX &&
		    roundness(segments, begin + share + off) > roundness(segments, best))
			best = begin + share + off;
	}
	return best;
}

void tree_put(struct store *store, struct spot *spot, struct segments *segments, enum join join)
{
	struct swap swap = {.at = spot->at, .old = spot->old, .key = {spot->low}};
	unsigned leaves, done = 0, most = LEAF_MAX;

	if (spot->depth == 0 || spot->old == 0)
		join = JOIN_NONE;
	if (join == JOIN_FEW && segments->count > 0 && segments->count < LEAF_MIN)
		join_leaf(store, spot, segments, &swap, LEAF_JOINED);
	else if (join == JOIN_FULL && join_leaf(store, spot, segments, &swap, 2 * LEAF_MAX + 1))
		most = LEAF_SPREAD;
	leaves = (unsigned)bits_ceil_div(segments->count, most);
	for (unsigned i = 0; i < leaves; i++) {
		unsigned share = join == JOIN_END ? LEAF_MAX : (segments->count - done) / (leaves - i);
		unsigned end =
		        i + 1 < leaves ? cut_segments(segments, done, leaves - i, share) : segments->count;

		if (i > 0)
			swap.key[i] = separator(segments, done);
		swap.ref[swap.count++] = make_leaf(store, segments, done, end - done);
		done = end;
	}
	if (swap.count == 0 && swap.old == 0)
		return;
	tree_swap(store, spot, &swap);
	retire_target(store, spot->target);
}

/* A leaf between two full ones stays small for long: not at each of many removals. */
static bool leaf_is_sparse(const struct leaf *leaf)
{
	return leaf->live == 0 || (leaf->live < LEAF_MIN && leaf->live % 4 == 3);
}

static bool block_is_sparse(const struct block *block)
{
	return block->live == 0 || (block->live < BLOCK_MIN && block->live % 16 == 15);
}

bool tree_is_sparse(node_ref target)
{
	return node_kind(target) == NODE_BLOCK ? block_is_sparse(node_block(target))
	                                       : leaf_is_sparse(node_leaf(target));
}

static void shrink_leaf(struct store *store, struct spot *spot, bool now)
{
	struct leaf *leaf = node_leaf(spot->target);
	struct segments segments;
	struct leaf *before, *behind;

	if (leaf->live >= LEAF_MIN || !(now || leaf_is_sparse(leaf)))
		return;
	if (leaf->live > 0) {
		if (spot->depth == 0)
			return;
		before = neighbour_leaf(spot, spot->at - 1);
		behind = neighbour_leaf(spot, spot->at + 1);
		if (!(before && before->live + leaf->live <= LEAF_JOINED) &&
		    !(behind && behind->live + leaf->live <= LEAF_JOINED))
			return;
	}
	if (tree_reserve(store, spot, 2))
		return;
	segments.count = 0;
	segments_of_leaf(leaf, &segments);
	tree_put(store, spot, &segments, JOIN_FEW);
}

static void shrink_block(struct store *store, struct spot *spot, bool now)
{
	struct block *block = node_block(spot->target);
	struct segments segments;

	if (block->live >= BLOCK_MIN || !(now || block_is_sparse(block)))
		return;
	if (tree_reserve(store, spot, 1 + BLOCK_MIN / LEAF_MAX))
		return;
	segments.count = 0;
	block_segments(block, block_start(spot), &segments);
	tree_put(store, spot, &segments, JOIN_NONE);
}

void tree_shrink(struct store *store, struct spot *spot, bool now)
{
	if (store_backlog(store) > store->limit)
		return;
	if (node_kind(spot->target) == NODE_BLOCK)
		shrink_block(store, spot, now);
	else if (spot->target)
		shrink_leaf(store, spot, now);
}
