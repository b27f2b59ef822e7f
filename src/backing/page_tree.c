/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The tree itself, and a mapping's way into it and out. What several mappings share is in sharing.c, lookups in mapping/find.c. */
#include "backing/page_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mutant.h"

#define BLOCK_PAGES (UINT64_C(1) << PAGE_TREE_BLOCK_SHIFT)
#define BLOCK_WORDS 5461u /* 4096 + 1024 + ... + 1 */

/* How many nodes of a level above the blocks are whole, or at all. */
static uint64_t upper_nodes(const struct page_tree *tree, unsigned level)
{
	return (tree->pages >> 2 * level) + 1;
}

int page_tree_init(struct page_tree *tree, uint64_t pages)
{
	uint64_t upper = 0;
	_Atomic uint32_t *words;

	tree->pages = pages;
	tree->blocks = (pages - 1) / BLOCK_PAGES + 1;
	index_init(&tree->groups);
	for (unsigned level = PAGE_TREE_BLOCK_LEVELS; level <= PAGE_TREE_TOP; level++)
		upper += upper_nodes(tree, level);
	tree->block = calloc(tree->blocks, sizeof(*tree->block));
	words = calloc(upper, sizeof(*words));
	for (unsigned level = PAGE_TREE_BLOCK_LEVELS; level <= PAGE_TREE_TOP && words; level++) {
		tree->upper[level - PAGE_TREE_BLOCK_LEVELS] = words;
		words += upper_nodes(tree, level);
	}
	atomic_store_explicit(&tree->bytes, tree->blocks * sizeof(*tree->block) + upper * sizeof(*words),
	                      memory_order_relaxed);
	if (tree->block && words)
		return 0;
	page_tree_drop(tree);
	return -ENOMEM;
}

void page_tree_drop(struct page_tree *tree)
{
	for (uint64_t i = 0; tree->block && i < tree->blocks; i++)
		free((void *)(uintptr_t)atomic_load_explicit(&tree->block[i], memory_order_relaxed));
	free(tree->block);
	free((void *)(uintptr_t)tree->upper[0]);
	if (tree->blocks)
		index_drop(&tree->groups);
	*tree = (struct page_tree){0};
}

/* The largest node that begins at page `at` of the backing and ends by `end`. */
static inline struct node node_at(uint64_t at, uint64_t end)
{
	unsigned level = at ? bits_lowest(at) / 2 : PAGE_TREE_TOP, fits = bits_highest(end - at) / 2;

	level = level < fits ? level : fits;
	level = level < PAGE_TREE_TOP ? level : PAGE_TREE_TOP;
	return (struct node){level, at >> 2 * level};
}

static inline _Atomic uint32_t *page_tree_make_word(struct page_tree *tree, struct node node)
{
	_Atomic uint32_t *word = page_tree_word(tree, node), *made, *there = NULL;

	if (word)
		return word;
	made = calloc(BLOCK_WORDS, sizeof(*made));
	if (!made)
		return NULL;
	/* Release: pairs with page_tree_word. */
	if (atomic_compare_exchange_strong_explicit(&tree->block[page_tree_block_of(node)], &there, made,
	                                            memory_order_release, memory_order_acquire)) {
		atomic_fetch_add_explicit(&tree->bytes, BLOCK_WORDS * sizeof(*made), memory_order_relaxed);
		return made + page_tree_word_in_block(node);
	}
	free((void *)(uintptr_t)made);
	return there + page_tree_word_in_block(node);
}

static bool is_any(const _Atomic uint32_t *word, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (atomic_load_explicit(&word[i], memory_order_relaxed) != 0)
			return true;
	return false;
}

/* Nodes [first, last] of a level: those of one block at a time. */
static bool is_level_used(const struct page_tree *tree, unsigned level, uint64_t first, uint64_t last)
{
	uint64_t in_block = level < PAGE_TREE_BLOCK_LEVELS ? BLOCK_PAGES >> 2 * level : UINT64_MAX;

	while (first <= last) {
		uint64_t here = in_block - (in_block == UINT64_MAX ? 0 : first % in_block),
		         left = last - first + 1;
		const _Atomic uint32_t *word = page_tree_word(tree, (struct node){level, first});

		here = here < left ? here : left;
		if (word && is_any(word, here))
			return true;
		first += here;
	}
	return false;
}

bool page_tree_is_used(const struct page_tree *tree, uint64_t first, uint64_t pages)
{
	uint32_t used = atomic_load_explicit(&tree->used, memory_order_relaxed);
	uint64_t last = first + (pages - 1);

	for (; used; used &= used - 1) {
		unsigned level = bits_lowest(used);

		if (is_level_used(tree, level, first >> 2 * level, last >> 2 * level))
			return true;
	}
	return false;
}

/* What the word of a link alone says besides. */
static uint32_t flags_of(const struct mapping *mapping)
{
	return mapping_link_kind(mapping) == LINK_IN_VIEW ? 0 : NODE_ODD;
}

