/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What one leaf or block, or the place of one, will hold: segments [begin, begin + count) of the plan. */
struct part {
	uint64_t page; /* leads there */
	size_t begin, count;
};

struct planned_segment {
	int32_t first;
	uint64_t word;
	uint32_t extra;
};

/*
 * A segment in the making. Its list is copied, for the scratch space that it comes from is used again. The plan has two: `draft` grows
 * as long as what follows has the same list (`drafting`); what follows is filled into `next_draft`, and either is added to the
 * first, or the first is finished and the two change their roles.
 */
struct draft {
	int32_t first, last;
	uint32_t count;
	struct pamap_entry entry[PAMAP_OVERLAP_MAX + 1];
	/* Its cover in the tree, if that stays as it is; then, or if `packed`, word and extra count. */
	struct cover *kept;
	bool packed;
	uint64_t word;
	uint32_t extra;
};

struct plan {
	struct pamap *map;
	const struct plan_op *op;
	uint64_t base; /* first page of the region at hand */
	struct part *parts;
	struct planned_segment *segments;
	size_t part_count, part_room, segment_count, segment_room;
	struct cover *made, *gone; /* chained by next: to discard if it fails, to retire if it does not */
	struct draft *draft, *next_draft;
	bool drafting;
	int error;
};

bool entry_equal(const struct pamap_entry *a, const struct pamap_entry *b)
{
	return a->page == b->page && a->pages == b->pages && a->to == b->to && a->handle == b->handle &&
	       a->owner == b->owner && a->attributes == b->attributes;
}

struct list leaf_list(uint64_t page, uint64_t word, uint32_t extra, struct pamap_entry *one)
{
	if (word_pages(word) == 0)
		return (struct list){word_cover(word)->entry, word_cover(word)->count};
	*one = (struct pamap_entry){page,
	                            word_pages(word),
	                            word_to(word),
	                            extra & WORD_HANDLE_MAX,
	                            word_owner(word),
	                            (uint8_t)(extra >> 24)};
	return (struct list){one, 1};
}

struct list block_list(const struct block *block, uint64_t page, uint64_t word, struct pamap_entry *one)
{
	uint32_t palette = block->palette[block_word_palette(word)];

	if (word == 0)
		return (struct list){one, 0};
	if (block_word_palette(word) == PALETTE_COVER)
		return (struct list){block_word_cover(word)->entry, block_word_cover(word)->count};
	*one = (struct pamap_entry){page,
	                            1,
	                            block_word_to(word),
	                            block_word_handle(word),
	                            (uint16_t)palette,
	                            (uint8_t)(palette >> 16)};
	return (struct list){one, 1};
}

/* Room for one more element of `size` in a growing array. */
static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? 2 * *room : 64;
	void *made;

	if (count < *room)
		return true;
	made = malloc(wanted * size);
	if (!made)
		return false;
	if (count)
		memcpy(made, *array, count * size);
	free(*array);
	*array = made;
	*room = wanted;
	return true;
}

static void add_segment(struct plan *plan, int32_t first, uint64_t word, uint32_t extra)
{
	if (!grow((void **)&plan->segments, plan->segment_count, &plan->segment_room, sizeof(*plan->segments))) {
		plan->error = -ENOMEM;
		return;
	}
	plan->segments[plan->segment_count++] = (struct planned_segment){first, word, extra};
	plan->parts[plan->part_count - 1].count++;
}

static void add_part(struct plan *plan, uint64_t page)
{
	if (!grow((void **)&plan->parts, plan->part_count, &plan->part_room, sizeof(*plan->parts))) {
		plan->error = -ENOMEM;
		return;
	}
	plan->parts[plan->part_count++] = (struct part){page, plan->segment_count, 0};
}

static struct cover *make_cover(struct plan *plan, const struct pamap_entry *entry, uint32_t count)
{
	struct cover *cover = store_cover(&plan->map->store, count);

	if (!cover) {
		plan->error = -ENOMEM;
		return NULL;
	}
	memcpy(cover->entry, entry, count * sizeof(*entry));
	cover->next = plan->made;
	plan->made = cover;
	return cover;
}

static void drop_cover(struct plan *plan, struct cover *cover)
{
	cover->next = plan->gone;
	plan->gone = cover;
}

