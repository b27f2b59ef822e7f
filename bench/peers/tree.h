/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * An intrusive ordered tree: a treap, so every operation takes O(log n) steps in expectation whatever the order of
 * the keys. Keys are pairs of numbers, compared by the first, then the second; no two nodes of a tree may be equal.
 */
#ifndef BENCH_PEERS_TREE_H
#define BENCH_PEERS_TREE_H

#include <stdint.h>

struct tree_node {
	struct tree_node *parent, *child[2]; /* child[0] holds the smaller keys */
	uint64_t first, second;
	uint32_t priority; /* a parent's is never below its children's */
};

struct tree {
	struct tree_node *root;
	uint64_t random; /* state of the priorities; any number */
};

/* The keys of the node are set by the caller, the rest here. */
void tree_insert(struct tree *tree, struct tree_node *node);
void tree_remove(struct tree *tree, struct tree_node *node);

/* The smallest node that is not below (first, second), or null. */
struct tree_node *tree_at_least(const struct tree *tree, uint64_t first, uint64_t second);
/* The largest node that is below (first, second), or null. */
struct tree_node *tree_below(const struct tree *tree, uint64_t first, uint64_t second);
/* The next larger node, or null. */
struct tree_node *tree_next(const struct tree_node *node);

#endif