/* A link that nobody knows. A slot mostly has its links again: nothing is written then. */
static inline void make_link(struct link *link, uint32_t slot, uint32_t segment)
{
	if (link->slot != slot || link->segment != segment)
		*link = (struct link){link->sibling, slot, segment};
}

/* Into its node. [backing.C1] */
static inline int put_in(struct space *space, struct backing *backing, struct node node, uint32_t id,
                         uint32_t flags)
{
	struct page_tree *tree = &backing->tree;
	_Atomic uint32_t *word = page_tree_make_word(tree, node);
	uint32_t empty = 0;

	if (!word)
		return -ENOMEM;
	if (!(atomic_load_explicit(&tree->used, memory_order_relaxed) >> node.level & 1))
		atomic_fetch_or_explicit(&tree->used, UINT32_C(1) << node.level, memory_order_relaxed);
	if (atomic_compare_exchange_strong_explicit(word, &empty, id | flags, memory_order_release,
	                                            memory_order_relaxed))
		return 0;
	return page_tree_join(space, backing, node, id);
}

/*
 * Of a link that is alone in its node, which nobody else takes out: what is kept of the word, and what is added. Release: after
 * the announcement [backing.C2]. False: it is in a group.
 */
static inline bool change_alone(_Atomic uint32_t *word, uint32_t keep, uint32_t add)
{
	uint32_t found = atomic_load_explicit(word, memory_order_relaxed);

	while (!(found & NODE_GROUP))
		if (atomic_compare_exchange_weak_explicit(word, &found, (found & keep) | add,
		                                          memory_order_release, memory_order_relaxed))
			return true;
	return false;
}

static inline void take_out(struct space *space, struct backing *backing, struct node node, uint32_t id)
{
	if (!change_alone(page_tree_word(&backing->tree, node), 0, 0))
		page_tree_part(space, backing, id);
}

/* [backing.C3] */
static void hold(struct space *space, struct backing *backing, struct node node, uint32_t id)
{
	if (!change_alone(page_tree_word(&backing->tree, node), UINT32_MAX, NODE_ODD | NODE_HELD))
		page_tree_hold(space, backing, id);
}

/* [backing.C2] */
static void announce(struct space *space, struct page_tree *tree, uint32_t id)
{
	struct link_more *more = link_more(space, id);
	uint64_t ended = atomic_load_explicit(&tree->ended, memory_order_relaxed), next;

	if (IS_MUTANT(214)) /* says nothing */
		return;
	do {
		uint32_t number = (uint32_t)(ended >> 32) + 1;

		atomic_store_explicit(&more->before, (uint32_t)ended, memory_order_relaxed);
		atomic_store_explicit(&more->number, number, memory_order_relaxed);
		next = (uint64_t)number << 32 | id;
	} while (!atomic_compare_exchange_weak_explicit(&tree->ended, &ended, next, memory_order_release,
	                                                memory_order_relaxed));
}

#define LINKS_AT_ONCE 64u

/* A mapping on its way in. */
struct entry {
	struct space *space;
	struct mapping *mapping;
	struct backing *backing; /* of the last segment */
	uint32_t slot, flags;
	uint32_t id,
	        *next; /* the last link of the mapping's list that is in use, and where the next one's number stands */
};

static uint32_t links_at_once(const struct mapping *mapping)
{
	uint32_t left = mapping->segments > mapping->linked ? mapping->segments - mapping->linked : 1;

	return left < LINKS_AT_ONCE ? left
	                            : LINKS_AT_ONCE; /* they are taken under a lock that others wait for */
}

/*
 * The next link of the mapping's list; null: no memory. If there is none yet as many are taken as there are segments, which is
 * mostly all that it needs: one after the other, so that two owners who register at the same time write to lines of their own.
 */
static inline struct link *next_link(struct entry *entry)
{
	struct link *link;

	if (!*entry->next)
		*entry->next = stock_take_list(&entry->space->links, links_at_once(entry->mapping));
	if (!*entry->next)
		return NULL;
	entry->id = *entry->next;
	link = link_at(entry->space, entry->id);
	entry->next = &link->sibling;
	return link;
}

static bool is_segment_used(struct space *space, const struct mapping *mapping, uint32_t segment)
{
	const struct segment *at = &mapping_segments(mapping)[segment];
	const struct backing *backing = space_backing(space, at->backing);

	return page_tree_is_used(&backing->tree, at->page - backing->page, segment_pages(mapping, segment));
}

static bool is_any_segment_used(struct space *space, const struct mapping *mapping)
{
	for (uint32_t segment = 0; segment < mapping->segments; segment++)
		if (is_segment_used(space, mapping, segment))
			return true;
	return false;
}

