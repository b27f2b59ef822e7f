/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What stands in the pages of a reserved range (mapping/range.c): an array of words beside its record, and one of links. */
#ifndef SPACE_RANGE_WORDS_H
#define SPACE_RANGE_WORDS_H

#include "space/space.h"

/*
 * What is in a page of a range: {attributes 8, RANGE_LEAVING 1, physical page + 1}, or 0. RANGE_LEAVING: out of its node, and readers are
 * waited for. Beside it the page's link.
 */
#define RANGE_ATTRIBUTES_SHIFT 56u
#define RANGE_LEAVING (UINT64_C(1) << 55)
#define RANGE_PAGE (RANGE_LEAVING - 1)

static inline uint64_t range_word(const struct mapping *mapping, uint64_t at)
{
	return atomic_load_explicit(&mapping->range[at], memory_order_relaxed);
}

static inline void range_set_word(struct mapping *mapping, uint64_t at, uint64_t word)
{
	atomic_store_explicit(&mapping->range[at], word, memory_order_relaxed);
}

static inline uint64_t range_array_bytes(const struct mapping *mapping)
{
	return mapping->pages * (sizeof(uint64_t) + sizeof(uint32_t));
}

/* The physical address of that page; false: there is none. */
bool range_page(const struct mapping *mapping, uint64_t at, uint64_t *page);
/* Whether page `at` of a range is physical page `first`, and so on to `last`. In a read section, or under the lock. */
bool range_holds(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last);
/* The same, also of what is leaving. */
bool range_held(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last);
void range_give_link(struct space *space, struct mapping *mapping, uint64_t at);
/* When nobody can know it any more: its arrays. */
void range_drop(struct space *space, struct mapping *mapping);

#endif
