/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Slots in blocks of doubling size, which are never given back: a stale handle may name any slot at any time. So
 * the registry is as large as the largest number of pools that ever lived at once.
 *
 * A generation is never 0, so that neither is a key. A pool's generation comes round after 2^32 - 1 pools in its slot.
 * Generations go on in a forked child, which finds the slots empty: so no handle of the parent fits a pool of the child.
 */
#include "pool/pool.h"

#include <errno.h>
#include <pthread.h>

#include "platform/fork.h"
#include "platform/platform.h"
#include "table/slots.h"

#define NO_KEY 1 /* a generation is never 0 */

/* What is remembered of a slot, also in a forked child. Under the mutex. */
struct slot_past {
	uint32_t generation; /* of the last pool in it */
	uint32_t next_unused;
};

/* The slots lie in blocks as those of table/slots.h do, but in memory that a child of a fork sees as zeroes; and their pasts. */
static struct pool_slot *_Atomic blocks[SLOTS_BLOCKS];
static struct slots pasts = {.size = sizeof(struct slot_past)};
static struct platform_wiped wiped[SLOTS_BLOCKS];
static struct pool_slot nobody[POOL_FIRST_SLOTS] = {{.simple_key = NO_KEY, .client_key = NO_KEY}};
struct pool_slot *_Atomic pool_first_slots = nobody; /* then from before blocks[0] on, for pool_first_slot */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* pool_register and pool_unregister only */
static uint32_t unused_first, unused_last; /* queue of returned slots, under the mutex; 0 is no slot */

_Static_assert(POOL_FIRST_SLOTS == SLOTS_FIRST, "the first block");

static struct pool_slot *slot_at(uint32_t number)
{
	struct pool_slot *slots;
	uint64_t nth;
	unsigned block;

	if (number == 0)
		return NULL;
	block = slots_block_of(number, &nth);
	if (block >= SLOTS_BLOCKS)
		return NULL;
	/* Acquire: pairs with the release in make_block. */
	slots = atomic_load_explicit(&blocks[block], memory_order_acquire);
	return slots ? &slots[nth] : NULL;
}

/* Of a slot that there is. */
static struct slot_past *past_of(uint32_t number)
{
	return slots_known(&pasts, number);
}

/* Slots, one more for the mark; and before them, in a page of its own, one that no key fits. False: no memory. */
static bool make_block(unsigned block)
{
	size_t count = (size_t)SLOTS_FIRST << block, page = platform_page_size(),
	       bytes = (count + 1) * sizeof(struct pool_slot);
	char *memory = platform_map(page + bytes);
	struct pool_slot *slots;

	if (!memory)
		return false;
	slots = (struct pool_slot *)(void *)(memory + page);
	/* A child of a fork shares the memory of these pools, but not their state: it finds none of them. */
	if (platform_wipe_on_fork(&wiped[block], slots, bytes, &slots[count].mark)) {
		platform_unmap(memory, page + bytes);
		return false;
	}
	atomic_init(&slots[-1].simple_key, NO_KEY);
	atomic_init(&slots[-1].client_key, NO_KEY);
	atomic_init(&slots[count].mark, 1);
	atomic_store_explicit(&blocks[block], slots, memory_order_release); /* slot_at */
	if (block == 0)
		atomic_store_explicit(&pool_first_slots, slots - 1,
		                      memory_order_release); /* pool_first_slot */
	return true;
}

/* 0: no memory. */
static uint32_t make_slot(void)
{
	uint32_t number = slots_make(&pasts);
	uint64_t nth;

	if (number == 0 || slot_at(number) || make_block(slots_block_of(number, &nth)))
		return number;
	pasts.made--; /* the next one tries again */
	return 0;
}

/* The oldest unused slot, so that generations wear evenly. */
static uint32_t take_slot(void)
{
	uint32_t number = unused_first;

	if (number == 0)
		return make_slot();
	unused_first = past_of(number)->next_unused;
	if (unused_first == 0)
		unused_last = 0;
	return number;
}

static uint32_t next_generation(struct slot_past *past)
{
	if (++past->generation == 0)
		past->generation = 1;
	return past->generation;
}

static void lock_registry(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock_registry(void)
{
	pthread_mutex_unlock(&mutex);
}

static int add_fork_hooks(void)
{
	static const struct fork_hook hook = {lock_registry, unlock_registry, unlock_registry};
	int error = platform_wipe_start();

	return error ? error : fork_hook_add(FORK_REGISTRY, &hook);
}

int pool_register(struct pool *pool)
{
	struct pool_slot *slot;
	uint32_t number;
	int error = add_fork_hooks();

	if (error)
		return error;
	pthread_mutex_lock(&mutex);
	number = take_slot();
	if (number != 0)
		pool->key = (uint64_t)next_generation(past_of(number)) << 32 | number;
	pthread_mutex_unlock(&mutex);
	if (number == 0)
		return -ENOMEM;
	slot = slot_at(number); /* ours alone until it is unregistered */
	atomic_store_explicit(&slot->pool, pool, memory_order_relaxed);
	/* Release: pairs with pool_find, which then sees the pool behind the key. */
	atomic_store_explicit(&slot->key, pool->key, memory_order_release);
	atomic_store_explicit(&slot->simple_key, pool->is_simple ? pool->key : 0, memory_order_release);
	atomic_store_explicit(&slot->client_key, pool->kind == POOL_CLIENT ? pool->key : 0,
	                      memory_order_release);
	return 0;
}

void pool_unregister(struct pool *pool)
{
	uint32_t number = (uint32_t)pool->key;
	struct pool_slot *slot = slot_at(number);

	atomic_store_explicit(&slot->simple_key, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->client_key, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->key, 0, memory_order_relaxed);
	pthread_mutex_lock(&mutex);
	past_of(number)->next_unused = 0;
	if (unused_last != 0)
		past_of(unused_last)->next_unused = number;
	else
		unused_first = number;
	unused_last = number;
	pthread_mutex_unlock(&mutex);
}

bool pool_registry_is_ours(void)
{
	const struct pool_slot *slots = atomic_load_explicit(&blocks[0], memory_order_acquire);

	return !slots || atomic_load_explicit(&slots[SLOTS_FIRST].mark, memory_order_relaxed) != 0;
}

struct pool *pool_find(uint64_t key)
{
	struct pool_slot *slot = slot_at((uint32_t)key);

	/* Acquire: pairs with pool_register. */
	if (!slot || atomic_load_explicit(&slot->key, memory_order_acquire) != key)
		return NULL;
	return atomic_load_explicit(&slot->pool, memory_order_relaxed);
}
