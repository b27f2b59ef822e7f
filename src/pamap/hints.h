/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Hints: a direct index into the tree of a region. The span of pages in use is cut into buckets of equal size, a few
 * for each leaf; the slot of a bucket names the lowest node known to cover all of it (mostly the leaf), so that a
 * lookup there needs none of the levels above. Without a hint it starts at the root: hints are never needed, only
 * quicker. So an update never fails for want of memory for them, and where mappings crowd into few buckets nothing is
 * lost but the hints.
 *
 *   [P3] A slot is 0 or names a node that is in the tree and covers the bucket. Before a node leaves the tree, or comes
 *        to cover less, its slots are set to 0, and these stores come before the one that publishes the change, which
 *        is a release [P1]: whoever has seen the change, or begins after it, finds no hint that leads around it. Slots
 *        of the new nodes are set after it, each by a release. So every change still has one linearization point, the
 *        store in the tree, whether lookups come by a hint or by the root.
 *        A lookup that loaded a slot before it was set to 0 is in a node that may have been replaced, as one that has
 *        loaded a child's pointer is: it linearizes in the same way, and [P2] keeps the node. So does one that loaded
 *        the pointer to hints that others have replaced since: what these name was in the tree at that moment.
 *
 * Which slots a node may be named in follows from what never changes in it: its keys (so no list is kept of them).
 *
 * If the writer stops between setting slots to 0 and setting them anew, lookups there start at the root.
 */
#ifndef PAMAP_HINTS_H
#define PAMAP_HINTS_H

#include "pamap/node.h"

struct hints {
	struct hints *next; /* of those that wait for readers */
	size_t bytes;
	int32_t base; /* first page of bucket 0 */
	uint32_t shift, count;
	_Atomic node_ref slot[] __attribute__((aligned(CACHE_LINE)));
};

/* The tree of a region. Readers load the first two; the rest is the writer's, on another line. */
struct root {
	_Atomic node_ref top;
	_Atomic(struct hints *) hints; /* null: none */
	char apart[CACHE_LINE]; /* the readers' line ends before, the writer's begins behind it */
	size_t targets; /* leaves and blocks */
	size_t hinted; /* how many there were when the hints were made */
};

static inline node_ref hints_find(const struct hints *hints, int32_t x)
{
	uint32_t at = ((uint32_t)x - (uint32_t)hints->base) >> hints->shift;

	return at < hints->count ? atomic_load_explicit(&hints->slot[at], memory_order_acquire)
	                         : 0; /* [P1] */
}

/* The lowest node that is known to lead to page x. For readers, inside a section. */
static inline node_ref root_start(struct root *root, int32_t x)
{
	struct hints *hints = atomic_load_explicit(&root->hints, memory_order_acquire); /* [P1] */
	node_ref ref = hints ? hints_find(hints, x) : 0;

	return ref ? ref : atomic_load_explicit(&root->top, memory_order_acquire); /* [P1] */
}

/* The writer's: start loading what an insertion at page x will change, and the leaf that it will copy. */
static inline void hints_touch(struct root *root, int32_t x)
{
	struct hints *hints = atomic_load_explicit(&root->hints, memory_order_relaxed);
	node_ref ref = hints ? hints_find(hints, x) : 0;

	if (ref && node_kind(ref) == NODE_LEAF)
		node_touch(node_leaf(ref), sizeof(struct leaf));
}

/*
 * The writer's. A target is a leaf or block to which pages [low, high] lead; `from` is the parent's key for it (only a
 * block's matters). Forget before it leaves or covers less, learn after it was published.
 */
void hints_forget_target(struct root *root, node_ref ref, int32_t from);
void hints_forget_inner(struct root *root, const struct inner *inner);
void hints_learn_target(struct root *root, node_ref ref, int32_t from, int32_t low, int32_t high);
void hints_learn_inner(struct root *root, const struct inner *inner);

/* Whether the tree has grown so much that it is time for more buckets; how many; and to put them to use. */
bool hints_are_few(const struct root *root);
size_t hints_wanted(const struct root *root);
void hints_fill(struct root *root, struct hints *made, size_t count);

#endif
