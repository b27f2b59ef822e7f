/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The registry of pools in the memory model of C11: whoever is handed a key, in whatever way, finds the pool as it was
 * registered, or nothing.
 */
#include "support.h"

#include <pthread.h>

/* Nobody forks here, and one thread registers at a time. */
#define PLATFORM_FORK_H
struct fork_hook {
	void (*before)(void), (*in_parent)(void), (*in_child)(void);
};
#define fork_hook_add(turn, hook) ((void)(hook), 0)

#include "../../src/pool/registry.c"
#include "../../src/table/slots.c"
#include "../model.h"

static struct pool first;
static _Atomic uint64_t handed; /* a key, with nothing that orders it */
static uint64_t arena[2048];
static size_t arena_used;

size_t platform_page_size(void)
{
	return 64;
}

void *platform_map(size_t bytes)
{
	void *at = &arena[arena_used];

	arena_used += (bytes + 63) / 64 * 8;
	return at;
}

void platform_unmap(void *memory, size_t bytes)
{
	(void)memory, (void)bytes;
}

int platform_wipe_on_fork(struct platform_wiped *of, void *memory, size_t bytes,
                          const _Atomic uint32_t *mark)
{
	(void)of, (void)memory, (void)bytes, (void)mark;
	return 0;
}

int platform_wipe_start(void)
{
	return 0;
}

static void make(struct pool *pool, size_t size)
{
	pool->kind = POOL_CLIENT;
	pool->size = size;
	MODEL_ASSERT(pool_register(pool) == 0);
}

/* The slot is there already: what orders its being made does not help its pool. */
static void a_slot(void)
{
	static struct pool gone;

	make(&gone, 3);
	pool_unregister(&gone);
}

static void nothing(void)
{
}

static void hand_out_first(void)
{
	make(&first, 1);
	atomic_store_explicit(&handed, first.key, memory_order_relaxed);
}

static void find_slowly(void)
{
	uint64_t key = atomic_load_explicit(&handed, memory_order_relaxed);
	struct pool *pool = pool_find(key);

	if (pool)
		MODEL_ASSERT(pool == &first && pool->size == 1);
}

static void find_fast(void)
{
	uint64_t key = atomic_load_explicit(&handed, memory_order_relaxed);
	const struct pool_slot *slot = pool_first_slot(key);

	if (key && pool_is_client(slot, key))
		MODEL_ASSERT(pool_in(slot)->size == 1);
}

static void check(void)
{
	MODEL_ASSERT(pool_find(first.key) == &first);
}

const struct model_scenario model_scenarios[] = {
        {"registered and found", a_slot, {hand_out_first, find_slowly, find_fast}, check},
        {"registered in a new slot and found", nothing, {hand_out_first, find_slowly, find_fast}, check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
