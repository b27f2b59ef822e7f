/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Hints: a direct index into the tree of a region. The span of pages in use is cut into buckets of equal size, a few
 * for each leaf; the slot of a bucket names the lowest node known to cover all of it (mostly the leaf), so that a
 * lookup there needs none of the levels above. Without a hint it starts at the root: hints are never needed, only
 * quicker. So an update never fails for want of memory for them, and where mappings crowd into few buckets nothing is
 * lost but the hints. While leaves are few there are so many buckets that most have one mapping at most; then a slot
 * also guesses the entry of its leaf. Whether the guess is right, the entry's key and length say.
 *
 *   [pamap.P3] Between updates a slot is 0 or names a node that is in the tree and covers the bucket. Before a node leaves
 *        the tree, or comes to cover less, its slots are set to 0, and these stores come before the one that publishes
 *        the change, which is a release [pamap.P1]: whoever has seen the change, or begins after it, finds no hint that leads
 *        around it. Slots of the new nodes are set after it, each by a release. So every change still has one
 *        linearization point, the store in the tree, whether lookups come by a hint or by the root.
 *        When a leaf is replaced by another for the same pages, it is enough that this is so of the buckets with pages
 *        that change. Of all other pages both leaves say the same until the update ends, and by then no slot names
 *        the old one: a lookup by such a slot linearizes where it loads the word.
 *        A lookup that loaded a slot before it was set to 0 is in a node that may have been replaced, as one that has
 *        loaded a child's pointer is: it linearizes in the same way, and [pamap.P2] keeps the node. So does one that loaded
 *        the pointer to hints that others have replaced since: what these name was in the tree at that moment.
 *
 * Which slots a node may be named in follows from what never changes in it: its keys (so no list is kept of them).
 *
 * If the writer stops between setting slots to 0 and setting them anew, lookups there start at the root; those by slots
 * that still name a replaced leaf find it as it was, for it is retired after its last slot, and no update follows.
 */
#ifndef PAMAP_HINTS_H
#define PAMAP_HINTS_H

#include "pamap/node.h"

struct hints {
	struct hints *next; /* of those that wait for readers */
	size_t bytes;
	uint64_t start; /* the first byte of bucket 0 */
	int32_t base; /* the same as a page of the region */
	uint32_t shift, count; /* a bucket is 2^shift pages */
	bool exact; /* slots that name leaves guess an entry, too */
	_Atomic node_ref slot[] __attribute__((aligned(CACHE_LINE)));
};

/* The tree of a region. Readers load the first two; the rest is the writer's, on another line. */
struct root {
	_Atomic node_ref top;
	_Atomic(struct hints *) hints; /* null: none */
	char apart[CACHE_LINE]; /* the readers' line ends before, the writer's begins behind it */
	size_t leaves, blocks;
	size_t hinted; /* how many of both there were when the hints were made */
	uint64_t region; /* its number */
};

/*
 * For any address: the buckets of a region's hints end with the region at the latest, so one comparison finds those
 * of other regions, too.
 */
static inline node_ref hints_find(const struct hints *hints, uint64_t at)
{
	uint64_t bucket = (at - hints->start) >> (hints->shift + PAMAP_PAGE_SHIFT);

	if (bucket >= hints->count)
		return 0;
	return atomic_load_explicit(&hints->slot[bucket], memory_order_acquire); /* [pamap.P1] */
}

/* What the hints of the root's region say of an address; 0: nothing. For readers, inside a section, and the writer. */
static inline node_ref root_hint(struct root *root, uint64_t at)
{
	struct hints *hints = atomic_load_explicit(&root->hints, memory_order_acquire); /* [pamap.P1] */

	return hints ? hints_find(hints, at) : 0;
}

/* The writer's: start loading what an insertion into a page will change, and the leaf that it will copy. */
static inline void hints_touch(struct root *root, uint64_t page)
{
	node_ref hint = root_hint(root, page << PAMAP_PAGE_SHIFT);

	if (hint && node_kind(hint) == NODE_LEAF)
		node_touch(node_leaf(hint), sizeof(struct leaf));
}

/*
 * The writer's. A target is a leaf or block to which pages [low, high] lead; `from` is the parent's key for it (only a
 * block's matters). Forget before it leaves or covers less, learn after it was published.
 */
void hints_forget_target(struct root *root, node_ref ref, int32_t from);
void hints_forget_inner(struct root *root, const struct inner *inner);
void hints_learn_target(struct root *root, node_ref ref, int32_t from, int32_t low, int32_t high);
void hints_learn_inner(struct root *root, const struct inner *inner);

/*
 * The same where one leaf takes the place of another, for pages [low, high], and the two differ in pages [first, last]
 * alone. keys_stay: the new one has all keys of the old one.
 */
void hints_forget_pages(struct root *root, const struct leaf *leaf, int32_t first, int32_t last);
void hints_replace_leaf(struct root *root, const struct leaf *old, const struct leaf *made, bool keys_stay,
                        int32_t low, int32_t high);

/* Whether the tree has grown so much that it is time for more buckets; how many; and to put them to use. */
bool hints_are_few(const struct root *root);
size_t hints_wanted(const struct root *root);
void hints_fill(struct root *root, struct hints *made, size_t count);

#endif
