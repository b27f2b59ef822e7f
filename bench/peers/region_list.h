/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Free space of one pool, kept apart from the pool: best fit by size, then the lowest address, with alignment, and
 * merged with both neighbours when space comes back. Two ordered trees over the free stretches, one by address and
 * one by size. No lock inside.
 */
#ifndef BENCH_PEERS_REGION_LIST_H
#define BENCH_PEERS_REGION_LIST_H

#include "tree.h"

#include <stdbool.h>
#include <stddef.h>

struct region_list {
	struct tree by_address, by_size;
	struct stretch *spare; /* unused nodes */
	struct stretch_slab *slabs; /* all node memory, for the end */
};

/* Start with [base, base + size) free. Returns false when there is no memory for bookkeeping. */
bool region_list_init(struct region_list *list, uintptr_t base, size_t size);
void region_list_fini(struct region_list *list);

/* Take `size` > 0 bytes at a multiple of `align`, a power of two. Returns 0 when nothing fits. */
uintptr_t region_list_take(struct region_list *list, size_t size, size_t align);

/* Give back what was taken, or any part of it. Returns false, with nothing changed, for space that is already free. */
bool region_list_give(struct region_list *list, uintptr_t base, size_t size);

#endif
