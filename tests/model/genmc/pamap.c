/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The PA map in the memory model of C11: lookups beside updates that copy nodes, publish the copies, and use again what they replaced
 * ([pamap.P1], [pamap.P2], [pamap.L1]); by hints ([pamap.P3]); and with an owner that is hidden ([pamap.H1]). Nodes are a few entries
 * large. What is not atomic in a node is plain memory, so that GenMC tells when somebody reads it while it is written.
 */
#define LEAF_MAX 3u
#define INNER_MAX 3u
#define BLOCK_BITS 2u
#define NODE_ALIGN 16u
#define DEPTH_MAX 4u
#define PIECES_MAX 8u
#define BLOCK_WORTH (MODEL_SCENARIO < 9 ? 100u : 3u) /* none is made but where a scenario is about them */
#define BUCKETS_MIN 8u
#define BUCKETS_EXACT 4u
#define CHUNK_FIRST 1024u
#include <stdbool.h>
static __thread bool grace_reads; /* grace.h: who reads copies no keys */
/* Which words of what is copied are two of 32 bits: of a swap, of children, of pieces, of a list; and all of keys. */
#define GENMC_HALVES(bytes, i)                                                                               \
	((bytes) == 112   ? ((i) < 5 ? 2 : (i) == 5)                                                         \
	 : (bytes) == 80  ? ((i) < 3 ? 2 : (i) == 3)                                                         \
	 : (bytes) == 136 ? ((i) < 4    ? 2                                                                  \
	                     : (i) == 4 ? 1                                                                  \
	                     : (i) < 13 ? 0                                                                  \
	                                : 2)                                                                 \
	 : grace_reads    ? ((i) == 1)                                                                       \
	 : (bytes) > 16   ? 0                                                                                \
	                  : 2)
#include "support.h"
#include <time.h>
typedef int pthread_cond_t; /* its own <pthread.h> lacks these, and nobody waits here */
typedef int pthread_condattr_t;
typedef int pthread_once_t;
typedef int pid_t;
#define BASE_THREADS_H
#define cond_init_monotonic(...) ((void)0)
#define pthread_cond_destroy(...) ((void)0)
#define pthread_cond_broadcast(...) ((void)0)
#define pthread_cond_wait(...) 0
#define pthread_cond_timedwait(...) 0
#define clock_gettime(...) ((void)0)
#define PAMAP_ATFORK_H
#define atfork_start() 0
#define atfork_enlist(map) ((void)(map))
#define atfork_delist(map) ((void)(map))

/* In the place of pamap/rank.h: the same counts in a loop, which needs no vectors. */
#define PAMAP_RANK_H
static inline unsigned rank_below(const int *keys, unsigned count, int limit)
{
	unsigned below = 0;

	while (below < count && keys[below] < limit)
		below++;
	return below;
}
#define rank_of_32(keys, limit) rank_below(keys, LEAF_MAX + 1, limit)
#define rank_of_64(keys, limit) rank_below(keys, INNER_MAX + 2, limit)

#include <errno.h>
#include <stdlib.h>

#include "grace.h"
#define calloc(count, bytes) take_zeroed((count) * (bytes)) /* of which GenMC knows nothing */
static void *take_zeroed(size_t bytes);

/* Blocks alone are cleared, member by member. */
#define memset(at, byte, bytes) clear_block(at)
static void clear_block(void *at);

/* What takes or returns a struct in a pair of registers, which GenMC does not take apart: by this convention it is in memory. */
#define IN_MEMORY __attribute__((ms_abi))
struct block;
struct hints;
struct pamap;
struct pamap_entry;
struct list;
struct walk;
struct list IN_MEMORY leaf_list(uint64_t page, uint64_t word, uint32_t extra, struct pamap_entry *one);
struct list IN_MEMORY block_list(const struct block *block, uint64_t page, uint64_t word,
                                 struct pamap_entry *one);
static bool IN_MEMORY visit_list(const struct walk *walk, uint64_t page, struct list list);
static bool IN_MEMORY visit_piece(const struct walk *walk, uint64_t page, struct list list);
static struct place IN_MEMORY start(struct pamap *map, uint64_t at);
static struct span IN_MEMORY span_of(const struct hints *hints, int32_t low, int32_t high);

