/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What is registered of a backing. Its pages are the leaves of a tree of four branches a node: a node of level n stands for 4^n
 * pages. A stretch of pages is the few largest nodes that make it up, at most six a level; each has a *link* to the mapping.
 * Registering and unregistering a stretch costs that much and no more, whatever else is registered there, and so does a lookup: the
 * nodes above a page are one a level.
 *
 * A node is a word: 0; the number of the one link there; or the number of the first *group* of links (sharing.c), where several
 * mappings have just that node. Nodes are made with the first link in their block of 4096 pages, and stay as long as the backing.
 *
 *   [mapping.C1] A link is in its node from a compare-exchange (release: with all of the mapping behind it) until one that takes it out.
 *        Between the two, lookups that read the node find it: they linearize where they read the node. A link, its mapping and
 *        its group are not used again until a grace period after they were taken out, so in a read section they stay what they were.
 *   [mapping.C2] A lookup of a page reads one node a level, one after the other. It would miss a page that is registered all the time, if
 *        one mapping of it comes in a node that was read already and then another goes from one that was not. So before
 *        a link is taken out it is *announced*: pushed on a list of the backing, with a number. A lookup that finds nothing
 *        remembers the number, reads the nodes again, and if it finds nothing again looks through what was announced meanwhile.
 *        If one of these holds the page it is the answer: it was registered after the lookup began. If not, no
 *        mapping that held the page when the number was read has gone since, so the nodes would have shown it: there was none.
 *        Release of the announcement, and of the word that is taken out after it, pair with the acquires of the lookup.
 *        The list is walked while numbers fall and are above the remembered one: those links were announced inside this read
 *        section, so they are not used again. The first other one ends the walk, whatever it has become. Numbers have 32
 *        bits: a lookup would have to stop for 2^31 announcements.
 *   [mapping.C3] A link whose mapping is unregistered but referenced is *held*: it stays, so that the pages count as mapped, and is
 *        not found. Alone in its node, the word says so; in a group, it is out of the group's list.
 *
 * A thread that stops in a lookup holds back the limbo. One that stops between an announcement and the removal leaves the
 * pages found. Whoever enters or withdraws a mapping has the lock of its owner, or (the last put) has it alone; nodes are
 * shared by owners, so their words change by compare-exchange, and those with groups under a lock of sharing.c, held for log n
 * of a group's links.
 */
#ifndef MAPPING_COVER_H
#define MAPPING_COVER_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "table/index.h"

struct space;
struct backing;
struct mapping;

#define COVER_TOP 20u /* 2^40 pages */
#define COVER_BLOCK_SHIFT 12u /* pages of a block: a tree of seven levels of its own */
#define COVER_BLOCK_LEVELS 7u

#define NODE_GROUP (UINT32_C(1) << 31) /* of a group */
#define NODE_ODD                                                                                             \
	(UINT32_C(1)                                                                                         \
	 << 30) /* what is here need not be found, or not at the backing's own address: look closer */
#define NODE_HELD (UINT32_C(1) << 29) /* a link alone that is held; it is odd as well */
#define NODE_NUMBER (NODE_HELD - 1)

struct cover {
	uint64_t pages, blocks;
	_Atomic uint32_t used; /* bits: levels that have, or had, links */
	_Atomic(_Atomic uint32_t *) *block;
	_Atomic uint32_t *upper[COVER_TOP + 1 - COVER_BLOCK_LEVELS];
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
	bool held; /* [mapping.C3] */
	uint32_t previous; /* in the group's list */
	_Atomic uint32_t next;
	uint32_t left, right; /* in the group's tree */
	_Atomic uint32_t before; /* the announcement before this one */
	_Atomic uint32_t number; /* of the announcement */
};

/* -ENOMEM */
int cover_init(struct cover *cover, uint64_t pages);
void cover_drop(struct cover *cover);

/* How many pages it stands for. */
static inline uint64_t node_pages(struct node node)
{
	return UINT64_C(1) << 2 * node.level;
}

/* Where the nodes of a level begin in a block: behind all lower levels. */
static inline size_t cover_level_begin(unsigned level)
{
	return (((size_t)1 << 2 * COVER_BLOCK_LEVELS) - ((size_t)1 << 2 * (COVER_BLOCK_LEVELS - level))) / 3;
}

static inline uint64_t cover_block_of(struct node node)
{
	return node.index >> (COVER_BLOCK_SHIFT - 2 * node.level);
}

static inline size_t cover_word_in_block(struct node node)
{
	return cover_level_begin(node.level) +
	       (node.index & ((UINT64_C(1) << (COVER_BLOCK_SHIFT - 2 * node.level)) - 1));
}

/* The node's word; null if it was never made. */
static inline _Atomic uint32_t *cover_word(const struct cover *cover, struct node node)
{
	_Atomic uint32_t *block;

	if (node.level >= COVER_BLOCK_LEVELS)
		return cover->upper[node.level - COVER_BLOCK_LEVELS] + node.index;
	/* Acquire: the block is zeroed before it is seen. */
	block = atomic_load_explicit(&cover->block[cover_block_of(node)], memory_order_acquire);
	return block ? block + cover_word_in_block(node) : NULL;
}

/* Whether anything is linked that has a page of [first, first + pages), found or held. */
bool cover_is_used(const struct cover *cover, uint64_t first, uint64_t pages);

/* All of a mapping's segments. -ENOMEM; strict: -EEXIST if a page is in use, or twice in it; and then cover_withdraw. */
int cover_enter(struct space *space, uint32_t slot, bool strict);
/*
 * Out again; *budget is what is left of so many segments, and mapping->left is 0 when all are out. Of a mapping that is `held`
 * the links stay, as held ones, and the second time around are taken out.
 */
void cover_withdraw(struct space *space, uint32_t slot, uint32_t *budget);

/* The same for one link, of a page of a range. */
int cover_enter_page(struct space *space, uint32_t slot, uint32_t segment, uint64_t page, uint32_t *link);
void cover_withdraw_page(struct space *space, uint64_t page, uint32_t link, bool hold);
void cover_take_out_page(struct space *space, uint64_t page, uint32_t link); /* that was held */

/* How its place is told apart in groups. */
enum link_kind { LINK_IN_VIEW, LINK_ELSEWHERE, LINK_IN_RANGE };

/* sharing.c: into and out of a node that has others. cover_join: -ENOMEM. */
int cover_join(struct space *space, struct backing *backing, struct node node, uint32_t link);
void cover_part(struct space *space, struct backing *backing, uint32_t link);
void cover_hold(struct space *space, struct backing *backing, uint32_t link);

#endif
