/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/pages.h"

#include <stdlib.h>
#include <string.h>

#include <isthmus/types.h>

#define PAGES_MAX (UINT64_C(1) << 40)

void pages_init(struct page_list *list)
{
	list->extent = list->few;
	list->count = 0;
	list->room = PAGES_FEW;
	list->pages = 0;
}

void pages_drop(struct page_list *list)
{
	if (list->extent != list->few)
		free(list->extent);
}

bool pages_grow(struct page_list *list)
{
	struct extent *made = malloc(2 * list->room * sizeof(*made));

	if (!made)
		return false;
	memcpy(made, list->extent, list->count * sizeof(*made));
	pages_drop(list);
	list->extent = made;
	list->room *= 2;
	return true;
}

uint64_t pages_needed(uint64_t offset, uint64_t size)
{
	uint64_t pages;

	if (size == 0 || size > UINT64_MAX - (IST_PAGE_SIZE - 1) - offset)
		return 0;
	pages = (offset + size + (IST_PAGE_SIZE - 1)) / IST_PAGE_SIZE;
	return pages <= PAGES_MAX ? pages : 0;
}
