/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Lookups beside registrations: a page that is registered all the time is found, by whichever of its mappings, while these come and
 * go in several nodes, or in one, or are hidden with their owner. One writer, as under an owner's lock.
 */
#include <stdlib.h>
#include <string.h>

#include "backing/page_tree.h"
#include "backing/sharing.h"
#include "mapping/find.h"
#include "model.h"
#include "platform/platform.h"

#define VIEW ((char *)0x100000)
#define FIRST 64u /* page of the backing */

static struct space space;
static struct backing *backing;

void *platform_map(size_t bytes)
{
	return calloc(1, bytes);
}

void platform_unmap(void *memory, size_t bytes)
{
	(void)bytes;
	free(memory);
}

uint64_t platform_random(void)
{
	return 1;
}

void rcu_defer(struct rcu_item *item)
{
	(void)item;
}

/* The maps have one backing all the time. */
bool pamap_lookup(struct pamap *map, uint64_t at, uint64_t len, struct pamap_value *out)
{
	(void)map, (void)len;
	*out = (struct pamap_value){.to = at, .handle = 1, .found = true};
	return true;
}

struct backing *space_find_backing(struct space *in, uint64_t page)
{
	(void)in, (void)page;
	return backing;
}

#include "no_windows.h"

static void clear(void)
{
	if (backing)
		page_tree_drop(&backing->tree);
	if (space.slots.size) {
		slots_drop(&space.slots);
		slots_drop(&space.backings.slots);
		slots_drop(&space.owners.slots);
		stock_drop(&space.links);
		stock_drop(&space.groups);
	}
	memset(&space, 0, sizeof(space));
}

static void set_up_nothing(void)
{
	clear();
	slots_init(&space.slots, sizeof(struct mapping));
	slots_init(&space.backings.slots, sizeof(struct backing));
	slots_init(&space.owners.slots, sizeof(struct owner));
	stock_init(&space.links, sizeof(struct link), sizeof(struct link_more), NODE_NUMBER - 1);
	stock_init(&space.groups, sizeof(struct group), 0, NODE_NUMBER - 1);
	slots_make(&space.backings.slots);
	backing = space_backing(&space, 1);
	backing->page = FIRST;
	backing->pages = 64;
	backing->number = 1;
	backing->view = VIEW;
	MODEL_ASSERT(page_tree_init(&backing->tree, 64) == 0);
	for (uint32_t number = 1; number <= 2; number++) {
		slots_make(&space.owners.slots);
		owner_at(&space.owners, number)->number = number;
		atomic_store_explicit(&owner_at(&space.owners, number)->state, OWNER_LIVE,
		                      memory_order_relaxed);
	}
	for (int i = 0; i < 8; i++)
		slots_make(&space.slots);
}

static void enter(uint32_t slot, uint16_t owner, uint64_t page, uint64_t pages)
{
	struct mapping *mapping = mapping_at(&space, slot);

	mapping->serial = slot;
	mapping->owner = owner;
	mapping->place = PLACE_VIEW;
	mapping->pages = pages;
	mapping->segments = 1;
	mapping->one = (struct segment){.page = FIRST + page, .at = 0, .backing = 1};
	MODEL_ASSERT(page_tree_enter(&space, slot, false) == 0);
}

static void withdraw(uint32_t slot)
{
	uint32_t all = UINT32_MAX;

	page_tree_withdraw(&space, slot, &all);
}

static bool is_found(uint64_t page, uint64_t pages)
{
	uint64_t to = 0;

	if (!translate_paddr(&space, (FIRST + page) * IST_PAGE_SIZE, pages * IST_PAGE_SIZE, &to))
		return false;
	MODEL_ASSERT(to == (uint64_t)(uintptr_t)VIEW + page * IST_PAGE_SIZE);
	return true;
}

/* The page is 5 of the backing: alone, or in the node of 4 to 7, or of 0 to 15. */
static void set_up_page(void)
{
	set_up_nothing();
	enter(1, 1, 5, 1);
}

