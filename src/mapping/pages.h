/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A private copy of a list of pages, as stretches of consecutive ones. Made before anything is checked or locked. */
#ifndef MAPPING_PAGES_H
#define MAPPING_PAGES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <isthmus/types.h>

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
/* Room for more. False: no memory. */
bool pages_grow(struct page_list *list);

/* -ENOMEM */
static inline int pages_add(struct page_list *list, uint64_t page, uint64_t pages)
{
	struct extent *last = list->extent + list->count;

	list->pages += pages;
	if (list->count && last[-1].page + last[-1].pages == page) {
		last[-1].pages += pages;
		return 0;
	}
	if (list->count == list->room && !pages_grow(list))
		return -ENOMEM;
	list->extent[list->count++] = (struct extent){page, pages};
	return 0;
}

/*
 * The pages whose addresses stand in an array of somebody else's, which may change at any time: each word is read once, here and nowhere
 * else (of OP-TEE's lists wire.c has made a copy before). Added to a list, or as an array of page numbers for free(). -EINVAL: one is no multiple of IST_PAGE_SIZE; -ENOMEM.
 */
int pages_copy(struct page_list *list, const uint64_t *from, uint64_t count);
int pages_copy_numbers(const uint64_t *from, uint64_t count, uint64_t **out);

/* How many pages [offset, offset + size) touches, offset below a page; 0 if there are more than 2^40. */
uint64_t pages_needed(uint64_t offset, uint64_t size);

#endif
