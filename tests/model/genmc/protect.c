/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Pages are protected, or their backing is removed, while somebody registers them without the lock of the space, in the memory
 * model of C11 [space.E1]: one of the two is refused, or sees that it is not alone. Read sections are nothing here, so no order
 * comes from them. The array of what is protected, and what is mapped while a backing is pinned, are plain memory, so that GenMC
 * tells when they are read beside a write. In the place of the nodes stands a word.
 */
/* Of a placing: three flags behind two words. */
#define GENMC_BYTES(bytes, i) ((bytes) == 24 && (i) == 2 ? 3 : 0)
#include "support.h"
typedef int pthread_cond_t; /* its own <pthread.h> lacks these, which nobody uses here */
typedef int pthread_once_t;
typedef int pid_t;
#define PTHREAD_CANCEL_DISABLE 0
#define pthread_setcancelstate(...) ((void)0)
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#ifndef ENOTSUP
#define ENOTSUP EOPNOTSUPP
#endif

#include "../rcu_stub.h"
static int rcu_wait(void)
{
	return 0;
}

#include "mapping/place.h"
#include "space/space.h"

#include "../../src/space/ranges.c"
#include "../../src/backing/backings.c"
#include "../../src/backing/protect.c"
#include "../../src/mapping/place.c"
#include "../../src/mapping/register.c"
#include "../model.h"

enum { PAGE = 64 };

static struct space space;
static struct backing the_backing;
static struct mapping the_mapping;
static struct owner the_owner;
static struct request request;
static _Atomic uint32_t word; /* of the node of the page */
static int registered, told; /* whether he has it; whether the other one was told that nobody has */
static int contents = 1;

/* The nodes: linked with release, as page_tree.c does it, and looked at without. */
int page_tree_enter(struct space *in, uint32_t slot, bool strict)
{
	(void)in, (void)strict;
	atomic_store_explicit(&word, slot, memory_order_release);
	return 0;
}

void page_tree_withdraw(struct space *in, uint32_t slot, uint32_t *budget)
{
	(void)in, (void)slot, (void)budget;
	atomic_store_explicit(&word, 0, memory_order_release);
}

bool page_tree_is_used(const struct page_tree *tree, uint64_t first, uint64_t pages)
{
	(void)tree, (void)first, (void)pages;
	return atomic_load_explicit(&word, memory_order_relaxed) != 0;
}

/* What is beside the point: */

struct backing *space_find_backing(struct space *in, uint64_t page)
{
	(void)in, (void)page;
	return &the_backing;
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

int pamap_remove(struct pamap *map, const struct pamap_entry *entry)
{
	(void)map, (void)entry;
	return 0;
}

void cache_shrink(struct space *in, uint64_t bytes)
{
	(void)in, (void)bytes;
}

int limbo_drain(struct space *in)
{
	(void)in;
	return 0;
}

void limbo_add(struct space *in, uint32_t slot)
{
	(void)in, (void)slot;
}

void space_link(struct space *in, uint32_t *list, uint32_t slot)
{
	(void)in, (void)list, (void)slot;
}

void space_count(struct owner *owner, const struct mapping *mapping, bool more)
{
	(void)owner, (void)mapping, (void)more;
}

uint32_t index_hash(const struct index *index, uint64_t a, uint64_t b)
{
	(void)index, (void)a, (void)b;
	return 0;
}

void rcu_defer(struct rcu_item *item)
{
	(void)item;
}

static void set_slots(struct slots *slots, void *memory, size_t size)
{
	slots->size = size;
	atomic_store_explicit(&slots->block[0], memory, memory_order_relaxed);
}

static void set_up(void)
{
	set_slots(&space.slots, &the_mapping, sizeof(the_mapping));
	set_slots(&space.backings.slots, &the_backing, sizeof(the_backing));
	space.backings.count = 1;
	the_backing.page = PAGE;
	the_backing.pages = 1;
	the_backing.number = 1;
	the_backing.view = (char *)0x100000;
	the_backing.ours = true;
	the_backing.listed = true;
	the_mapping.segments = 1;
	the_mapping.one.page = PAGE;
	the_mapping.one.at = 0;
	the_mapping.one.backing = 1;
	request.list.extent = request.list.few;
	request.list.count = 1;
	request.list.pages = 1;
	request.list.few[0].page = PAGE;
	request.list.few[0].pages = 1;
	request.size = IST_PAGE_SIZE;
	request.kind = MAPPING_PAGES;
}

/* As register_alone does it, with a slot that is there already and a list that is one page. */
static void register_page(void)
{
	struct placing plan;
	int error = plan_alone(&space, &request, &plan);

	if (!error && !pin(&space, &the_mapping))
		error = NOT_ALONE;
	if (error)
		return;
	MODEL_ASSERT(contents == 1); /* it is mapped, of a backing that is there as long as it is pinned */
	registered = publish_alone(&space, &request, &the_owner, &plan, 1) == 0;
	unpin(&space, &the_mapping.one, 1);
}

static void protect_page(void)
{
	int error = space_protect(&space, PAGE * IST_PAGE_SIZE, IST_PAGE_SIZE);

	MODEL_ASSERT(error == 0 || error == -EBUSY);
	told = error == 0;
}

/* The two halves; the record would be used again a grace period later. */
static void remove_backing(void)
{
	struct backing *backing = NULL;
	int error;

	MODEL_ASSERT(begin_removal(&space, PAGE * IST_PAGE_SIZE, &backing) == 0);
	error = finish_removal(&space, backing);
	MODEL_ASSERT(error == 0 || error == -EBUSY);
	told = error == 0;
	if (told)
		contents = 2;
}

/* What is protected, or gone, nobody has registered. */
static void check(void)
{
	MODEL_ASSERT(!(told && registered));
	MODEL_ASSERT(registered == (int)(atomic_load_explicit(&word, memory_order_relaxed) != 0));
}

const struct model_scenario model_scenarios[] = {
        {"protected while it is registered", set_up, {register_page, protect_page, NULL}, check},
        {"removed while it is registered", set_up, {register_page, remove_backing, NULL}, check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