static void change_levels(void)
{
	enter(2, 1, 4, 4);
	withdraw(1);
	enter(3, 1, 5, 1);
	withdraw(2);
	enter(4, 1, 4, 4);
	withdraw(3);
	enter(5, 1, 5, 1);
	withdraw(4);
}

static void change_in_the_node(void)
{
	enter(2, 1, 5, 1);
	withdraw(1);
	enter(3, 2, 5, 1);
	withdraw(2);
	enter(4, 1, 5, 1);
	withdraw(3);
}

static void look_for_page(void)
{
	MODEL_ASSERT(is_found(5, 1));
}

static void look_for_record(void)
{
	struct found found;

	MODEL_ASSERT(find_by_paddr(&space, (FIRST + 5) * IST_PAGE_SIZE, 8, NULL, &found));
	MODEL_ASSERT(found.slot >= 1 && found.slot <= 5);
}

static void check_page(void)
{
	MODEL_ASSERT(is_found(5, 1));
	for (uint32_t slot = 1; slot <= 5; slot++)
		if (mapping_at(&space, slot)->left)
			withdraw(slot);
	MODEL_ASSERT(!is_found(5, 1) && !is_found(4, 1));
	MODEL_ASSERT(!page_tree_is_used(&backing->tree, 0, 64));
}

/* Pages 4 and 5: always in one mapping, if not in the same. */
static void set_up_two_pages(void)
{
	set_up_nothing();
	enter(1, 1, 4, 4);
}

static void change_two_pages(void)
{
	enter(2, 1, 4, 2);
	withdraw(1);
	enter(3, 2, 0, 6);
	withdraw(2);
	enter(4, 1, 4, 4);
	withdraw(3);
}

static void look_for_two_pages(void)
{
	MODEL_ASSERT(is_found(4, 2));
}

static void look_for_too_many(void)
{
	MODEL_ASSERT(!is_found(5, 4));
}

static void check_two_pages(void)
{
	MODEL_ASSERT(is_found(4, 2));
	withdraw(4);
	MODEL_ASSERT(!is_found(4, 1) && !is_found(5, 1));
	MODEL_ASSERT(!page_tree_is_used(&backing->tree, 0, 64));
}

/* The page goes over to another owner's mappings and back, and then that one's end begins. */
static void set_up_two_owners(void)
{
	set_up_nothing();
	enter(1, 1, 4, 4);
}

static void end_an_owner(void)
{
	struct owner *owner = owner_at(&space.owners, 2);

	enter(2, 2, 5, 1);
	withdraw(1);
	enter(3, 2, 4, 4);
	withdraw(2);
	enter(4, 1, 5, 1);
	atomic_store_explicit(&owner->hidden, 1, memory_order_relaxed);
	atomic_store_explicit(&owner->state, OWNER_DYING, memory_order_release);
	atomic_store_explicit(&space.hiding, UINT64_C(1) << 32 | 1, memory_order_release);
	MODEL_ASSERT(!is_found(6, 1)); /* not after that */
	withdraw(3);
	atomic_fetch_sub_explicit(&space.hiding, 1, memory_order_release);
}

static void check_two_owners(void)
{
	MODEL_ASSERT(is_found(5, 1));
	withdraw(4);
	MODEL_ASSERT(!is_found(5, 1));
}

const struct model_scenario model_scenarios[] = {
        {"a page in nodes of several levels", set_up_page, {change_levels, look_for_page}, check_page},
        {"its record", set_up_page, {change_levels, look_for_record}, check_page},
        {"a page in one node", set_up_page, {change_in_the_node, look_for_page, look_for_record}, check_page},
        {"two pages",
         set_up_two_pages,
         {change_two_pages, look_for_two_pages, look_for_too_many},
         check_two_pages},
        {"an owner that ends", set_up_two_owners, {end_an_owner, look_for_record}, check_two_owners},
        {NULL, NULL, {NULL}, NULL},
};