#include "../../src/pamap/block.c"
#include "../../src/pamap/each.c"
#include "../../src/pamap/hints.c"
#include "../../src/pamap/lookup.c"
#include "../../src/pamap/owner.c"
#include "../../src/pamap/pamap.c"
#include "../../src/pamap/single.c"
#include "../../src/pamap/store.c"
#include "../../src/pamap/tree.c"
#include "../model.h"

enum { TO = 64, KIB = 6 }; /* a page lies at page + TO */

static _Alignas(64) char arena[KIB * 1024];
static size_t arena_used;
static uint32_t owner_table[8];
static struct pamap map;
static _Atomic int landing;

void *platform_map(size_t bytes)
{
	char *at = arena + arena_used;

	if (bytes == OWNERS * sizeof(uint32_t))
		return owner_table;
	arena_used += (bytes + 63) / 64 * 64;
	return arena_used <= sizeof(arena) ? at : NULL;
}

static void *take_zeroed(size_t bytes)
{
	return platform_map(bytes);
}

static void clear_block(void *at)
{
	struct block *block = at;

	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		atomic_store_explicit(&block->word[i], 0, memory_order_relaxed);
	for (unsigned i = 0; i < PALETTE_MAX + 2; i++)
		block->palette[i] = 0;
	block->live = 0;
}

/* Nobody may still be reading it: hints begin with two words. */
void platform_unmap(void *memory, size_t bytes)
{
	((struct hints *)memory)->shift = 0;
	(void)bytes;
}

int plan_run(struct pamap *of, const struct plan_op *op)
{
	(void)of, (void)op;
	MODEL_ASSERT(false);
	return -ENOMEM;
}

static struct pamap_entry entry_of(uint64_t page)
{
	return (struct pamap_entry){.page = page, .pages = 1, .to = page + TO, .handle = 5, .owner = 1};
}

static void insert_page(uint64_t page)
{
	struct pamap_entry entry = entry_of(page);

	MODEL_ASSERT(single_insert(&map, &entry) == SINGLE_DONE);
}

struct list leaf_list(uint64_t page, uint64_t word, uint32_t extra, struct pamap_entry *one)
{
	one->page = page;
	one->to = word_to(word);
	one->owner = word_owner(word);
	one->handle = extra & WORD_HANDLE_MAX;
	return (struct list){one, 1};
}

struct list block_list(const struct block *block, uint64_t page, uint64_t word, struct pamap_entry *one)
{
	one->page = page;
	one->to = block_word_to(word);
	one->owner = (uint16_t)block->palette[block_word_palette(word)];
	one->handle = block_word_handle(word);
	return (struct list){one, 1};
}

static void remove_page(uint64_t page)
{
	struct pamap_entry entry = entry_of(page);

	MODEL_ASSERT(single_remove(&map, &entry) == SINGLE_DONE);
}

static bool is_found(uint64_t page)
{
	struct pamap_value value;
	bool found = pamap_lookup(&map, page << PAMAP_PAGE_SHIFT, 1, &value);

	if (found)
		MODEL_ASSERT(value.to == (page + TO) << PAMAP_PAGE_SHIFT && value.owner == 1 &&
		             value.handle == 5);
	return found;
}

static void set_up_empty(void)
{
	atomic_store_explicit(&map.first_number, NO_REGION, memory_order_relaxed);
	store_init(&map.store);
	make_ready(&map);
}

/* What an update replaced waits for the readers and is there again. */
static void reuse(void)
{
	store_hand_over(&map.store);
	if (!grace_deferred)
		return;
	if (!IS_MUTANT(340))
		grace_period();
	land(&map.store.item);
	take_back(&map.store);
}

static void nothing(void)
{
}

/* One leaf. */
static void set_up_leaf(void)
{
	set_up_empty();
	insert_page(1);
	insert_page(3);
}

/* The leaf that the first update replaced is what the second one writes to. */
static void insert_and_use_again(void)
{
	insert_page(2);
	reuse();
	remove_page(1);
	insert_page(1);
}

static void look_for_one_that_stays(void)
{
	grace_reads = true;
	MODEL_ASSERT(is_found(3));
}

static void look_twice(void)
{
	bool found;

	grace_reads = true;
	found = is_found(2);
	MODEL_ASSERT(is_found(2) || !found);
}

static void check_leaf(void)
{
	MODEL_ASSERT(is_found(1) && is_found(2) && is_found(3) && !is_found(4));
}

