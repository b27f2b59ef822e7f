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
 *   [backing.C1] A link is in its node from a compare-exchange (release: with all of the mapping behind it) until one that takes it out.
 *        Between the two, lookups that read the node find it: they linearize where they read the node. A link, its mapping and
 *        its group are not used again until a grace period after they were taken out, so in a read section they stay what they were.
 *   [backing.C2] A lookup of a page reads one node a level, one after the other. It would miss a page that is registered all the time, if
 *        one mapping of it comes in a node that was read already and then another goes from one that was not. So before
 *        a link is taken out it is *announced*: pushed on a list of the backing, with a number. A lookup that finds nothing
 *        remembers the number, reads the nodes again, and if it finds nothing again looks through what was announced meanwhile.
 *        If one of these holds the page it is the answer: it was registered after the lookup began. If not, no
 *        mapping that held the page when the number was read has gone since, so the nodes would have shown it: there was none.
 *        Release of the announcement, and of the word that is taken out after it, pair with the acquires of the lookup.
 *        The list is walked while numbers fall and are above the remembered one: those links were announced inside this read
 *        section, so they are not used again. The first other one ends the walk, whatever it has become. Numbers have 32
 *        bits: a lookup would have to stop for 2^31 announcements.
 *   [backing.C3] A link whose mapping is unregistered but referenced is *held*: it stays, so that the pages count as mapped, and is
 *        not found. Alone in its node, the word says so; in a group, it is out of the group's list.
 *
 * A thread that stops in a lookup holds back the limbo. One that stops between an announcement and the removal leaves the
 * pages found. Whoever enters or withdraws a mapping has the lock of its owner, or (the last put) has it alone; nodes are
 * shared by owners, so their words change by compare-exchange, and those with groups under a lock of sharing.c, held for log n
 * of a group's links.
 */
#ifndef BACKING_PAGE_TREE_H
#define BACKING_PAGE_TREE_H

#include "space/space.h"

/* -ENOMEM */
int page_tree_init(struct page_tree *tree, uint64_t pages);
void page_tree_drop(struct page_tree *tree);

/* Whether anything is linked that has a page of [first, first + pages), found or held. */
bool page_tree_is_used(const struct page_tree *tree, uint64_t first, uint64_t pages);

/* All of a mapping's segments. -ENOMEM; strict: -EEXIST if a page is in use, or twice in it; and then page_tree_withdraw. */
int page_tree_enter(struct space *space, uint32_t slot, bool strict);
/*
 * Out again; *budget is what is left of so many segments, and mapping->left is 0 when all are out. Of a mapping that is `held`
 * the links stay, as held ones, and the second time around are taken out.
 */
void page_tree_withdraw(struct space *space, uint32_t slot, uint32_t *budget);

/* The same for one link, of a page of a range. */
int page_tree_enter_page(struct space *space, uint32_t slot, uint32_t segment, uint64_t page, uint32_t *link);
void page_tree_withdraw_page(struct space *space, uint64_t page, uint32_t link, bool hold);
void page_tree_take_out_page(struct space *space, uint64_t page, uint32_t link); /* that was held */

/* sharing.c: into and out of a node that has others. page_tree_join: -ENOMEM. */
int page_tree_join(struct space *space, struct backing *backing, struct node node, uint32_t link);
void page_tree_part(struct space *space, struct backing *backing, uint32_t link);
void page_tree_hold(struct space *space, struct backing *backing, uint32_t link);

#endif
