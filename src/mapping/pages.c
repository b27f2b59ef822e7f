/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/pages.h"

#include <stdatomic.h>
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

static int read_page(const uint64_t *from, uint64_t *page)
{
	uint64_t address = atomic_load_explicit((const _Atomic uint64_t *)from, memory_order_relaxed);

	if (address % IST_PAGE_SIZE)
		return -EINVAL;
	*page = address / IST_PAGE_SIZE;
	return 0;
}

int pages_copy(struct page_list *list, const uint64_t *from, uint64_t count)
{
	int error = 0;

	for (uint64_t i = 0; i < count && !error; i++) {
		uint64_t page;

		error = read_page(&from[i], &page);
		if (!error)
			error = pages_add(list, page, 1);
	}
	return error;
}

int pages_copy_numbers(const uint64_t *from, uint64_t count, uint64_t **out)
{
	uint64_t *copy = count <= SIZE_MAX / sizeof(*copy) ? malloc((size_t)count * sizeof(*copy)) : NULL;
	int error = 0;

	if (!copy)
		return -ENOMEM;
	for (uint64_t i = 0; i < count && !error; i++)
		error = read_page(&from[i], &copy[i]);
	if (error)
		free(copy);
	else
		*out = copy;
	return error;
}

uint64_t pages_needed(uint64_t offset, uint64_t size)
{
	uint64_t pages;

	if (size == 0 || size > UINT64_MAX - (IST_PAGE_SIZE - 1) - offset)
		return 0;
	pages = (offset + size + (IST_PAGE_SIZE - 1)) / IST_PAGE_SIZE;
	return pages <= PAGES_MAX ? pages : 0;
}
