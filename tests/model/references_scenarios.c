/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * References and the end of a mapping: the library's own get, put and end, over stand-ins for everything around them. A mapping
 * ends once, when it gives no references any more and has none; who has one finds it not ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backing/page_tree.h"
#include "mapping/find.h"
#include "mapping/lookup.h"
#include "mapping/range.h"
#include "mapping/unregister.h"
#include "reclaim/cache.h"
#include "reclaim/limbo.h"
#include "reclaim/resting.h"
#include "model.h"

static struct space space;
static struct mapping *mapping;
static struct owner *owner;
static struct ist_mapping handle;
/* The first is looked at while others count. */
static _Atomic int ends;
static int put_backs;
static int used[2]; /* by each of the users; whoever ends it comes after both, and has what they did */

static int ended(void)
{
	return atomic_load_explicit(&ends, memory_order_relaxed);
}

int space_enter(struct space *in)
{
	(void)in;
	return 0;
}

void space_leave(struct space *in)
{
	(void)in;
}

struct owner *space_enter_owner(struct space *in, uint32_t id)
{
	(void)in, (void)id;
	return NULL;
}

void space_leave_owner(struct owner *of)
{
	(void)of;
}

void space_count(struct owner *of, const struct mapping *which, bool more)
{
	(void)of, (void)which, (void)more;
}

void space_unlink(struct space *in, uint32_t *first, uint32_t slot)
{
	(void)in, (void)first, (void)slot;
}

void space_describe(struct space *in, uint32_t slot, struct ist_mapping *out)
{
	(void)in, (void)slot;
	*out = handle;
}

uint32_t index_hash(const struct index *index, uint64_t a, uint64_t b)
{
	(void)index, (void)a, (void)b;
	return 0;
}

static _Atomic bool in_index;

void index_remove(struct index *index, uint32_t hash, uint32_t number)
{
	(void)index, (void)hash, (void)number;
	atomic_store_explicit(&in_index, false, memory_order_release);
}

uint32_t index_find(struct index *index, uint32_t hash, index_match *matches, void *context)
{
	(void)index, (void)hash;
	return atomic_load_explicit(&in_index, memory_order_acquire) && matches(context, 1) ? 1 : 0;
}

/* What it has in the nodes of its pages: gone before anybody may use the mapping again, and not before its references. */
static int links;

void page_tree_withdraw(struct space *in, uint32_t slot, uint32_t *budget)
{
	struct mapping *of = mapping_at(in, slot);

	(*budget)--;
	if (of->linked == 0 || !atomic_load_explicit(&of->held, memory_order_relaxed))
		links = 0;
	of->linked = 0;
}

void range_withdraw(struct space *in, uint32_t slot, uint32_t *budget)
{
	page_tree_withdraw(in, slot, budget);
}

bool find_by_paddr(struct space *in, uint64_t paddr, uint64_t len, const struct owner *of, struct found *out)
{
	(void)in, (void)paddr, (void)len, (void)of, (void)out;
	return false;
}

bool cache_keep(struct space *in, uint32_t slot)
{
	(void)in, (void)slot;
	return false;
}

void cache_shrink(struct space *in, uint64_t bytes)
{
	(void)in, (void)bytes;
}

void limbo_add(struct space *in, uint32_t slot)
{
	(void)in, (void)slot;
	MODEL_ASSERT(links == 0);
	MODEL_ASSERT(atomic_fetch_add_explicit(&ends, 1, memory_order_relaxed) == 0);
	used[0] = used[1] = 0;
}

void rest(struct space *in, struct owner *of, uint32_t slot)
{
	(void)of;
	limbo_add(in, slot);
}

int limbo_drain(struct space *in)
{
	(void)in;
	return 0;
}

void limbo_wait_end(struct space *in, uint32_t slot, uint32_t generation)
{
	(void)in, (void)slot, (void)generation;
}

void owner_give_back(struct owner *of, uint64_t pages, uint64_t stretches)
{
	(void)of, (void)pages, (void)stretches;
}