/* The list that the operation makes of another one, in the draft. */
static void transform(struct plan *plan, struct list list, struct draft *draft)
{
	const struct plan_op *op = plan->op;
	bool done = op->kind == PLAN_ADD;

	draft->count = 0;
	for (uint32_t i = 0; i < list.count; i++) {
		if (!done && entry_equal(&list.entry[i], op->entry)) {
			done = true;
			if (op->kind == PLAN_SWAP)
				draft->entry[draft->count++] = *op->with;
		} else {
			draft->entry[draft->count++] = list.entry[i];
		}
	}
	if (op->kind == PLAN_ADD) {
		if (list.count > 0 && (op->flags & PAMAP_EXCLUSIVE))
			plan->error = -EEXIST;
		else if (list.count == PAMAP_OVERLAP_MAX)
			plan->error = -EMLINK;
		else
			draft->entry[draft->count++] = *op->entry;
	}
}

static bool fits_whole(const struct plan *plan, const struct draft *draft)
{
	const struct pamap_entry *e = &draft->entry[0];

	return draft->count == 1 && entry_fits_word(e) && e->page == plan->base + (uint64_t)draft->first &&
	       e->pages == (uint64_t)(draft->last - draft->first) + 1;
}

static void finish_draft(struct plan *plan)
{
	struct draft *draft = plan->draft;
	struct cover *cover;

	if (!plan->drafting || plan->error)
		return;
	plan->drafting = false;
	if (draft->kept || draft->packed) {
		add_segment(plan, draft->first, draft->word, draft->extra);
	} else if (fits_whole(plan, draft)) {
		add_segment(plan, draft->first, word_make(&draft->entry[0]), extra_make(&draft->entry[0]));
	} else {
		cover = make_cover(plan, draft->entry, draft->count);
		if (cover)
			add_segment(plan, draft->first, cover_word(cover),
			          (uint32_t)(draft->last - draft->first));
	}
}

static bool continues(const struct draft *before, const struct draft *draft)
{
	if (before->packed || draft->packed || before->last + 1 != draft->first ||
	    before->count != draft->count)
		return false;
	for (uint32_t i = 0; i < draft->count; i++)
		if (!entry_equal(&before->entry[i], &draft->entry[i]))
			return false;
	return true;
}

/* plan->next_draft is filled in: it becomes the end of the last segment, if that has the same list, or a new one. */
static void put_draft(struct plan *plan)
{
	struct draft *before = plan->draft, *draft = plan->next_draft;

	if (plan->error || draft->count == 0)
		return;
	if (plan->drafting && continues(before, draft)) {
		if (before->kept)
			drop_cover(plan, before->kept);
		if (draft->kept)
			drop_cover(plan, draft->kept);
		before->kept = NULL;
		before->last = draft->last;
		return;
	}
	finish_draft(plan);
	plan->draft = draft;
	plan->next_draft = before;
	plan->drafting = true;
}

/* Pages [first, last] with this list, changed by the operation or (for what a cut leaves over) as it is. */
static void put_run(struct plan *plan, int32_t first, int32_t last, struct list list, bool change)
{
	struct draft *draft = plan->next_draft;

	if (first > last || plan->error)
		return;
	draft->first = first;
	draft->last = last;
	draft->kept = NULL;
	draft->packed = false;
	if (change) {
		transform(plan, list, draft);
	} else {
		draft->count = list.count;
		memcpy(draft->entry, list.entry, list.count * sizeof(*list.entry));
	}
	put_draft(plan);
}

/* A segment that the operation does not touch. */
static void put_untouched(struct plan *plan, int32_t first, int32_t last, uint64_t word, uint32_t extra)
{
	struct draft *draft = plan->next_draft;
	struct cover *cover = word_pages(word) ? NULL : word_cover(word);

	draft->first = first;
	draft->last = last;
	draft->count = cover ? cover->count : 1;
	if (cover)
		memcpy(draft->entry, cover->entry, cover->count * sizeof(*cover->entry));
	draft->kept = cover;
	draft->packed = !cover;
	draft->word = word;
	draft->extra = extra;
	put_draft(plan);
}

