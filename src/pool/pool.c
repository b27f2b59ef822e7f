/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pool/pool.h"

void pool_make_shm(const struct pool *pool, size_t offset, size_t size, uint64_t tag, struct ist_shm *out)
{
	out->view.vaddr = pool->vaddr + offset;
	out->view.paddr = pool->paddr + offset;
	out->view.size = size;
	out->pool_slot = pool->slot;
	out->pool_generation = pool->generation;
	out->offset = offset;
	out->tag = tag;
}

bool pool_shm_is_intact(const struct pool *pool, const struct ist_shm *shm)
{
	return shm->offset < pool->size && shm->view.size != 0 &&
	       shm->view.size <= pool->size - shm->offset && shm->view.vaddr == pool->vaddr + shm->offset &&
	       shm->view.paddr == pool->paddr + shm->offset;
}

void pool_count_alloc(struct pool *pool, size_t size)
{
	struct pool_counters *c = &pool->counters;
	size_t used = atomic_fetch_add_explicit(&c->used, size, memory_order_relaxed) + size;
	size_t peak = atomic_load_explicit(&c->peak, memory_order_relaxed);

	while (used > peak && !atomic_compare_exchange_weak_explicit(
	                              &c->peak, &peak, used, memory_order_relaxed, memory_order_relaxed))
		continue; /* ends when the peak is ours or higher */
	atomic_fetch_add_explicit(&c->allocs, 1, memory_order_relaxed);
}

void pool_count_free(struct pool *pool, size_t size)
{
	atomic_fetch_sub_explicit(&pool->counters.used, size, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->counters.frees, 1, memory_order_relaxed);
}

void pool_count_failure(struct pool *pool)
{
	atomic_fetch_add_explicit(&pool->counters.failures, 1, memory_order_relaxed);
}

void pool_count_misuse(struct pool *pool)
{
	atomic_fetch_add_explicit(&pool->counters.misuses, 1, memory_order_relaxed);
}

void pool_read_counters(struct pool *pool, struct ist_pool_stats *out)
{
	struct pool_counters *c = &pool->counters;

	*out = (struct ist_pool_stats){
	        .size = pool->size,
	        .used = atomic_load_explicit(&c->used, memory_order_relaxed),
	        .peak = atomic_load_explicit(&c->peak, memory_order_relaxed),
	        .allocs = atomic_load_explicit(&c->allocs, memory_order_relaxed),
	        .frees = atomic_load_explicit(&c->frees, memory_order_relaxed),
	        .failures = atomic_load_explicit(&c->failures, memory_order_relaxed),
	        .misuses = atomic_load_explicit(&c->misuses, memory_order_relaxed),
	};
}
