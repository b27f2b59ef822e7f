/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "lib/random.h"
#include "tree.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_below(const struct tree_node *node, uint64_t first, uint64_t second)
{
	return node->first < first || (node->first == first && node->second < second);
}

/* The pointer that holds `node`: the root, or a child of its parent. */
static struct tree_node **holder(struct tree *tree, struct tree_node *node)
{
	if (!node->parent)
		return &tree->root;
	return &node->parent->child[node->parent->child[1] == node];
}

/* Put the child of the given side in the place of `node`, which becomes that child's other child. */
static void rotate_up(struct tree *tree, struct tree_node *node, int side)
{
	struct tree_node *up = node->child[side];

	*holder(tree, node) = up;
	up->parent = node->parent;
	node->child[side] = up->child[!side];
	if (node->child[side])
		node->child[side]->parent = node;
	up->child[!side] = node;
	node->parent = up;
}

void tree_insert(struct tree *tree, struct tree_node *node)
{
	struct tree_node **place = &tree->root;

	node->priority = (uint32_t)random_next(&tree->random);
	node->parent = node->child[0] = node->child[1] = NULL;
	while (*place) {
		node->parent = *place;
		place = &(*place)->child[is_below(*place, node->first, node->second)];
	}
	*place = node;
	while (node->parent && node->parent->priority < node->priority)
		rotate_up(tree, node->parent, node->parent->child[1] == node);
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	struct tree_node *only;

	while (node->child[0] && node->child[1])
		rotate_up(tree, node, node->child[1]->priority > node->child[0]->priority);
	only = node->child[0] ? node->child[0] : node->child[1];
	*holder(tree, node) = only;
	if (only)
		only->parent = node->parent;
}

struct tree_node *tree_at_least(const struct tree *tree, uint64_t first, uint64_t second)
{
	struct tree_node *node = tree->root, *best = NULL;

	while (node) {
		bool below = is_below(node, first, second);

		if (!below)
			best = node;
		node = node->child[below];
	}
	return best;
}

struct tree_node *tree_below(const struct tree *tree, uint64_t first, uint64_t second)
{
	struct tree_node *node = tree->root, *best = NULL;

	while (node) {
		bool below = is_below(node, first, second);

		if (below)
			best = node;
		node = node->child[below];
	}
	return best;
}

struct tree_node *tree_next(const struct tree_node *node)
{
	struct tree_node *next = node->child[1];

	if (next) {
		while (next->child[0])
			next = next->child[0];
		return next;
	}
	while (node->parent && node->parent->child[1] == node)
		node = node->parent;
	return node->parent;
}