/* The segments of one leaf, with what the operation makes of pages [first, last]. */
static void plan_leaf(struct plan *plan, const struct leaf *leaf, int32_t first, int32_t last)
{
	bool add = plan->op->kind == PLAN_ADD;
	const struct list nothing = {NULL, 0};
	int32_t at = first; /* pages below are done */
	struct segments segments;

	segments.count = 0;
	if (leaf)
		segments_of_leaf(leaf, &segments);
	for (unsigned i = 0; i < segments.count && !plan->error; i++) {
		int32_t begin = segments.first[i], end = segment_last(begin, segments.word[i], segments.extra[i]);
		int32_t from = begin > first ? begin : first, to = end < last ? end : last;
		struct pamap_entry one;
		struct list list =
		        leaf_list(plan->base + (uint64_t)begin, segments.word[i], segments.extra[i], &one);

		if (add && begin > at && at <= last) {
			put_run(plan, at, begin - 1 < last ? begin - 1 : last, nothing, true);
			at = begin;
		}
		if (from > to) {
			put_untouched(plan, begin, end, segments.word[i], segments.extra[i]);
			continue;
		}
		put_run(plan, begin, from - 1, list, false);
		put_run(plan, from, to, list, true);
		put_run(plan, to + 1, end, list, false);
		if (word_pages(segments.word[i]) == 0)
			drop_cover(plan, word_cover(segments.word[i]));
		at = to + 1;
	}
	if (add)
		put_run(plan, at, last, nothing, true);
	finish_draft(plan);
}

static void plan_block(struct plan *plan, struct block *block, int32_t start, int32_t first, int32_t last)
{
	for (int32_t x = first; x <= last && !plan->error; x++) {
		uint64_t word = atomic_load_explicit(&block->word[x - start], memory_order_relaxed);
		struct draft *draft = plan->next_draft;
		struct pamap_entry one;
		unsigned palette = 0;
		struct cover *cover;

		draft->first = draft->last = x;
		transform(plan, block_list(block, plan->base + (uint64_t)x, word, &one), draft);
		if (plan->error)
			return;
		if (block_word_palette(word) == PALETTE_COVER)
			drop_cover(plan, block_word_cover(word));
		if (draft->count == 0) {
			add_segment(plan, x, 0, 0);
			continue;
		}
		if (fits_whole(plan, draft))
			palette = block_palette(block, draft->entry[0].owner, draft->entry[0].attributes);
		if (palette) {
			add_segment(plan, x,
			          block_word_make(draft->entry[0].to, draft->entry[0].handle, palette), 0);
			continue;
		}
		cover = make_cover(plan, draft->entry, draft->count);
		if (cover)
			add_segment(plan, x, block_cover_word(cover), 0);
	}
}

/* Plans every leaf and block in the entry's range, and reserves the nodes for them. */
static void plan_all(struct plan *plan)
{
	uint64_t page = plan->op->entry->page, end = page + (plan->op->entry->pages - 1);
	size_t leaves = 0, depth = 0;

	for (;;) {
		struct root *root = map_make_root(plan->map, page >> REGION_BITS);
		struct spot spot;
		int32_t x = (int32_t)(page & (uint64_t)REGION_LAST), last;

		if (!root) {
			plan->error = -ENOMEM;
			return;
		}
		tree_find(root, x, &spot);
		plan->base = page - (uint64_t)x;
		last = end - plan->base < (uint64_t)spot.high ? (int32_t)(end - plan->base) : spot.high;
		add_part(plan, page);
		if (plan->error)
			return;
		if (node_kind(spot.target) == NODE_BLOCK)
			plan_block(plan, node_block(spot.target), block_start(&spot), x, last);
		else
			plan_leaf(plan, spot.target ? node_leaf(spot.target) : NULL, x, last);
		if (plan->error)
			return;
		leaves += plan->parts[plan->part_count - 1].count / LEAF_MAX + 2;
		depth = bits_max(depth, spot.depth);
		page = plan->base + (uint64_t)last;
		if (page == end)
			break;
		page++;
	}
	/*
	 * Inner nodes: each part makes a copy of its parent. A split makes one more, and a copy in the level above; but it
	 * leaves nodes that have room for some ten parts more, so that over all parts and levels splits come to less than
	 * half a node a part, besides one a level. The same of joins, of nodes that come near INNER_MIN anew. The first part
	 * may find every level about to split, and the root.
	 */
	plan->error = store_reserve(&plan->map->store, leaves, 2 * plan->part_count + 4 * (depth + 1), 0);
}

