/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pool/pool.h"

#include <string.h>

#include "base/probe.h"
#include "base/tools.h"

void pool_give_hardened(struct pool *pool, struct slabs *slabs, size_t start, size_t count, size_t granule)
{
	char *at = pool->vaddr + start * granule;

	if (pool->zero_on_free) {
		tools_borrow(at, count * granule);
		memset(at, 0, count * granule);
		tools_return(at, count * granule);
	}
	if (slabs->quarantine.count)
		slabs_give_later(slabs, start, count);
	else
		slabs_give_run(slabs, start, count, 0);
}

void pool_count_failure(struct pool *pool)
{
	atomic_fetch_add_explicit(&pool->counters.failures, 1, memory_order_relaxed);
	PROBE(exhausted, (int)pool->kind, (uintptr_t)pool);
}

void pool_count_misuse(struct pool *pool)
{
	atomic_fetch_add_explicit(&pool->counters.misuses, 1, memory_order_relaxed);
	PROBE(misuse, (int)pool->kind, (uintptr_t)pool);
}

/* The slow paths' peak is in granules; as many bytes of it were asked for as of what they granted on the whole. */
static size_t estimated_peak(const struct slab_counts *counts)
{
	__extension__ typedef unsigned __int128 wide;

	return counts->granted ? (size_t)((wide)counts->peak * counts->asked / counts->granted) : 0;
}

static size_t raise_exact_peak(struct pool *pool, size_t to)
{
	size_t peak = atomic_load_explicit(&pool->counters.peak, memory_order_relaxed);

	while (to > peak &&
	       !atomic_compare_exchange_weak_explicit(&pool->counters.peak, &peak, to, memory_order_relaxed,
	                                              memory_order_relaxed))
		continue; /* ends when the peak is ours or higher */
	return to > peak ? to : peak;
}

void pool_read_stats(struct pool *pool, struct slabs *slabs, size_t granule, const struct pool_use *use,
                     struct ist_pool_stats *out)
{
	struct pool_counters *c = &pool->counters;
	struct slab_counts counts;

	slabs_count(slabs, &counts);
	*out = (struct ist_pool_stats){
	        .size = pool->size,
	        .used = use->bytes,
	        .peak = bits_min(raise_exact_peak(pool, bits_max(use->bytes, estimated_peak(&counts))),
	                         pool->size),
	        .largest_free = use->longest_gap * granule,
	        .cached = counts.cached * granule,
	        .allocs = counts.allocs,
	        .frees = counts.frees,
	        .failures = atomic_load_explicit(&c->failures, memory_order_relaxed),
	        .misuses = atomic_load_explicit(&c->misuses, memory_order_relaxed),
	};
}
