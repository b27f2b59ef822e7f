/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the tree over a backing's pages is made of: backing/page_tree.h. */
#ifndef SPACE_NODES_H
#define SPACE_NODES_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "table/index.h"

#define PAGE_TREE_TOP 20u /* 2^40 pages */
#define PAGE_TREE_BLOCK_SHIFT 12u /* pages of a block: a tree of seven levels of its own */
#define PAGE_TREE_BLOCK_LEVELS 7u

#define NODE_GROUP (UINT32_C(1) << 31) /* of a group */
#define NODE_ODD                                                                                             \
	(UINT32_C(1)                                                                                         \
	 << 30) /* what is here need not be found, or not at the backing's own address: look closer */
#define NODE_HELD (UINT32_C(1) << 29) /* a link alone that is held; it is odd as well */
#define NODE_NUMBER (NODE_HELD - 1)

struct page_tree {
	uint64_t pages, blocks;
	_Atomic uint32_t used; /* bits: levels that have, or had, links */
	_Atomic(_Atomic uint32_t *) *block;
	_Atomic uint32_t *upper[PAGE_TREE_TOP + 1 - PAGE_TREE_BLOCK_LEVELS];
	struct index groups; /* by owner and node, under the lock of sharing.c */
	_Atomic uint64_t bytes;
	alignas(CACHE_LINE) _Atomic uint64_t ended; /* {number 32, link 32}: the last announcement */
};

/* A node in a backing. */
struct node {
	unsigned level;
	uint64_t index;
};

struct link {
	uint32_t sibling; /* the next one of the mapping; of unused ones; first, for table/stock.h */
	uint32_t slot, segment; /* of a range: the page in it */
};

/* What only a link in a group has, or one that was announced. */
struct link_more {
	uint32_t group;
	bool held; /* [backing.C3] */
	uint32_t previous; /* in the group's list */
	_Atomic uint32_t next;
	uint32_t left, right; /* in the group's tree */
	_Atomic uint32_t before; /* the announcement before this one */
	_Atomic uint32_t number; /* of the announcement */
};

/* How its place is told apart in groups. */
enum link_kind { LINK_IN_VIEW, LINK_ELSEWHERE, LINK_IN_RANGE };

/* How many pages it stands for. */
static inline uint64_t node_pages(struct node node)
{
	return UINT64_C(1) << 2 * node.level;
}

/* Where the nodes of a level begin in a block: behind all lower levels. */
static inline size_t page_tree_level_begin(unsigned level)
{
	return (((size_t)1 << 2 * PAGE_TREE_BLOCK_LEVELS) -
	        ((size_t)1 << 2 * (PAGE_TREE_BLOCK_LEVELS - level))) /
	       3;
}

static inline uint64_t page_tree_block_of(struct node node)
{
	return node.index >> (PAGE_TREE_BLOCK_SHIFT - 2 * node.level);
}

static inline size_t page_tree_word_in_block(struct node node)
{
	return page_tree_level_begin(node.level) +
	       (node.index & ((UINT64_C(1) << (PAGE_TREE_BLOCK_SHIFT - 2 * node.level)) - 1));
}

/* The node's word; null if it was never made. */
static inline _Atomic uint32_t *page_tree_word(const struct page_tree *tree, struct node node)
{
	_Atomic uint32_t *block;

	if (node.level >= PAGE_TREE_BLOCK_LEVELS)
		return tree->upper[node.level - PAGE_TREE_BLOCK_LEVELS] + node.index;
	/* Acquire: the block is zeroed before it is seen. */
	block = atomic_load_explicit(&tree->block[page_tree_block_of(node)], memory_order_acquire);
	return block ? block + page_tree_word_in_block(node) : NULL;
}

#endif
