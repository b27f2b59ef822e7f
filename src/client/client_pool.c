/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "client/client_pool.h"

#include <errno.h>
#include <string.h>

/*
 * The record of a page: {live 1, use 20, size - 1 in bytes 43}. Live while an allocation starts at the page;
 * otherwise it keeps only the use count for the next one. Only the owner of the page (by the buddy) makes it live;
 * only the compare-exchange in client_pool_free makes it not live, and it is the linearization point that decides
 * which of several frees is obeyed.
 */
#define RECORD_SIZE_BITS 43
#define RECORD_SIZE_MASK ((UINT64_C(1) << RECORD_SIZE_BITS) - 1)
#define RECORD_USE_MASK ((UINT64_C(1) << 20) - 1)
#define RECORD_LIVE (UINT64_C(1) << 63)

static uint64_t record_live(uint64_t use, size_t size)
{
	return RECORD_LIVE | use << RECORD_SIZE_BITS | (size - 1);
}

static uint64_t record_free(uint64_t use)
{
	return (use & RECORD_USE_MASK) << RECORD_SIZE_BITS;
}

static uint64_t record_use(uint64_t record)
{
	return record >> RECORD_SIZE_BITS & RECORD_USE_MASK;
}

static size_t page_count(size_t bytes)
{
	return bits_ceil_div(bytes, IST_PAGE_SIZE);
}

size_t client_pool_bytes(size_t size)
{
	size_t pages = size / IST_PAGE_SIZE;

	return buddy_bytes(pages) + bits_round_up(pages * sizeof(uint64_t), CACHE_LINE);
}

void client_pool_init(struct ist_client_pool *pool, void *zeroed_memory)
{
	size_t pages = pool->pool.size / IST_PAGE_SIZE;

	buddy_init(&pool->buddy, zeroed_memory, pages);
	pool->record = (_Atomic uint64_t *)(void *)((char *)zeroed_memory + buddy_bytes(pages));
}

int ist_client_pool_alloc_nozero(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	size_t start;
	uint64_t use;

	if (!pool || !out || size == 0)
		return -EINVAL;
	if (size > pool->pool.size || buddy_alloc(&pool->buddy, page_count(size), BUDDY_ANYWHERE, &start)) {
		pool_count_failure(&pool->pool);
		return -ENOSPC;
	}
	/*
	 * Relaxed: the page is ours, and the free that wrote its record last happened before our claim. The handle
	 * reaches other threads by ways that order memory, or it could not be read there.
	 */
	use = record_use(atomic_load_explicit(&pool->record[start], memory_order_relaxed));
	atomic_store_explicit(&pool->record[start], record_live(use, size), memory_order_relaxed);
	pool_count_alloc(&pool->pool, size);
	pool_make_shm(&pool->pool, start * IST_PAGE_SIZE, size, use, out);
	return 0;
}

int ist_client_pool_alloc(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	int error = ist_client_pool_alloc_nozero(pool, size, out);

	if (error)
		return error;
	memset(out->view.vaddr, 0, page_count(size) * IST_PAGE_SIZE);
	return 0;
}

static int refusal(uint64_t met, const struct ist_shm *shm)
{
	if (record_use(met) != shm->tag)
		return -EALREADY; /* the place has been given back since, whatever it is now */
	return -EINVAL;
}

int client_pool_free(struct ist_client_pool *pool, const struct ist_shm *shm)
{
	size_t size = shm->view.size, start = shm->offset / IST_PAGE_SIZE;
	uint64_t met;

	if (!pool_shm_is_intact(&pool->pool, shm) || shm->offset % IST_PAGE_SIZE || shm->tag > RECORD_USE_MASK)
		return -EINVAL;
	met = record_live(shm->tag, size);
	/* Relaxed: it guards no other memory; buddy_free releases what was done to the pages. */
	if (!atomic_compare_exchange_strong_explicit(&pool->record[start], &met, record_free(shm->tag + 1),
						     memory_order_relaxed, memory_order_relaxed))
		return refusal(met, shm);
	pool_count_free(&pool->pool, size);
	buddy_free(&pool->buddy, start, page_count(size));
	return 0;
}

void ist_client_pool_stats(struct ist_client_pool *pool, struct ist_pool_stats *out)
{
	if (!pool || !out)
		return;
	pool_read_counters(&pool->pool, out);
	out->largest_free = buddy_largest(&pool->buddy) * IST_PAGE_SIZE;
}
