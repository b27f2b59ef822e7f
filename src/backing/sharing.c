/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Nodes that several mappings have. Their links are in groups, one for each owner and for each kind of place (in the views of
 * backings or elsewhere), in the order in which those came. A group is a list of links, oldest first, and a tree of the same
 * links (a treap) by how far their segments reach: a lookup looks at the first of the list and at the one that reaches
 * furthest, which holds all pages that any of them holds. So nothing that one owner has makes another one's lookup longer,
 * and coming and going costs log n of the links in the group.
 *
 * The word of a node with groups is changed under the lock alone; readers follow it as it is [backing.C1]. A group stays until its last
 * link is gone, also a held one, and is used again with the link that it went with.
 */
#include "backing/sharing.h"

#include <errno.h>

#include "backing/page_tree.h"

static pthread_mutex_t *lock_of(struct space *space, const struct backing *backing)
{
	return &space->sharing[backing->number % SPACE_SHARING];
}

/* The group's tree. */

static uint32_t priority(const struct space *space, uint32_t link)
{
	uint64_t mixed = (link ^ space->secret) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

static uint64_t reach_of(struct space *space, uint32_t id)
{
	const struct link *link = link_at(space, id);
	const struct mapping *mapping = mapping_at(space, link->slot);

	return mapping->kind == MAPPING_RANGE ? 0 : segment_reach(space, mapping, link->segment);
}

/* What the links are ordered by. */
struct order {
	uint64_t reach;
	uint32_t link;
};

static bool is_before(struct space *space, uint32_t link, struct order order)
{
	uint64_t reach = reach_of(space, link);

	return reach != order.reach ? reach < order.reach : link < order.link;
}

/* Split the tree `from` into what is before and what is not, as the two subtrees of the link. */
static void split(struct space *space, uint32_t from, struct order order)
{
	uint32_t *before = &link_more(space, order.link)->left,
	         *behind = &link_more(space, order.link)->right;

	while (from) {
		struct link_more *link = link_more(space, from);

		if (is_before(space, from, order)) {
			*before = from;
			before = &link->right;
			from = *before;
		} else {
			*behind = from;
			behind = &link->left;
			from = *behind;
		}
	}
	*before = *behind = 0;
}

static void tree_insert(struct space *space, uint32_t *root, uint32_t id)
{
	struct order order = {reach_of(space, id), id};
	uint32_t rank = priority(space, id), from;

	while (*root && priority(space, *root) >= rank) {
		struct link_more *link = link_more(space, *root);

		root = is_before(space, *root, order) ? &link->right : &link->left;
	}
	from = *root;
	*root = id;
	split(space, from, order);
}

static void tree_remove(struct space *space, uint32_t *root, uint32_t id)
{
	struct order order = {reach_of(space, id), id};
	uint32_t left, right;

	while (*root != id) {
		struct link_more *link = link_more(space, *root);

		root = is_before(space, *root, order) ? &link->right : &link->left;
	}
	left = link_more(space, id)->left;
	right = link_more(space, id)->right;
	while (left && right) {
		if (priority(space, left) >= priority(space, right)) {
			*root = left;
			root = &link_more(space, left)->right;
			left = *root;
		} else {
			*root = right;
			root = &link_more(space, right)->left;
			right = *root;
		}
	}
	*root = left ? left : right;
}

static uint32_t tree_last(struct space *space, uint32_t root)
{
	while (root && link_more(space, root)->right)
		root = link_more(space, root)->right;
	return root;
}

/* Groups. */

struct group_query {
	struct space *space;
	struct node node;
	uint32_t owner;
	enum link_kind kind;
};

static bool is_group(void *context, uint32_t number)
{
	const struct group_query *query = context;
	const struct group *group = group_at(query->space, number);

	return group->owner == query->owner && group->kind == query->kind &&
	       group->node.level == query->node.level && group->node.index == query->node.index;
}

static uint32_t hash_of(struct page_tree *tree, const struct group_query *query)
{
	return index_hash(&tree->groups, (uint64_t)query->node.level << 58 ^ query->node.index,
	                  (uint64_t)query->owner << 2 | query->kind);
}

uint32_t group_find(struct space *space, struct page_tree *tree, struct node node, uint32_t owner,
                    enum link_kind kind)
{
	struct group_query query = {space, node, owner, kind};

	return index_find(&tree->groups, hash_of(tree, &query), is_group, &query);
}

static struct group_query query_of(struct space *space, struct node node, uint32_t id)
{
	const struct mapping *mapping = mapping_at(space, link_at(space, id)->slot);

	return (struct group_query){space, node, mapping->owner, mapping_link_kind(mapping)};
}

/* A group without links, in no list. 0: no memory. */
static uint32_t make_group(struct space *space, struct page_tree *tree, const struct group_query *query)
{
	uint32_t number = stock_take(&space->groups);
	struct group *group = group_at(space, number);

	if (!number)
		return 0;
	group->owner = query->owner;
	group->kind = query->kind;
	group->node = query->node;
	group->held = group->last = group->root = group->previous = group->tail = 0;
	atomic_store_explicit(&group->first, 0, memory_order_relaxed);
	atomic_store_explicit(&group->furthest, 0, memory_order_relaxed);
	atomic_store_explicit(&group->next, 0, memory_order_relaxed);
	if (index_insert(&tree->groups, hash_of(tree, query), number) == 0)
		return number;
	stock_give(&space->groups, number, number);
	return 0;
}

/* What an old announcement says of the link stays: [backing.C2]. */
static void enter_group(struct space *space, uint32_t id, uint32_t number, bool held)
{
	struct link_more *link = link_more(space, id);

	link->group = number;
	link->held = held;
	link->previous = link->left = link->right = 0;
	atomic_store_explicit(&link->next, 0, memory_order_relaxed);
}

static void add_link(struct space *space, struct group *group, uint32_t number, uint32_t id)
{
	struct link_more *link = link_more(space, id);

	enter_group(space, id, number, false);
	link->previous = group->last;
	tree_insert(space, &group->root, id);
	/* Release: with the link and its mapping. */
	if (group->last)
		atomic_store_explicit(&link_more(space, group->last)->next, id, memory_order_release);
	else
		atomic_store_explicit(&group->first, id, memory_order_release);
	group->last = id;
	atomic_store_explicit(&group->furthest, tree_last(space, group->root), memory_order_release);
}

static void remove_link(struct space *space, struct group *group, uint32_t id)
{
	struct link_more *link = link_more(space, id);
	uint32_t next = atomic_load_explicit(&link->next, memory_order_relaxed);

	tree_remove(space, &group->root, id);
	/* Release: after the announcement [backing.C2]. */
	atomic_store_explicit(&group->furthest, tree_last(space, group->root), memory_order_release);
	if (link->previous)
		atomic_store_explicit(&link_more(space, link->previous)->next, next, memory_order_release);
	else
		atomic_store_explicit(&group->first, next, memory_order_release);
	if (next)
		link_more(space, next)->previous = link->previous;
	else
		group->last = link->previous;
}

void groups_give(struct space *space, uint32_t *list)
{
	uint32_t first = *list, last = first;

	if (!first)
		return;
	while (group_at(space, last)->spare)
		last = group_at(space, last)->spare;
	stock_give(&space->groups, first, last);
	*list = 0;
}

/* The group goes with the link's mapping: until that is used again, readers may know either. */
static void die_with(struct space *space, uint32_t number, uint32_t id)
{
	struct mapping *mapping = mapping_at(space, link_at(space, id)->slot);

	group_at(space, number)->spare = mapping->dead;
	mapping->dead = number;
}

/* The one link of a node becomes a group, unless it is gone, or a group, by now. For the link `for_whom`. -ENOMEM */
static int convert(struct space *space, struct page_tree *tree, struct node node, uint32_t alone,
                   uint32_t for_whom)
{
	_Atomic uint32_t *word = page_tree_word(tree, node);
	uint32_t id = alone & NODE_NUMBER;
	struct group_query query = query_of(space, node, id);
	uint32_t number = make_group(space, tree, &query);
	struct group *group = group_at(space, number);

	if (!number)
		return -ENOMEM;
	/* If it leaves meanwhile nobody reads this: it is not used again before our read section ends. */
	enter_group(space, id, number, (alone & NODE_HELD) != 0);
	group->tail = number;
	if (alone & NODE_HELD) {
		group->held = 1;
	} else {
		group->last = group->root = id;
		atomic_store_explicit(&group->first, id, memory_order_relaxed);
		atomic_store_explicit(&group->furthest, id, memory_order_relaxed);
	}
	if (atomic_compare_exchange_strong_explicit(word, &alone, NODE_GROUP | NODE_ODD | number,
	                                            memory_order_release, memory_order_relaxed)) {
		return 0;
	}
	index_remove(&tree->groups, hash_of(tree, &query), number);
	die_with(space, number, for_whom);
	return 0;
}

/* The group for the link, in the list that begins with `head`. */
static int join_groups(struct space *space, struct page_tree *tree, struct node node, uint32_t head,
                       uint32_t id)
{
	struct group_query query = query_of(space, node, id);
	uint32_t number = group_find(space, tree, node, query.owner, query.kind);
	struct group *first = group_at(space, head), *group;

	if (number) {
		add_link(space, group_at(space, number), number, id);
		return 0;
	}
	number = make_group(space, tree, &query);
	if (!number)
		return -ENOMEM;
	group = group_at(space, number);
	add_link(space, group, number, id);
	group->previous = first->tail;
	atomic_store_explicit(&group_at(space, first->tail)->next, number,
	                      memory_order_release); /* with its link */
	first->tail = number;
	return 0;
}

static int join(struct space *space, struct page_tree *tree, struct node node, uint32_t id)
{
	_Atomic uint32_t *word = page_tree_word(tree, node);

	for (;;) {
		uint32_t found = atomic_load_explicit(word, memory_order_acquire); /* [backing.C1] */
		uint32_t flag = query_of(space, node, id).kind == LINK_IN_VIEW ? 0 : NODE_ODD;

		if (found & NODE_GROUP)
			return join_groups(space, tree, node, found & NODE_NUMBER, id);
		if (found == 0) {
			if (atomic_compare_exchange_strong_explicit(
			            word, &found, id | flag, memory_order_release, memory_order_relaxed))
				return 0;
		} else if (convert(space, tree, node, found, id)) {
			return -ENOMEM;
		}
	}
}

int page_tree_join(struct space *space, struct backing *backing, struct node node, uint32_t link)
{
	int error;

	rcu_enter(); /* a link that leaves the node meanwhile is not used again */
	pthread_mutex_lock(lock_of(space, backing));
	error = join(space, &backing->tree, node, link);
	pthread_mutex_unlock(lock_of(space, backing));
	rcu_leave();
	return error;
}

/* A group that has nothing any more, out of the node and the index. */
static void drop_group(struct space *space, struct page_tree *tree, uint32_t number)
{
	struct group *group = group_at(space, number);
	struct group_query query = {space, group->node, group->owner, group->kind};
	_Atomic uint32_t *word = page_tree_word(tree, group->node);
	uint32_t next = atomic_load_explicit(&group->next, memory_order_relaxed);
	struct group *head = group_at(space, atomic_load_explicit(word, memory_order_relaxed) & NODE_NUMBER);

	if (next)
		group_at(space, next)->previous = group->previous;
	else if (group->previous)
		head->tail = group->previous;
	if (group->previous) {
		atomic_store_explicit(&group_at(space, group->previous)->next, next, memory_order_release);
	} else {
		if (next)
			group_at(space, next)->tail = group->tail;
		atomic_store_explicit(word, next ? NODE_GROUP | NODE_ODD | next : 0,
		                      memory_order_release); /* [backing.C2] */
	}
	index_remove(&tree->groups, hash_of(tree, &query), number);
}

static void part(struct space *space, struct page_tree *tree, uint32_t id)
{
	struct link_more *link = link_more(space, id);
	uint32_t number = link->group;
	struct group *group = group_at(space, number);

	if (link->held)
		group->held--;
	else
		remove_link(space, group, id);
	link->group = 0;
	if (group->held || group->root)
		return;
	drop_group(space, tree, number);
	die_with(space, number, id);
}

void page_tree_part(struct space *space, struct backing *backing, uint32_t link)
{
	pthread_mutex_lock(lock_of(space, backing));
	part(space, &backing->tree, link);
	pthread_mutex_unlock(lock_of(space, backing));
}

void page_tree_hold(struct space *space, struct backing *backing, uint32_t link)
{
	struct group *group;

	pthread_mutex_lock(lock_of(space, backing));
	group = group_at(space, link_more(space, link)->group);
	remove_link(space, group, link);
	link_more(space, link)->held = true;
	group->held++;
	pthread_mutex_unlock(lock_of(space, backing));
}
