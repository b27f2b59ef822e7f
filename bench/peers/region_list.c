/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "region_list.h"

#include <stdlib.h>

struct stretch {
	struct tree_node by_address; /* key: address, 0 */
	struct tree_node by_size; /* key: size, address */
	struct stretch *next_spare;
};

#define SLAB_STRETCHES 32

struct stretch_slab {
	struct stretch_slab *next;
	struct stretch stretches[SLAB_STRETCHES];
};

static struct stretch *from_address(struct tree_node *node)
{
	return (struct stretch *)(void *)((char *)node - offsetof(struct stretch, by_address));
}

static struct stretch *from_size(struct tree_node *node)
{
	return (struct stretch *)(void *)((char *)node - offsetof(struct stretch, by_size));
}

/* At least `count` spare nodes, so that nothing can fail half-way through an operation. */
static bool reserve(struct region_list *list, unsigned int count)
{
	const struct stretch *node = list->spare;
	struct stretch_slab *slab;
	unsigned int i;

	for (i = 0; i < count && node; i++)
		node = node->next_spare;
	if (i == count)
		return true;
	slab = calloc(1, sizeof(*slab));
	if (!slab)
		return false;
	slab->next = list->slabs;
	list->slabs = slab;
	for (i = 0; i < SLAB_STRETCHES; i++) {
		slab->stretches[i].next_spare = list->spare;
		list->spare = &slab->stretches[i];
	}
	return true;
}

static void add(struct region_list *list, uintptr_t base, size_t size)
{
	struct stretch *stretch = list->spare;

	list->spare = stretch->next_spare;
	stretch->by_address.first = base;
	stretch->by_address.second = 0;
	stretch->by_size.first = size;
	stretch->by_size.second = base;
	tree_insert(&list->by_address, &stretch->by_address);
	tree_insert(&list->by_size, &stretch->by_size);
}

static void drop(struct region_list *list, struct stretch *stretch)
{
	tree_remove(&list->by_address, &stretch->by_address);
	tree_remove(&list->by_size, &stretch->by_size);
	stretch->next_spare = list->spare;
	list->spare = stretch;
}

bool region_list_init(struct region_list *list, uintptr_t base, size_t size)
{
	*list = (struct region_list){.by_address.random = 1, .by_size.random = 2};
	if (!reserve(list, 1))
		return false;
	add(list, base, size);
	return true;
}

void region_list_fini(struct region_list *list)
{
	while (list->slabs) {
		struct stretch_slab *slab = list->slabs;

		list->slabs = slab->next;
		free(slab);
	}
	*list = (struct region_list){0};
}

uintptr_t region_list_take(struct region_list *list, size_t size, size_t align)
{
	struct tree_node *node;

	if (!reserve(list, 2))
		return 0;
	for (node = tree_at_least(&list->by_size, size, 0); node; node = tree_next(node)) {
		uintptr_t base = node->second, end = base + node->first;
		uintptr_t start = (base + align - 1) & ~(uintptr_t)(align - 1);

		if (start < base || start > end || end - start < size)
			continue;
		drop(list, from_size(node));
		if (start > base)
			add(list, base, start - base);
		if (end > start + size)
			add(list, start + size, end - (start + size));
		return start;
	}
	return 0;
}

bool region_list_give(struct region_list *list, uintptr_t base, size_t size)
{
	struct tree_node *node = tree_below(&list->by_address, base, 0);
	struct stretch *before = node ? from_address(node) : NULL, *after;
	uintptr_t end = base + size;

	node = tree_at_least(&list->by_address, base, 0);
	after = node ? from_address(node) : NULL;
	if ((before && before->by_size.second + before->by_size.first > base) ||
	    (after && after->by_size.second < end) || !reserve(list, 1))
		return false;
	if (after && after->by_size.second == end) {
		end += after->by_size.first;
		drop(list, after);
	}
	if (before && before->by_size.second + before->by_size.first == base) {
		base = before->by_size.second;
		drop(list, before);
	}
	add(list, base, end - base);
	return true;
}
