/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What the two kinds of pool have in common: where they lie, their counters, and the registry through which a
 * handle finds its pool again, or finds out that the pool is gone.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <isthmus/pool.h>

#include <stdatomic.h>

#include "base/bits.h"
#include "slab/slab.h"

enum pool_kind {
	POOL_DRIVER,
	POOL_CLIENT,
};

/* What is counted where it happens; the rest comes from the pool's own bookkeeping. Relaxed: they order nothing. */
struct pool_counters {
	_Alignas(CACHE_LINE) _Atomic size_t peak; /* exact bytes, as of the last look at statistics */
	_Atomic uint64_t failures;
	_Atomic uint64_t misuses;
};

struct pool {
	enum pool_kind kind;
	uint32_t slot; /* in the registry */
	uint32_t generation;
	char *vaddr;
	uint64_t paddr;
	size_t size; /* bytes, a multiple of IST_PAGE_SIZE */
	struct pool_counters counters;
};

/*
 * The registry: slot numbers for pools, any number of them. pool_register gives pool->slot and pool->generation;
 * -ENOMEM when there is no memory for another slot. A slot is used again after pool_unregister, with the next
 * generation. Both may block (they take a mutex: control path).
 */
int pool_register(struct pool *pool);
void pool_unregister(struct pool *pool);

/*
 * The pool that was given this slot and generation, or null when it is gone, and always in a forked child of the
 * process that registered it. Wait-free, signal safe.
 */
struct pool *pool_find(uint32_t slot, uint32_t generation);

/* False in a child of a fork: no handle means anything there. */
bool pool_registry_is_ours(void);

/* Fill in a handle for the allocation of `size` bytes at `offset`; `tag` says which use of that place it is. */
void pool_make_shm(const struct pool *pool, size_t offset, size_t size, uint64_t tag, struct ist_shm *out);

/* Whether a handle's view is the one that pool_make_shm gave it, as far as the handle itself can tell. */
bool pool_shm_is_intact(const struct pool *pool, const struct ist_shm *shm);

void pool_count_failure(struct pool *pool);
void pool_count_misuse(struct pool *pool);

/* What a walk over a pool's live allocations finds. */
struct pool_use {
	size_t bytes; /* as asked */
	size_t longest_gap; /* granules between two of them, or one and an end of the pool */
};

/* Statistics of a pool with granules of `granule` bytes that is used like this. */
void pool_read_stats(struct pool *pool, struct slabs *slabs, size_t granule, const struct pool_use *use,
                     struct ist_pool_stats *out);

#endif
