/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What is registered of a backing, in the memory model of C11 ([backing.C1], [backing.C2], [backing.C3]): lookups beside mappings that
 * come and go in nodes of their own. What several mappings share (sharing.c) is not in here: that changes under a lock, and the
 * explorer has it. Records and links are plain memory, so that GenMC tells when one is read that was not yet written.
 */
/* Which words are two of 32 bits, or one and nothing: a link; a node, or what was found. */
#define GENMC_HALVES(bytes, i) ((bytes) == 12 ? 2 : (bytes) == 16 ? (i) == 0 : 0)
#include "support.h"
typedef int pthread_cond_t; /* its own <pthread.h> lacks these, and nobody waits here */
typedef int pthread_once_t;
typedef int pid_t;
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "grace.h"

/* What takes or returns a struct in a pair of registers, which GenMC does not take apart: by this convention it is in memory. */
#define IN_MEMORY __attribute__((ms_abi))
struct space;
struct backing;
struct page_tree;
struct node;
struct query;
uint32_t IN_MEMORY group_find(struct space *space, struct page_tree *tree, struct node node, uint32_t owner,
                              unsigned kind);
static struct node IN_MEMORY node_at(uint64_t at, uint64_t end);
static uint64_t IN_MEMORY node_pages(struct node node);
static uint64_t IN_MEMORY page_tree_block_of(struct node node);
static size_t IN_MEMORY page_tree_word_in_block(struct node node);
static _Atomic uint32_t *IN_MEMORY page_tree_word(const struct page_tree *tree, struct node node);
static _Atomic uint32_t *IN_MEMORY page_tree_make_word(struct page_tree *tree, struct node node);
static int IN_MEMORY put_in(struct space *space, struct backing *backing, struct node node, uint32_t id,
                            uint32_t flags);
static void IN_MEMORY take_out(struct space *space, struct backing *backing, struct node node, uint32_t id);
static void IN_MEMORY hold(struct space *space, struct backing *backing, struct node node, uint32_t id);
int IN_MEMORY page_tree_join(struct space *space, struct backing *backing, struct node node, uint32_t link);
static struct node IN_MEMORY node_of_page(const struct backing *backing, uint64_t page);
static bool IN_MEMORY consider_groups(struct query *query, struct node node, uint32_t number);
static uint32_t IN_MEMORY read_node(const struct query *query, struct node node);

#define calloc(count, bytes)                                                                                 \
	fresh_words() /* of a block: the words that are used here are all that is cleared */
static _Atomic uint32_t *fresh_words(void);
#define free(at) ((void)(at))

#include "backing/sharing.h"
#include "space/space.h"

#include "../../src/backing/page_tree.c"
#include "../../src/mapping/find.c"
#include "../../src/space/segment.c"
#include "../model.h"

#define VIEW ((char *)0x100000)
enum { FIRST = 64, MAPPINGS = 4 };

static struct space space;
static struct backing the_backing[1];
static struct owner the_owners[2];
static struct mapping mappings[MAPPINGS + 1];
static struct link links[8];
static struct link_more more_of_links[8];
static _Atomic uint32_t words[BLOCK_WORDS];
static _Atomic(_Atomic uint32_t *) blocks[1];
static uint32_t made;

/* Of two words, which were something else before. */
static _Atomic uint32_t *fresh_words(void)
{
	atomic_store_explicit(&words[page_tree_level_begin(0) + 5], 0, memory_order_relaxed);
	atomic_store_explicit(&words[page_tree_level_begin(1) + 1], 0, memory_order_relaxed);
	return words;
}

uint32_t stock_take_list(struct stock *stock, uint32_t count)
{
	(void)stock, (void)count;
	return ++made;
}

uint32_t stock_take(struct stock *stock)
{
	return stock_take_list(stock, 1);
}

void stock_give(struct stock *stock, uint32_t first, uint32_t last)
{
	(void)stock, (void)first, (void)last;
}

int page_tree_join(struct space *in, struct backing *backing, struct node node, uint32_t link)
{
	(void)in, (void)backing, (void)node, (void)link;
	MODEL_ASSERT(false);
	return -ENOMEM;
}

void page_tree_part(struct space *in, struct backing *backing, uint32_t link)
{
	(void)in, (void)backing, (void)link;
	MODEL_ASSERT(false);
}

void page_tree_hold(struct space *in, struct backing *backing, uint32_t link)
{
	(void)in, (void)backing, (void)link;
	MODEL_ASSERT(false);
}

uint32_t group_find(struct space *in, struct page_tree *tree, struct node node, uint32_t owner,
                    enum link_kind kind)
{
	(void)in, (void)tree, (void)node, (void)owner, (void)kind;
	return 0;
}

void index_init(struct index *index)
{
	(void)index;
}

void index_drop(struct index *index)
{
	(void)index;
}

bool pamap_lookup(struct pamap *map, uint64_t at, uint64_t len, struct pamap_value *out)
{
	(void)map, (void)at, (void)len, (void)out;
	return false;
}

struct backing *space_find_backing(struct space *in, uint64_t page)
{
	(void)in, (void)page;
	return the_backing;
}

#include "../no_windows.h"

static void set_slots(struct slots *slots, void *memory, size_t size)
{
	slots->size = size;
	atomic_store_explicit(&slots->block[0], memory, memory_order_relaxed);
}

