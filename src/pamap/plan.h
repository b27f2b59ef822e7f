/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Updates that meet overlaps, or reach over more than one leaf: first a plan of what every leaf concerned will hold,
 * which takes all memory that it will need and changes nothing; then its execution, which cannot fail.
 */
#ifndef PAMAP_PLAN_H
#define PAMAP_PLAN_H

#include "pamap/map.h"
#include "pamap/tree.h"

enum plan_kind { PLAN_ADD, PLAN_DROP, PLAN_SWAP };

struct plan_op {
	enum plan_kind kind;
	/* PLAN_ADD: the new one; else the one that goes: the oldest equal one. */
	const struct pamap_entry *entry;
	const struct pamap_entry *with; /* PLAN_SWAP */
	unsigned flags;
};

/* Under the map's mutex. 0, -ENOMEM, -EEXIST, -EMLINK, or -ENOENT. */
int plan_run(struct pamap *map, const struct plan_op *op);

bool entry_equal(const struct pamap_entry *a, const struct pamap_entry *b);

/* The list of mappings of one segment: a cover's array, or the one entry of a word, put together in *one. */
struct list {
	const struct pamap_entry *entry;
	uint32_t count;
};
struct list leaf_list(uint64_t page, uint64_t word, uint32_t extra, struct pamap_entry *one);
struct list block_list(const struct block *block, uint64_t page, uint64_t word, struct pamap_entry *one);

#endif