static void execute_block(const struct plan *plan, const struct part *part, struct spot *spot)
{
	struct block *block = node_block(spot->target);

	for (size_t i = part->begin; i < part->begin + part->count; i++) {
		_Atomic uint64_t *word = &block->word[plan->segments[i].first - block_start(spot)];
		bool before = atomic_load_explicit(word, memory_order_relaxed) != 0;

		atomic_store_explicit(word, plan->segments[i].word, memory_order_release); /* [pamap.P1] */
		block->live = (uint16_t)(block->live - before + (plan->segments[i].word != 0));
	}
}

static void execute(struct plan *plan)
{
	for (size_t p = 0; p < plan->part_count; p++) {
		const struct part *part = &plan->parts[p];
		struct segments segments;
		struct spot spot;

		tree_find(map_root(plan->map, part->page >> REGION_BITS),
		          (int32_t)(part->page & (uint64_t)REGION_LAST), &spot);
		if (node_kind(spot.target) == NODE_BLOCK) {
			execute_block(plan, part, &spot);
			continue;
		}
		segments.count = 0;
		for (size_t i = part->begin; i < part->begin + part->count; i++)
			segments_add(&segments, plan->segments[i].first, plan->segments[i].word,
			           plan->segments[i].extra);
		tree_put(&plan->map->store, &spot, &segments, JOIN_NONE);
	}
	for (struct cover *cover = plan->gone, *next; cover; cover = next) {
		next = cover->next;
		store_retire_cover(&plan->map->store, cover);
	}
	if (plan->op->kind != PLAN_DROP)
		return;
	for (size_t p = 0; p < plan->part_count; p++) {
		struct spot spot;

		tree_find(map_root(plan->map, plan->parts[p].page >> REGION_BITS),
		          (int32_t)(plan->parts[p].page & (uint64_t)REGION_LAST), &spot);
		tree_shrink(&plan->map->store, &spot, true);
	}
}

/* Whether the mapping is there: then it is in the list of its first page. */
static bool is_there(struct pamap *map, const struct pamap_entry *entry)
{
	struct root *root = map_root(map, entry->page >> REGION_BITS);
	int32_t x = (int32_t)(entry->page & (uint64_t)REGION_LAST);
	struct list list = {NULL, 0};
	struct pamap_entry one;
	struct spot spot;
	unsigned rank;

	if (!root)
		return false;
	tree_find(root, x, &spot);
	if (node_kind(spot.target) == NODE_BLOCK) {
		uint64_t word = atomic_load_explicit(&node_block(spot.target)->word[x - block_start(&spot)],
		                                     memory_order_relaxed);

		list = block_list(node_block(spot.target), entry->page, word, &one);
	} else if (spot.target && (rank = leaf_rank(node_leaf(spot.target), x)) > 0) {
		struct leaf *leaf = node_leaf(spot.target);
		uint64_t word = atomic_load_explicit(&leaf->word[rank - 1], memory_order_relaxed);

		if (word && leaf->key[rank - 1] == x)
			list = leaf_list(entry->page, word, leaf->extra[rank - 1], &one);
	}
	for (uint32_t i = 0; i < list.count; i++)
		if (entry_equal(&list.entry[i], entry))
			return true;
	return false;
}

int plan_run(struct pamap *map, const struct plan_op *op)
{
	struct plan plan = {.map = map, .op = op};
	struct draft *drafts;

	if (op->kind != PLAN_ADD && !is_there(map, op->entry))
		return -ENOENT;
	drafts = malloc(2 * sizeof(*drafts));
	if (!drafts)
		return -ENOMEM;
	plan.draft = &drafts[0];
	plan.next_draft = &drafts[1];
	plan_all(&plan);
	if (!plan.error)
		execute(&plan);
	for (struct cover *cover = plan.error ? plan.made : NULL, *next; cover; cover = next) {
		next = cover->next;
		store_discard_cover(&map->store, cover);
	}
	free(drafts);
	free(plan.parts);
	free(plan.segments);
	return plan.error;
}
