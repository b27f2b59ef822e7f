/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A private copy of a list of pages, as stretches of consecutive ones. Made before anything is checked or locked. */
#ifndef MAPPING_PAGES_H
#define MAPPING_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
	uint64_t page, pages;
};

#define PAGES_FEW 32u

struct page_list {
	struct extent *extent; /* few, or from malloc */
	size_t count, room;
	uint64_t pages; /* in all */
	struct extent few[PAGES_FEW];
};

void pages_init(struct page_list *list);
void pages_drop(struct page_list *list);
/* -ENOMEM */
int pages_add(struct page_list *list, uint64_t page, uint64_t pages);

/*
 * The number of the page whose address stands at `from`, in an array of somebody else's: it is read once, here and nowhere
 * else, for it may change at any time. -EINVAL: not a multiple of IST_PAGE_SIZE.
 */
int pages_read(const uint64_t *from, uint64_t *page);

/* How many pages [offset, offset + size) touches, offset below a page; 0 if there are more than 2^40. */
uint64_t pages_needed(uint64_t offset, uint64_t size);

#endif
