/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/hints.h"

/*
 * For each leaf or block, when the hints are made, at most MANY buckets; but FEW in between, while that keeps the slots
 * in a core's own cache: there, a miss on the way to a hint costs more than the level that it saves.
 */
#define BUCKETS_MANY 4u
#define BUCKETS_FEW 2u
#define BUCKETS_NEAR 32768u
#define BUCKETS_FAR 131072u
#ifndef BUCKETS_MIN /* models take fewer */
#define BUCKETS_MIN 1008u /* what fits the two pages that hints take at least */
#define BUCKETS_EXACT 128u /* for each leaf, while they are few: most have one mapping at most */
#endif
#define BUCKETS_EXACT_ALL 8192u
#define FAR_PART 16u /* mappings at either end that may be left out; */
#define FAR_TIMES 4 /* so many times what the others span makes it worth it */
#define STRETCH                                                                                              \
	32 /* a leaf is named in all buckets from its first key to its last if they are no more than this */

static struct hints *hints_of(struct root *root)
{
	return atomic_load_explicit(&root->hints, memory_order_relaxed);
}

static int64_t bucket_of(const struct hints *hints, int32_t x)
{
	return ((int64_t)x - hints->base) >> hints->shift;
}

static bool has_bucket(const struct hints *hints, int64_t bucket)
{
	return bucket >= 0 && bucket < (int64_t)hints->count;
}

/* The buckets of which all pages are in [low, high]. */
struct span {
	int64_t first, last;
};

static struct span span_of(const struct hints *hints, int32_t low, int32_t high)
{
	struct span span = {0, bucket_of(hints, high)};

	if (low > hints->base)
		span.first = bucket_of(hints, low - 1) + 1;
	if (high < REGION_LAST)
		span.last = bucket_of(hints, high + 1) - 1;
	if (span.last >= (int64_t)hints->count)
		span.last = (int64_t)hints->count - 1;
	return span;
}

static void forget(struct hints *hints, int64_t bucket, node_ref ref)
{
	if (has_bucket(hints, bucket) &&
	    hint_node(atomic_load_explicit(&hints->slot[bucket], memory_order_relaxed)) == ref &&
	    !IS_MUTANT(4)) /* the mutant leaves the way to a node that is gone */
		atomic_store_explicit(&hints->slot[bucket], 0, memory_order_relaxed); /* [pamap.P3] */
}

static void learn(struct hints *hints, int64_t bucket, struct span span, node_ref hint)
{
	if (bucket >= span.first && bucket <= span.last)
		atomic_store_explicit(&hints->slot[bucket], hint, memory_order_release); /* [pamap.P1] */
}

/* The buckets that a node may be named in, one after the other; -1: no more. */
struct buckets {
	int64_t at, last; /* a stretch; or, if at > last, */
	const struct leaf *leaf; /* that of each key of this leaf */
	unsigned next;
};

static struct buckets buckets_of(const struct hints *hints, node_ref ref, int32_t from)
{
	struct buckets buckets = {0, -1, NULL, 0};
	const struct leaf *leaf = node_leaf(ref);

	if (node_kind(ref) == NODE_BLOCK) {
		int32_t start = block_first(from);

		buckets.at = bucket_of(hints, start);
		buckets.last = bucket_of(hints, start + (int32_t)BLOCK_PAGES - 1);
	} else if (leaf->count > 0) {
		buckets.at = bucket_of(hints, leaf->key[0]);
		buckets.last = bucket_of(hints, leaf->key[leaf->count - 1]);
		if (buckets.last - buckets.at >= STRETCH) {
			buckets.last = buckets.at - 1;
			buckets.leaf = leaf;
		}
	}
	return buckets;
}

static bool next_bucket(const struct hints *hints, struct buckets *buckets, int64_t *bucket)
{
	if (buckets->leaf) {
		if (buckets->next == buckets->leaf->count)
			return false;
		*bucket = bucket_of(hints, buckets->leaf->key[buckets->next++]);
		return true;
	}
	*bucket = buckets->at++;
	return *bucket <= buckets->last;
}

void hints_forget_target(struct root *root, node_ref ref, int32_t from)
{
	struct hints *hints = hints_of(root);
	struct buckets buckets;
	int64_t bucket;

	if (!hints || !ref)
		return;
	buckets = buckets_of(hints, ref, from);
	while (next_bucket(hints, &buckets, &bucket))
		forget(hints, bucket, ref);
}

static void learn_block(struct hints *hints, node_ref ref, int32_t from, int32_t low, int32_t high)
{
	struct buckets buckets = buckets_of(hints, ref, from);
	int32_t start = block_first(from), last = start + (int32_t)BLOCK_PAGES - 1;
	/* What else leads to a block is not in it. */
	struct span span = span_of(hints, low > start ? low : start, high < last ? high : last);
	int64_t bucket;

	while (next_bucket(hints, &buckets, &bucket))
		learn(hints, bucket, span, ref);
}

