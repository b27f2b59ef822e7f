/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Groups of links in one node: see sharing.c. Lookups read them in read sections. */
#ifndef BACKING_SHARING_H
#define BACKING_SHARING_H

#include "space/space.h"

struct group {
	uint32_t spare; /* first, for table/stock.h */
	uint32_t owner; /* number */
	enum link_kind kind;
	struct node node;
	_Atomic uint32_t first, furthest; /* links */
	uint32_t last, root;
	uint32_t held; /* links that are held [backing.C3] */
	_Atomic uint32_t next; /* of the node's groups */
	uint32_t previous, tail; /* tail: of the first group alone */
};

static inline struct group *group_at(struct space *space, uint32_t number)
{
	return slots_at(&space->groups.slots, number);
}

/* The group of that owner at the node, or 0. */
uint32_t group_find(struct space *space, struct page_tree *tree, struct node node, uint32_t owner,
                    enum link_kind kind);

/* A list of groups that nobody knows any more. */
void groups_give(struct space *space, uint32_t *list);

#endif