static int enter_segment(struct entry *entry, uint32_t segment)
{
	struct mapping *mapping = entry->mapping;
	const struct segment *at = &mapping_segments(mapping)[segment];
	uint64_t page, end;

	if (!entry->backing || entry->backing->number != at->backing)
		entry->backing = space_backing(entry->space, at->backing);
	page = at->page - entry->backing->page;
	end = page + segment_pages(mapping, segment);
	while (page < end) {
		struct node node = node_at(page, end);
		struct link *link = next_link(entry);
		int error = -ENOMEM;

		if (link) {
			make_link(link, entry->slot, segment);
			error = put_in(entry->space, entry->backing, node, entry->id, entry->flags);
		}
		if (error)
			return error;
		mapping->linked++;
		page += node_pages(node);
	}
	return 0;
}

/* What the slot had for another mapping, and this one does not need: for others. */
static void give_surplus(const struct entry *entry)
{
	uint32_t first = *entry->next, end = first;

	if (!first)
		return;
	while (link_at(entry->space, end)->sibling)
		end = link_at(entry->space, end)->sibling;
	*entry->next = 0;
	stock_give(&entry->space->links, first, end);
}

static void begin_withdrawal(struct mapping *mapping)
{
	mapping->left = mapping->linked;
	mapping->out = 0;
	mapping->out_link = mapping->links;
}

int page_tree_enter(struct space *space, uint32_t slot, bool strict)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct entry entry = {
	        .space = space,
	        .mapping = mapping,
	        .slot = slot,
	        .flags = flags_of(mapping),
	        .next = &mapping->links,
	};
	int error = strict && is_any_segment_used(space, mapping) ? -EEXIST : 0;

	mapping->linked = 0;
	for (uint32_t segment = 0; segment < mapping->segments && !error; segment++) {
		if (strict && is_segment_used(space, mapping, segment)) /* by itself */
			error = -EEXIST;
		else
			error = enter_segment(&entry, segment);
	}
	give_surplus(&entry);
	begin_withdrawal(mapping);
	return error;
}

/* One on its way out. */
struct exit {
	struct space *space;
	struct mapping *mapping;
	struct backing *backing; /* of the last segment */
	enum { EXIT_GOES, EXIT_IS_HELD, EXIT_WAS_HELD } how;
};

static void withdraw_segment(struct exit *exit)
{
	struct space *space = exit->space;
	struct mapping *mapping = exit->mapping;
	const struct segment *all = mapping_segments(mapping), *at = &all[mapping->out];
	uint64_t page, end;

	if (!exit->backing || exit->backing->number != at->backing)
		exit->backing = space_backing(space, at->backing);
	page = at->page - exit->backing->page;
	end = page + segment_pages(mapping, mapping->out);
	if (exit->how != EXIT_WAS_HELD && (mapping->out == 0 || at->backing != all[mapping->out - 1].backing))
		announce(space, &exit->backing->tree, mapping->out_link);
	while (page < end && mapping->left > 0) {
		struct node node = node_at(page, end);
		uint32_t id = mapping->out_link;

		mapping->out_link = link_at(space, id)->sibling;
		mapping->left--;
		if (exit->how == EXIT_IS_HELD)
			hold(space, exit->backing, node, id);
		else
			take_out(space, exit->backing, node, id);
		page += node_pages(node);
	}
	mapping->out++;
}

void page_tree_withdraw(struct space *space, uint32_t slot, uint32_t *budget)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct exit exit = {.space = space, .mapping = mapping, .how = EXIT_GOES};

	if (mapping->linked == 0)
		exit.how = EXIT_WAS_HELD;
	else if (atomic_load_explicit(&mapping->held, memory_order_relaxed))
		exit.how = EXIT_IS_HELD;
	for (; mapping->left > 0 && *budget > 0; (*budget)--)
		withdraw_segment(&exit);
	if (mapping->left == 0 && exit.how == EXIT_IS_HELD) {
		begin_withdrawal(mapping); /* for when the last reference is put */
		mapping->linked = 0;
	}
}

static struct node node_of_page(const struct backing *backing, uint64_t page)
{
	return (struct node){0, page - backing->page};
}

int page_tree_enter_page(struct space *space, uint32_t slot, uint32_t segment, uint64_t page, uint32_t *out)
{
	struct backing *backing = space_find_backing(space, page);
	uint32_t id = stock_take(&space->links);
	int error;

	if (!id)
		return -ENOMEM;
	make_link(link_at(space, id), slot, segment);
	error = put_in(space, backing, node_of_page(backing, page), id, NODE_ODD);
	if (error)
		stock_give(&space->links, id, id);
	else
		*out = id;
	return error;
}

void page_tree_withdraw_page(struct space *space, uint64_t page, uint32_t link, bool held)
{
	struct backing *backing = space_find_backing(space, page);

	announce(space, &backing->tree, link);
	if (held)
		hold(space, backing, node_of_page(backing, page), link);
	else
		take_out(space, backing, node_of_page(backing, page), link);
}

void page_tree_take_out_page(struct space *space, uint64_t page, uint32_t link)
{
	struct backing *backing = space_find_backing(space, page);

	take_out(space, backing, node_of_page(backing, page), link);
}