static void set_up_nothing(void)
{
	set_slots(&space.slots, mappings, sizeof(struct mapping));
	set_slots(&space.backings.slots, the_backing, sizeof(struct backing));
	set_slots(&space.owners.slots, the_owners, sizeof(struct owner));
	set_slots(&space.links.slots, links, sizeof(struct link));
	set_slots(&space.links.beside, more_of_links, sizeof(struct link_more));
	the_backing->page = FIRST;
	the_backing->pages = 64;
	the_backing->number = 1;
	the_backing->view = VIEW;
	the_backing->tree.pages = 64;
	the_backing->tree.blocks = 1;
	the_backing->tree.block = blocks;
	the_owners[0].number = 1;
	atomic_store_explicit(&the_owners[0].state, OWNER_LIVE, memory_order_relaxed);
	/* Rubbish, until a block is cleared. */
	atomic_store_explicit(&words[page_tree_level_begin(0) + 5], 3, memory_order_relaxed);
	atomic_store_explicit(&words[page_tree_level_begin(1) + 1], 3, memory_order_relaxed);
}

static void enter(uint32_t slot, uint64_t page, uint64_t pages)
{
	struct mapping *mapping = mapping_at(&space, slot);

	mapping->serial = slot;
	mapping->owner = 1;
	mapping->place = PLACE_VIEW;
	mapping->pages = pages;
	mapping->segments = 1;
	mapping->one.page = FIRST + page;
	mapping->one.at = 0;
	mapping->one.backing = 1;
	MODEL_ASSERT(page_tree_enter(&space, slot, false) == 0);
}

static void withdraw(uint32_t slot)
{
	uint32_t all = UINT32_MAX;

	page_tree_withdraw(&space, slot, &all);
}

static bool is_found(void)
{
	uint64_t to = 0;

	if (!translate_paddr(&space, (FIRST + 5) * IST_PAGE_SIZE, 1, &to))
		return false;
	MODEL_ASSERT(to == (uint64_t)(uintptr_t)VIEW + 5 * IST_PAGE_SIZE);
	return true;
}

static bool has_record(uint32_t *slot)
{
	struct found found;
	bool is = find_by_paddr(&space, (FIRST + 5) * IST_PAGE_SIZE, 1, NULL, &found);

	if (is)
		*slot = found.slot;
	return is;
}

/* Page 5 of the backing: alone, or in the node of 4 to 7. */
static void set_up_page(void)
{
	set_up_nothing();
	enter(1, 5, 1);
}

static void come_and_go(void)
{
	enter(2, 4, 4);
	withdraw(1);
}

static void come_and_go_lower(void)
{
	enter(2, 5, 1);
	withdraw(1);
}

/* Down, up and down again: each reading of the nodes may come too late [backing.C2]. */
static void come_and_go_thrice(void)
{
	enter(2, 5, 1);
	withdraw(1);
	enter(3, 4, 4);
	withdraw(2);
	enter(4, 5, 1);
	withdraw(3);
}

static void set_up_large(void)
{
	set_up_nothing();
	enter(1, 4, 4);
}

static void look(void)
{
	grace_reads = true;
	rcu_enter();
	MODEL_ASSERT(is_found());
	rcu_leave();
}

static void look_for_record(void)
{
	uint32_t slot = 0;

	grace_reads = true;
	rcu_enter();
	MODEL_ASSERT(has_record(&slot) && slot >= 1 && slot <= MAPPINGS);
	rcu_leave();
}

static void nothing(void)
{
}

/* The first of all: its block is made for it. */
static void come(void)
{
	enter(1, 5, 1);
}

static void look_for_first(void)
{
	uint32_t slot = 1;

	has_record(&slot);
	MODEL_ASSERT(slot == 1);
}

static void check_found(void)
{
	MODEL_ASSERT(is_found());
}

/* Unregistered while somebody has a reference: the link stays and is not found, and then goes. */
static void set_up_held(void)
{
	set_up_page();
	atomic_store_explicit(&mappings[0].held, true, memory_order_relaxed);
}

static void come_and_hold(void)
{
	enter(2, 4, 4);
	withdraw(1); /* as a held one */
	withdraw(1); /* and out */
}

/* Used again after a grace period: who is inside may still read the old one. */
static void go_and_come_back(void)
{
	enter(2, 4, 4);
	withdraw(1);
	if (!IS_MUTANT(360))
		grace_period();
	mappings[0].serial = 7;
	mappings[0].one.page = FIRST + 9;
}

static void check_none(void)
{
	MODEL_ASSERT(is_found());
	for (uint32_t slot = 2; slot <= MAPPINGS; slot++)
		if (mappings[slot - 1].left)
			withdraw(slot);
	MODEL_ASSERT(!is_found() && !page_tree_is_used(&the_backing->tree, 0, 64));
}

const struct model_scenario model_scenarios[] = {
        {"a page that goes over to a node above", set_up_page, {come_and_go, look, NULL}, check_none},
        {"to a node below", set_up_large, {come_and_go_lower, look, NULL}, check_none},
        {"its record", set_up_large, {come_and_go_lower, look_for_record, NULL}, check_none},
        {"its record, which moves thrice",
         set_up_large,
         {come_and_go_thrice, look_for_record, NULL},
         check_none},
        {"the first of a block", set_up_nothing, {come, look_for_first, NULL}, check_found},
        {"one that is held", set_up_held, {come_and_hold, look_for_record, NULL}, check_none},
        {"a record that is used again", set_up_page, {go_and_come_back, look_for_record, NULL}, check_none},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
