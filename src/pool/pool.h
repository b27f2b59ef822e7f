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
	bool zero_on_free;
	bool is_careful; /* something is to be done with freed memory: zero_on_free, or a quarantine */
	uint32_t quarantine;
	struct pool_counters counters;
};

/*
 * The registry: slot numbers for pools, any number of them. pool_register gives pool->slot and pool->generation;
 * -ENOMEM when there is no memory for another slot. A slot is used again after pool_unregister, with the next
 * generation. Both may block (they take a mutex: control path).
 */
int pool_register(struct pool *pool);
void pool_unregister(struct pool *pool);

/* A slot of the registry: the generation is odd while a pool lives in it and even while not; a handle has the odd one. */
struct pool_slot {
	_Atomic uint32_t generation;
	uint32_t next_unused; /* under the mutex */
	struct pool *_Atomic pool;
};

#define POOL_FIRST_SLOTS 64u
extern struct pool_slot
        *_Atomic pool_first_slots; /* slots 1 to POOL_FIRST_SLOTS; null until there is a pool */
struct pool *pool_find_slow(uint32_t slot, uint32_t generation);

/*
 * The pool that was given this slot and generation, or null when it is gone, and always in a forked child of the
 * process that registered it. Wait-free, signal safe.
 */
static inline struct pool *pool_find(uint32_t slot, uint32_t generation)
{
	/* Acquire: pairs with the release in make_slot (registry.c). */
	struct pool_slot *first = atomic_load_explicit(&pool_first_slots, memory_order_acquire);

	if (__builtin_expect(slot - 1 < POOL_FIRST_SLOTS && first && generation % 2 == 1, 1)) {
		/* Acquire: pairs with pool_register. */
		if (atomic_load_explicit(&first[slot - 1].generation, memory_order_acquire) == generation)
			return atomic_load_explicit(&first[slot - 1].pool, memory_order_relaxed);
		return NULL;
	}
	return pool_find_slow(slot, generation);
}

/* False in a child of a fork: no handle means anything there. */
bool pool_registry_is_ours(void);

/*
 * The high half of a handle's tag: a check of its place (in granules) and size, so that a handle that was changed is
 * told from a stale one. Never the same for two places or for two sizes below 4 GiB;
 * for both changed at once, once in 2^32.
 */
static inline uint32_t pool_tag_check(size_t start, size_t size)
{
	return (uint32_t)start * UINT32_C(0x9e3779b1) ^ (uint32_t)size;
}

/* Fill in a handle for the allocation of `size` bytes at `offset`; `tag` says which use of that place it is. */
static inline void pool_make_shm(const struct pool *pool, size_t offset, size_t size, uint64_t tag,
                                 struct ist_shm *out)
{
	out->view.vaddr = pool->vaddr + offset;
	out->view.paddr = pool->paddr + offset;
	out->view.size = size;
	out->pool_slot = pool->slot;
	out->pool_generation = pool->generation;
	out->tag = tag;
}

/* Where in the pool a handle says that its allocation lies; anything at all if it is not intact. */
static inline size_t pool_offset(const struct pool *pool, const struct ist_shm *shm)
{
	return (size_t)((uintptr_t)shm->view.vaddr - (uintptr_t)pool->vaddr);
}

/* Whether a handle's view is one that pool_make_shm could have given it. */
static inline bool pool_shm_is_intact(const struct pool *pool, const struct ist_shm *shm)
{
	size_t offset = pool_offset(pool, shm);

	return offset < pool->size && shm->view.paddr - pool->paddr == offset &&
	       shm->view.size - 1 < pool->size - offset;
}

/* Give back `count` granules of `granule` bytes as the pool's options want it. For pools that are careful. */
void pool_give_carefully(struct pool *pool, struct slabs *slabs, size_t start, size_t count, size_t granule);

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
