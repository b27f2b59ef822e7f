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
	bool is_simple; /* a driver pool that is not hardened: the fast path of ist_shm_free */
	uint64_t key; /* of its slot in the registry, and in handles: {generation 32, slot 32} */
	char *vaddr;
	uint64_t paddr;
	size_t size; /* bytes, a multiple of IST_PAGE_SIZE */
	bool zero_on_free;
	bool is_hardened; /* something is to be done with freed memory: zero_on_free, or a quarantine */
	uint32_t quarantine;
	struct pool_counters counters;
};

/*
 * The registry: slots for pools, any number of them. pool_register gives pool->key; -ENOMEM when there is no memory for
 * another slot. A slot is used again after pool_unregister, with the next generation. Both may block (they take a
 * mutex: control path).
 */
int pool_register(struct pool *pool);
void pool_unregister(struct pool *pool);

/* A slot of the registry. The key is that of the pool that lives in it, 0 if none does; a pool's key is never 0. */
struct pool_slot {
	_Atomic uint64_t key;
	_Atomic uint64_t simple_key,
	        client_key; /* the same if the pool is simple, or a client pool, else 0 */
	struct pool *_Atomic pool;
	_Atomic uint32_t mark; /* of one behind the last: not 0, but in a forked child */
	uint32_t unused[7];
};
_Static_assert(sizeof(struct pool_slot) == 64, "a power of two is found with a shift");

/*
 * Slots 1 to POOL_FIRST_SLOTS - 1, and in place 0 one that nobody's key fits, which stays so in a forked child. As many
 * without a pool until there is one.
 */
#define POOL_FIRST_SLOTS 64u
extern struct pool_slot *_Atomic pool_first_slots __attribute__((visibility("hidden")));

/*
 * The pool that was given this key, or null when it is gone, and always in a forked child of the process that
 * registered it. Wait-free, signal safe.
 */
struct pool *pool_find(uint64_t key);

/* The slot that a key names, or another one; whether it is the key's the next two tell. */
static inline __attribute__((always_inline)) const struct pool_slot *pool_first_slot(uint64_t key)
{
	/* Acquire: pairs with the release in make_slot (registry.c). */
	return atomic_load_explicit(&pool_first_slots, memory_order_acquire) + (key & (POOL_FIRST_SLOTS - 1));
}

static inline bool pool_is_simple(const struct pool_slot *slot, uint64_t key)
{
	return atomic_load_explicit(&slot->simple_key, memory_order_acquire) == key; /* pool_register */
}

static inline bool pool_is_client(const struct pool_slot *slot, uint64_t key)
{
	return atomic_load_explicit(&slot->client_key, memory_order_acquire) == key; /* pool_register */
}

static inline struct pool *pool_in(const struct pool_slot *slot)
{
	return atomic_load_explicit(&slot->pool, memory_order_relaxed);
}

/* False in a child of a fork: no handle means anything there. */
bool pool_registry_is_ours(void);

/* Fill in what a handle for the allocation of `size` bytes at `offset` has in both kinds of pool. */
static inline void pool_make_shm(const struct pool *pool, size_t offset, size_t size, struct ist_shm *out)
{
	out->view.vaddr = pool->vaddr + offset;
	out->view.paddr = pool->paddr + offset;
	out->view.size = size;
	out->pool = pool->key;
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

/* Give back `count` granules of `granule` bytes as the pool's options want it. For Pools that are hardened. */
void pool_give_hardened(struct pool *pool, struct slabs *slabs, size_t start, size_t count, size_t granule);

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