static void learn_leaf(struct hints *hints, const struct leaf *leaf, int32_t low, int32_t high)
{
	struct buckets buckets = buckets_of(hints, leaf_ref(leaf), 0);
	struct span span = span_of(hints, low, high);
	unsigned below = 0, guess = hints->exact ? 0 : LEAF_MAX;
	int64_t bucket;

	while (next_bucket(hints, &buckets, &bucket)) {
		for (; hints->exact && below < leaf->count && bucket_of(hints, leaf->key[below]) <= bucket;
		     below++)
			guess = below; /* the last entry that begins in the bucket, or before it */
		learn(hints, bucket, span, hint_make(leaf_ref(leaf), guess));
	}
}

static void learn_target(struct hints *hints, node_ref ref, int32_t from, int32_t low, int32_t high)
{
	if (node_kind(ref) == NODE_BLOCK)
		learn_block(hints, ref, from, low, high);
	else if (ref)
		learn_leaf(hints, node_leaf(ref), low, high);
}

void hints_learn_target(struct root *root, node_ref ref, int32_t from, int32_t low, int32_t high)
{
	struct hints *hints = hints_of(root);

	if (hints)
		learn_target(hints, ref, from, low, high);
}

void hints_forget_pages(struct root *root, const struct leaf *leaf, int32_t first, int32_t last)
{
	struct hints *hints = hints_of(root);
	int64_t bucket, end;

	if (!hints)
		return;
	bucket = bucket_of(hints, first);
	end = bucket_of(hints, last);
	if (end - bucket >= STRETCH)
		hints_forget_target(root, leaf_ref(leaf), 0);
	for (; end - bucket < STRETCH && bucket <= end; bucket++)
		forget(hints, bucket, leaf_ref(leaf));
}

void hints_replace_leaf(struct root *root, const struct leaf *old, const struct leaf *made, bool keys_stay,
                        int32_t low, int32_t high)
{
	struct hints *hints = hints_of(root);
	bool by_key;

	if (!hints)
		return;
	learn_leaf(hints, made, low, high);
	by_key = buckets_of(hints, leaf_ref(old), 0).leaf != NULL;
	if (!keys_stay || by_key != (buckets_of(hints, leaf_ref(made), 0).leaf != NULL))
		hints_forget_target(root, leaf_ref(old), 0);
}

/* An inner node is named where the ranges of two of its children meet inside a bucket. */
void hints_forget_inner(struct root *root, const struct inner *inner)
{
	struct hints *hints = hints_of(root);

	for (unsigned i = 1; hints && i < inner->count; i++)
		forget(hints, bucket_of(hints, inner->key[i]), inner_ref(inner));
}

static void learn_inner(struct hints *hints, const struct inner *inner)
{
	struct span span = span_of(hints, inner->key[0], inner->key[inner->count - 1] - 1);

	for (unsigned i = 1; i < inner->count; i++) {
		int64_t bucket = bucket_of(hints, inner->key[i]);

		if (bucket != bucket_of(hints, inner->key[i] - 1)) /* the bucket begins with the child */
			continue;
		learn(hints, bucket, span, inner_ref(inner));
	}
}

void hints_learn_inner(struct root *root, const struct inner *inner)
{
	struct hints *hints = hints_of(root);

	if (hints)
		learn_inner(hints, inner);
}

bool hints_are_few(const struct root *root)
{
	size_t targets = root->leaves + root->blocks;

	return (targets > 1 || root->blocks) && targets > root->hinted + root->hinted / 4;
}

static bool can_be_exact(const struct root *root)
{
	return BUCKETS_EXACT * root->leaves <= BUCKETS_EXACT_ALL;
}

size_t hints_wanted(const struct root *root)
{
	size_t targets = root->leaves + root->blocks;
	size_t many = BUCKETS_MANY * targets, few = BUCKETS_FEW * targets;

	if (can_be_exact(root))
		many += (BUCKETS_EXACT - BUCKETS_MANY) * root->leaves;
	else if (many > BUCKETS_NEAR && few <= BUCKETS_FAR)
		return bits_max(BUCKETS_NEAR, few);
	return bits_max(BUCKETS_MIN, many);
}

static void learn_below(struct hints *hints, node_ref ref, int32_t from, int32_t low, int32_t high)
{
	struct inner *inner = node_inner(ref);

	if (node_kind(ref) != NODE_INNER) {
		learn_target(hints, ref, from, low, high);
		return;
	}
	for (unsigned i = 0; i < inner->count; i++)
		learn_below(hints, atomic_load_explicit(&inner->child[i], memory_order_relaxed),
		            inner->key[i], i ? inner->key[i] : low,
		            i + 1 < inner->count ? inner->key[i + 1] - 1 : high);
	learn_inner(hints, inner);
}

