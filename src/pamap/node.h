/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The nodes of the map, as readers see them.
 *
 * The space of page numbers is cut into regions of 2^30 pages (4 TiB), each with a B+tree of its own, so that a key
 * is 31 bits wide and never equal to the filler of unused keys. A tree holds *segments*: disjoint runs of pages, each
 * with the list of all mappings that cover it. A segment never crosses the range of pages that leads to its leaf.
 *
 * A mapping that overlaps no other and is one segment is packed into a word of the leaf (what else is known of it, into
 * `extra` beside). Any other list is a cover: an array of its own, oldest mapping first. Each entry of a cover has the
 * full extent of its mapping, so readers need not know where segments end.
 *
 * A block stands in the place of many leaves where single pages are dense: one word a page, found without search.
 *
 * What changes after publication, and what does not:
 *   - keys, extras and covers never do: an update copies the leaf and publishes the copy in its parent;
 *   - the child pointers of inner nodes, the roots, the words of a block and (only to 0, which means that the segment
 *     is gone) the words of a leaf do, each by one store.
 *   [pamap.P1] Each of these stores is a release, and each load of them by a reader an acquire: what the reader then finds
 *        behind the pointer, or in the palette of a block, was written before. Readers could do with the dependency
 *        from the pointer to what is behind it, but C11's consume is no weaker than acquire in any compiler; on ARM64
 *        the acquire is one ldar(pr) a level, which waits for nothing but itself.
 *        The slots of the hints (hints.h) are such pointers too, with a rule of their own, [pamap.P3].
 *   [pamap.P2] What was replaced is reused only after a grace period that began after the store which replaced it [rcu.G1].
 *
 * ABA: readers compare no pointer with another and retry nothing. The writer is alone.
 */
#ifndef PAMAP_NODE_H
#define PAMAP_NODE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/mutant.h"
#include "pamap/pamap.h"
#include "pamap/rank.h"

#define REGION_BITS 30u
#define REGION_LAST ((int32_t)((1u << REGION_BITS) - 1)) /* the last page of a region, as a key */
#define KEY_NONE INT32_MAX /* fills unused keys: above every page */
#ifndef LEAF_MAX /* models take smaller nodes */
#define LEAF_MAX 31u
#define INNER_MAX 62u
#define BLOCK_BITS 9u
#define NODE_ALIGN 128u
#endif
#define BLOCK_PAGES (1u << BLOCK_BITS)

/* A page as a key in its region. */
static inline int32_t in_region(uint64_t page)
{
	return (int32_t)(page & (uint64_t)REGION_LAST);
}

/* The first page of the block that a page is in. */
static inline int32_t block_first(int32_t page)
{
	return (int32_t)((uint32_t)page & ~(BLOCK_PAGES - 1));
}
#define PALETTE_MAX 14u /* ways to be {owner, attributes} in a block, numbered from 1 */
#define PALETTE_COVER 15u

/*
 * A pointer to a node with its kind in the lowest two bits; 0: no node. In the slot of a hint (hints.h) the five bits
 * above them may say where in a leaf to look first.
 */
typedef uintptr_t node_ref;
enum node_kind { NODE_LEAF, NODE_INNER, NODE_BLOCK };
#define NODE_GUESS_SHIFT 2u

struct leaf {
	int32_t key[LEAF_MAX + 1]; /* first page of each segment, ascending, then KEY_NONE */
	_Atomic uint64_t word[LEAF_MAX];
	uint32_t extra[LEAF_MAX];
	uint8_t count, live; /* the writer's: entries, and those that are not emptied */
	struct leaf *next; /* of nodes that are not in the tree, or no longer */
} __attribute__((aligned(NODE_ALIGN)));

struct inner {
	int32_t key[INNER_MAX + 2]; /* where the range of each child begins */
	_Atomic node_ref child[INNER_MAX];
	struct inner *next;
	uint8_t count;
} __attribute__((aligned(NODE_ALIGN)));

struct block {
	_Atomic uint64_t word[BLOCK_PAGES];
	uint32_t palette[PALETTE_MAX +
	                 2]; /* 0: unused; written before the first word that refers to it [pamap.P1] */
	struct block *next;
	uint16_t live;
} __attribute__((aligned(NODE_ALIGN)));

struct cover {
	struct cover *next;
	uint32_t count;
	struct pamap_entry entry[];
};

_Static_assert(LEAF_MAX != 31 || sizeof(struct leaf) == 512, "eight lines");
_Static_assert((LEAF_MAX + 1) << NODE_GUESS_SHIFT == NODE_ALIGN, "a guess fits beside the address");
_Static_assert(LEAF_MAX != 31 || sizeof(struct inner) == 768, "twelve lines");

static inline enum node_kind node_kind(node_ref ref)
{
	return (enum node_kind)(ref & 3u);
}

static inline struct leaf *node_leaf(node_ref ref)
{
	return (struct leaf *)(ref & ~(node_ref)(NODE_ALIGN - 1)); /* kind 0, and any guess */
}