void owner_put(struct owner *of, uint64_t pages, uint64_t stretches, uint64_t count)
{
	(void)of, (void)pages, (void)stretches, (void)count;
	put_backs++;
}

struct owner *owner_find(struct owner_table *table, uint32_t id)
{
	(void)table, (void)id;
	return owner;
}

void rcu_defer(struct rcu_item *item)
{
	(void)item;
}

static void set_up(void)
{
	static _Alignas(64) char mappings[SLOTS_FIRST * sizeof(struct mapping)];
	static _Alignas(64) char owners[SLOTS_FIRST * sizeof(struct owner)];

#ifndef GENMC /* of which each run is the first */
	memset(&space, 0, sizeof(space));
	memset(mappings, 0, sizeof(mappings));
	memset(owners, 0, sizeof(owners));
#endif
	space.slots.size = sizeof(struct mapping);
	space.owners.slots.size = sizeof(struct owner);
	atomic_store_explicit(&space.slots.block[0], mappings, memory_order_relaxed);
	atomic_store_explicit(&space.owners.slots.block[0], owners, memory_order_relaxed);
	atomic_store_explicit(&space.open, true, memory_order_relaxed);
	mapping = mapping_at(&space, 1);
	owner = owner_at(&space.owners, 1);
	atomic_store_explicit(&owner->state, OWNER_LIVE, memory_order_relaxed);
	atomic_store_explicit(&mapping->refs, REFS_LIVE, memory_order_relaxed);
	mapping->owner = 1;
	mapping->size = IST_PAGE_SIZE;
	mapping->cookie = 9;
	handle = (struct ist_mapping){.slot = 1, .size = IST_PAGE_SIZE, .cookie = 9};
	atomic_store_explicit(&ends, 0, memory_order_relaxed);
	put_backs = 0;
	mapping->linked = 1;
	links = 1;
	atomic_store_explicit(&in_index, true, memory_order_relaxed);
}

static void use_as(int user)
{
	if (!space_get(&space, &handle))
		return;
	MODEL_ASSERT(ended() == 0);
	used[user] = 1;
	MODEL_ASSERT(ended() == 0);
	MODEL_ASSERT(space_put(&space, &handle));
}

static void use(void)
{
	use_as(0);
}

static void use_too(void)
{
	use_as(1);
}

static void use_by_cookie(void)
{
	struct ist_mapping found;

	if (space_find_get(&space, 0, 9, &found))
		return;
	MODEL_ASSERT(ended() == 0);
	used[1] = 1;
	MODEL_ASSERT(ended() == 0);
	MODEL_ASSERT(space_put(&space, &found));
}

static void end(void)
{
	bool last;

	MODEL_ASSERT(space_end(&space, 1, false, &last) == 0);
	MODEL_ASSERT(!space_get(&space, &handle));
}

static void end_if_unused(void)
{
	bool last;
	int error = space_end(&space, 1, true, &last);

	if (error) {
		MODEL_ASSERT(error == -EBUSY);
		end();
	} else {
		MODEL_ASSERT(last && ended() == 1);
	}
}

/* As the end of an owner goes. */
static void end_in_steps(void)
{
	uint32_t budget = 1;

	space_end_some(&space, 1, &budget);
	MODEL_ASSERT(budget == 0 && !space_get(&space, &handle));
	budget = 1;
	space_end_some(&space, 1, &budget);
}

static void check(void)
{
	MODEL_ASSERT(ended() == 1 && put_backs == 1);
	MODEL_ASSERT((atomic_load_explicit(&mapping->refs, memory_order_relaxed) & REFS_COUNT) == 0);
	MODEL_ASSERT(atomic_load_explicit(&space.referenced, memory_order_relaxed) == 0);
}

const struct model_scenario model_scenarios[] = {
        {"two users and the end", set_up, {end, use, use_by_cookie}, check},
        {"two users and an end that is refused while they are there",
         set_up,
         {end_if_unused, use, use_too},
         check},
        {"two users and an end in steps", set_up, {end_in_steps, use, use_by_cookie}, check},
        {NULL, NULL, {NULL}, NULL},
};