static node_ref outermost(struct root *root, bool last, int32_t *from)
{
	node_ref ref = atomic_load_explicit(&root->top, memory_order_relaxed);

	while (node_kind(ref) == NODE_INNER) {
		struct inner *inner = node_inner(ref);
		unsigned at = last ? inner->count - 1u : 0;

		*from = inner->key[at];
		ref = atomic_load_explicit(&inner->child[at], memory_order_relaxed);
	}
	return ref;
}

/* From the first key to the last one. */
static int32_t edge_of_span(struct root *root, bool last)
{
	int32_t from = 0, start;
	node_ref ref = outermost(root, last, &from);
	const struct leaf *leaf = node_leaf(ref);

	if (node_kind(ref) == NODE_BLOCK) {
		start = block_first(from);
		return last ? start + (int32_t)BLOCK_PAGES - 1 : start;
	}
	if (!ref || leaf->count == 0)
		return last ? REGION_LAST : 0;
	return leaf->key[last ? leaf->count - 1 : 0];
}

/* What lies in a tree, in order: where its leaves and blocks begin; or, while hints are exact, all entries of leaves. */
struct marks {
	bool entries;
	size_t seen, low_at, high_at; /* of which marks to keep the page */
	int32_t low, high;
};

static void see_mark(struct marks *marks, int32_t page)
{
	if (marks->seen == marks->low_at)
		marks->low = page;
	if (marks->seen == marks->high_at)
		marks->high = page;
	marks->seen++;
}

static void see_marks(struct marks *marks, node_ref ref, int32_t from)
{
	const struct inner *inner = node_inner(ref);
	const struct leaf *leaf = node_leaf(ref);

	if (node_kind(ref) == NODE_INNER) {
		for (unsigned i = 0; i < inner->count; i++)
			see_marks(marks, atomic_load_explicit(&inner->child[i], memory_order_relaxed),
			          inner->key[i]);
	} else if (node_kind(ref) == NODE_LEAF && marks->entries) {
		for (unsigned i = 0; i < leaf->count; i++)
			see_mark(marks, leaf->key[i]);
	} else {
		see_mark(marks, from);
	}
}

/*
 * Buckets are of equal size, so a single mapping far from all others would make them all too large: when there is much
 * more room between the outermost sixteenths and the rest than in the rest, they do without hints.
 */
static void leave_out_the_far(struct root *root, int32_t *first, int32_t *last)
{
	node_ref top = atomic_load_explicit(&root->top, memory_order_relaxed);
	struct marks marks = {.entries = can_be_exact(root), .low_at = SIZE_MAX, .high_at = SIZE_MAX};
	int64_t span, begin, end;

	see_marks(&marks, top, 0);
	if (marks.seen < FAR_PART)
		return;
	marks.low_at = marks.seen / FAR_PART;
	marks.high_at = marks.seen - 1 - marks.low_at;
	marks.seen = 0;
	see_marks(&marks, top, 0);
	span = (int64_t)marks.high - marks.low + 1;
	if ((int64_t)*last - *first < FAR_TIMES * span)
		return;
	begin = marks.low - span / 4;
	end = marks.high + span / 4;
	*first = begin > *first ? (int32_t)begin : *first;
	*last = end < *last ? (int32_t)end : *last;
}

void hints_fill(struct root *root, struct hints *made, size_t count)
{
	int32_t first = edge_of_span(root, false), last = edge_of_span(root, true);
	uint64_t span;

	leave_out_the_far(root, &first, &last);
	span = last >= first ? (uint64_t)(last - first) + 1 : 1;
	/* Room for growth at the end: pages are often mapped in ascending order. */
	span = bits_min(span + span / 4, (size_t)(REGION_LAST - first) + 1);
	last = first + (int32_t)(span - 1);
	made->shift = 0;
	while (bits_ceil_div(span, (size_t)1 << made->shift) + 1 > count)
		made->shift++;
	made->base = (int32_t)((uint32_t)first & ~((1u << made->shift) - 1));
	made->count = (uint32_t)(((uint32_t)last - (uint32_t)made->base) >> made->shift) + 1;
	made->start = (root->region << REGION_BITS | (uint64_t)made->base) << PAMAP_PAGE_SHIFT;
	made->exact = can_be_exact(root);
	learn_below(made, atomic_load_explicit(&root->top, memory_order_relaxed), 0, 0, REGION_LAST);
	root->hinted = root->leaves + root->blocks;
	atomic_store_explicit(&root->hints, made, memory_order_release); /* [pamap.P1] */
}