static inline struct inner *node_inner(node_ref ref)
{
	return (struct inner *)(ref - NODE_INNER);
}

static inline struct block *node_block(node_ref ref)
{
	return (struct block *)(ref - NODE_BLOCK);
}

/* Which node a hint names; and the entry of a leaf that it guesses, or LEAF_MAX for none. */
static inline node_ref hint_node(node_ref hint)
{
	return hint & ~((node_ref)LEAF_MAX << NODE_GUESS_SHIFT);
}

static inline unsigned hint_guess(node_ref hint)
{
	return (unsigned)(hint >> NODE_GUESS_SHIFT) & LEAF_MAX;
}

static inline node_ref hint_make(node_ref node, unsigned guess)
{
	return node | (node_ref)guess << NODE_GUESS_SHIFT;
}

static inline node_ref leaf_ref(const struct leaf *leaf)
{
	return (node_ref)leaf;
}

static inline node_ref inner_ref(const struct inner *inner)
{
	return (node_ref)inner + NODE_INNER;
}

static inline node_ref block_ref(const struct block *block)
{
	return (node_ref)block + NODE_BLOCK;
}

/*
 * Start loading a line that will be needed. Not a prefetch: when the page is not in the TLB, which is the rule in a
 * large map, processors may drop that (measured: over a quarter of the latency at a million mappings). The load's
 * result is not used, so nothing waits for it.
 */
static inline void touch(const void *at)
{
	if (LEAF_MAX == 31) /* models take memory in one width alone */
		(void)atomic_load_explicit((const _Atomic uint32_t *)at, memory_order_relaxed);
}

static inline void node_touch(const void *node, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += CACHE_LINE)
		touch((const char *)node + at);
}

/* How many keys are not above x. */
static inline unsigned leaf_rank(const struct leaf *leaf, int32_t x)
{
	return rank_of_32(leaf->key, x + 1);
}

static inline unsigned inner_rank(const struct inner *inner, int32_t x)
{
	return rank_of_64(inner->key, x + 1);
}

/*
 * The word of a leaf, from the lowest bit: pages 12, owner 16, to 36; extra: handle 24, attributes 8.
 * With pages 0 it is a cover (its address, shifted by 8), and extra is the length of the segment less 1.
 */
#define WORD_PAGES_MAX 4095u
#define WORD_TO_MAX ((UINT64_C(1) << 36) - 1)
#define WORD_HANDLE_MAX ((1u << 24) - 1)
#define COVER_SHIFT 8u

static inline bool entry_fits_word(const struct pamap_entry *e)
{
	return e->pages <= WORD_PAGES_MAX && e->to <= WORD_TO_MAX && e->handle <= WORD_HANDLE_MAX;
}

static inline uint64_t word_make(const struct pamap_entry *e)
{
	return e->to << 28 | (uint64_t)e->owner << 12 | e->pages;
}

static inline uint32_t extra_make(const struct pamap_entry *e)
{
	return e->handle | (uint32_t)e->attributes << 24;
}

static inline uint64_t word_pages(uint64_t word)
{
	return word & WORD_PAGES_MAX;
}

static inline uint16_t word_owner(uint64_t word)
{
	return (uint16_t)(word >> 12);
}

static inline uint64_t word_to(uint64_t word)
{
	return word >> 28;
}

/* Malloc aligns to 16, and user space ends below 2^56. */
static inline uint64_t cover_word(const struct cover *cover)
{
	return (uint64_t)(uintptr_t)cover << COVER_SHIFT;
}

static inline struct cover *word_cover(uint64_t word)
{
	return (struct cover *)(uintptr_t)(word >> COVER_SHIFT);
}

/*
 * The word of a block, from the lowest bit: number in the palette 4 (0: no mapping), handle 24, to 36; or a cover:
 * PALETTE_COVER and its address.
 */
static inline unsigned block_word_palette(uint64_t word)
{
	return (unsigned)(word & 15u);
}

static inline uint64_t block_word_make(uint64_t to, uint32_t handle, unsigned palette)
{
	return to << 28 | (uint64_t)handle << 4 | palette;
}

static inline uint64_t block_word_to(uint64_t word)
{
	return word >> 28;
}

static inline uint32_t block_word_handle(uint64_t word)
{
	return (uint32_t)(word >> 4) & WORD_HANDLE_MAX;
}

static inline uint64_t block_cover_word(const struct cover *cover)
{
	return (uint64_t)(uintptr_t)cover << 4 | PALETTE_COVER;
}

static inline struct cover *block_word_cover(uint64_t word)
{
	return (struct cover *)(uintptr_t)(word >> 4);
}

#define PALETTE_USED (1u << 31)

static inline uint32_t palette_make(uint16_t owner, uint8_t attributes)
{
	return PALETTE_USED | (uint32_t)attributes << 16 | owner;
}

#endif