/* With the reclaimer as a thread of its own [pamap.L1]. */
static void insert_and_take_back(void)
{
	insert_page(2);
	store_hand_over(&map.store);
	atomic_store_explicit(&landing, 1, memory_order_release);
	take_back(&map.store);
	remove_page(1);
	insert_page(1);
}

static void reclaim(void)
{
	if (!atomic_load_explicit(&landing, memory_order_acquire))
		return;
	grace_period();
	land(&map.store.item);
}

/* A leaf that is full is split: an inner node comes to be, and hints. */
static void set_up_full_leaf(void)
{
	set_up_empty();
	insert_page(1);
	insert_page(3);
	insert_page(5);
}

static void split(void)
{
	insert_page(4);
}

static void look_for_two(void)
{
	grace_reads = true;
	MODEL_ASSERT(is_found(5));
	MODEL_ASSERT(is_found(1));
}

static void check_split(void)
{
	MODEL_ASSERT(is_found(1) && is_found(3) && is_found(4) && is_found(5) && !is_found(2));
}

/* Two leaves, and hints that name them. */
static void set_up_hints(void)
{
	set_up_full_leaf();
	split();
	MODEL_ASSERT(atomic_load_explicit(&map.first.root.hints, memory_order_relaxed));
	MODEL_ASSERT(root_hint(&map.first.root, 1 << PAMAP_PAGE_SHIFT));
	remove_page(1);
}

/* A mapping of two pages, in two buckets. */
static const struct pamap_entry wide = {.page = 1, .pages = 2, .to = 1 + TO, .handle = 5, .owner = 1};

static void insert_wide(void)
{
	MODEL_ASSERT(single_insert(&map, &wide) == SINGLE_DONE);
}

static void look_for_both_pages(void)
{
	bool found;

	grace_reads = true;
	found = is_found(1);
	MODEL_ASSERT(is_found(2) || !found);
	MODEL_ASSERT(is_found(3));
}

static void look_for_both_pages_backwards(void)
{
	bool found;

	grace_reads = true;
	found = is_found(2);
	MODEL_ASSERT(is_found(1) || !found);
}

static void check_wide(void)
{
	MODEL_ASSERT(is_found(1) && is_found(2) && is_found(3) && is_found(5));
}

/* More leaves, so that there are other hints, and the memory of the old ones goes. */
static void renew(void)
{
	struct hints *old = atomic_load_explicit(&map.first.root.hints, memory_order_relaxed);

	insert_page(6);
	insert_page(7);
	insert_page(8);
	MODEL_ASSERT(atomic_load_explicit(&map.first.root.hints, memory_order_relaxed) != old);
	reuse();
}

static void look_for_one_by_hints(void)
{
	grace_reads = true;
	MODEL_ASSERT(is_found(3));
}

static void check_renewed(void)
{
	for (uint64_t page = 3; page <= 8; page++)
		MODEL_ASSERT(is_found(page));
}

/* Mappings in another region: its root, and the array of regions. */
#define ELSEWHERE (UINT64_C(1) << REGION_BITS)

static void set_up_region(void)
{
	set_up_leaf();
}

static void insert_elsewhere(void)
{
	insert_page(ELSEWHERE);
}

static void look_elsewhere(void)
{
	bool found;

	grace_reads = true;
	found = is_found(ELSEWHERE);
	MODEL_ASSERT(is_found(ELSEWHERE) || !found);
	MODEL_ASSERT(is_found(3));
}

static void check_elsewhere(void)
{
	MODEL_ASSERT(is_found(ELSEWHERE));
}

/* The end of an owner's mappings: hidden at once, shown again when nobody can have one of them. */
static void set_up_owned(void)
{
	set_up_empty();
	insert_page(1);
	insert_page(3);
}

static void hide_and_reap(void)
{
	struct pamap_reap reap;

	MODEL_ASSERT(pamap_owner_hide(&map, 1, &reap) == 0);
	remove_page(1);
	remove_page(3);
	if (!IS_MUTANT(341))
		grace_period();
	pamap_owner_show(&map, 1);
}

static void look_for_hidden(void)
{
	bool found;

	grace_reads = true;
	found = is_found(1);
	MODEL_ASSERT(!is_found(1) || found);
	MODEL_ASSERT(!is_found(3) || found);
}

static void check_owned(void)
{
	MODEL_ASSERT(!is_found(1) && !is_found(3));
}

/* The first update of all: a lookup knows of no map until there is one. */
static void insert_first(void)
{
	make_ready(&map);
	insert_page(1);
}

static void set_up_new(void)
{
	atomic_store_explicit(&map.first_number, NO_REGION, memory_order_relaxed);
	store_init(&map.store);
}

static void look_for_first(void)
{
	bool found;

	grace_reads = true;
	found = is_found(1);
	MODEL_ASSERT(is_found(1) || !found);
}

static void check_first(void)
{
	MODEL_ASSERT(is_found(1));
}

/* A block, which gets a word of an owner that it has not had. */
static void set_up_block(void)
{
	const struct inner *top;

	set_up_empty();
	insert_page(1);
	insert_page(2);
	for (uint64_t page = 4; page < 8; page++) /* a leaf that is full, and not alone, becomes one */
		insert_page(page);
	remove_page(7);
	top = node_inner(atomic_load_explicit(&map.first.root.top, memory_order_relaxed));
	MODEL_ASSERT(node_kind(atomic_load_explicit(&top->child[1], memory_order_relaxed)) == NODE_BLOCK);
}

static void insert_in_the_block(void)
{
	struct pamap_entry entry = entry_of(7);

	entry.owner = 2;
	MODEL_ASSERT(single_insert(&map, &entry) == SINGLE_DONE);
	remove_page(4);
}

static void look_in_block(void)
{
	struct pamap_value value;
	bool gone;

	grace_reads = true;
	gone = !is_found(4);
	if (pamap_lookup(&map, 7 << PAMAP_PAGE_SHIFT, 1, &value))
		MODEL_ASSERT(value.owner == 2);
	else
		MODEL_ASSERT(!gone);
}

static void check_block(void)
{
	MODEL_ASSERT(!is_found(4) && is_found(5) && is_found(6));
}

/* All that there is, one after the other. */
static bool see(void *context, const struct pamap_entry *entry)
{
	MODEL_ASSERT(entry->to == entry->page + TO && entry->owner == (entry->page == 7 ? 2 : 1));
	*(unsigned *)context |= 1u << entry->page;
	return true;
}

static void visit_all(void)
{
	unsigned seen = 0;

	grace_reads = true;
	pamap_for_each(&map, 0, 15, see, &seen);
	MODEL_ASSERT(seen >> 3 & 1 || seen >> 5 & 1);
}

/* Leaves of one parent become a block, and what they were is used again. */
static void set_up_dense(void)
{
	set_up_empty();
	insert_page(1);
	insert_page(2);
	insert_page(8);
	insert_page(9);
	insert_page(10);
}

static void make_block_of_leaf(void)
{
	insert_page(11);
	reuse();
	insert_page(3);
}

static void look_for_dense(void)
{
	grace_reads = true;
	MODEL_ASSERT(is_found(9));
}

static void check_dense(void)
{
	MODEL_ASSERT(is_found(8) && is_found(9) && is_found(10) && is_found(11) && is_found(3));
}

const struct model_scenario model_scenarios[] = {
        {"a leaf that is copied and used again",
         set_up_leaf,
         {insert_and_use_again, look_for_one_that_stays, NULL},
         check_leaf},
        {"one that the reclaimer lands",
         set_up_leaf,
         {insert_and_take_back, look_twice, reclaim},
         check_leaf},
        {"a leaf that is split", set_up_full_leaf, {split, look_for_two, NULL}, check_split},
        {"two pages, each by a hint", set_up_hints, {insert_wide, look_for_both_pages, NULL}, check_wide},
        {"the same backwards", set_up_hints, {insert_wide, look_for_both_pages_backwards, NULL}, check_wide},
        {"hints that are renewed", set_up_hints, {renew, look_for_one_by_hints, NULL}, check_renewed},
        {"another region", set_up_region, {insert_elsewhere, look_elsewhere, NULL}, check_elsewhere},
        {"an owner that is hidden", set_up_owned, {hide_and_reap, look_for_hidden, NULL}, check_owned},
        {"the first mapping", set_up_new, {insert_first, look_for_first, NULL}, check_first},
        {"a block", set_up_block, {insert_in_the_block, look_in_block, NULL}, check_block},
        {"what is in a block", set_up_block, {insert_in_the_block, visit_all, NULL}, check_block},
        {"leaves that become a block", set_up_dense, {make_block_of_leaf, look_for_dense, NULL}, check_dense},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
