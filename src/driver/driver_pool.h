/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The driver pool: messages of any size in granules of 8 bytes, in slabs (slab.h).
 *
 * Out of band, per granule: a bit in the buddy, a bit that marks the last granule of a run, and a state byte, of
 * which the first few of an allocation say what there is to know of it (state.h): 10 bits, 16 % of the pool.
 */
#ifndef DRIVER_DRIVER_POOL_H
#define DRIVER_DRIVER_POOL_H

#include "base/tools.h"
#include "base/twin.h"
#include "driver/state.h"
#include "pool/pool.h"

#define DRIVER_GRANULE 8u

/* Check and store in place of the compare-exchange that decides a free. */
#define DRIVER_TWIN_FREE_WITHOUT_EXCHANGE 111

struct ist_driver_pool {
	struct pool pool; /* first: a struct pool of kind POOL_DRIVER is one of these */
	struct slabs slabs;
	_Atomic uint8_t *state;
	_Atomic uint64_t *last;
};

/* Bytes of zeroed memory, aligned to CACHE_LINE, that a pool of `size` bytes needs. */
size_t driver_pool_bytes(size_t size);

/* The pool's place and size are in pool->pool already. Before anybody else knows the pool. 0 or -ENOMEM. */
int driver_pool_init(struct ist_driver_pool *pool, void *zeroed_memory);
void driver_pool_end(struct ist_driver_pool *pool);

/* Whether anything is allocated. Exact when nobody is at work on the pool. */
bool driver_pool_is_used(struct ist_driver_pool *pool);

/* How many granules the run that starts at `start` has, by the next mark; 0 if there is none as far as `most`. */
static inline size_t driver_pool_run(const struct ist_driver_pool *pool, size_t start, size_t most)
{
	size_t at = start, end = start + most;

	do {
		/* Acquire: in driver_pool_free the first byte's compare-exchange comes after it. */
		uint64_t marks =
		        atomic_load_explicit(&pool->last[at / 64], memory_order_acquire) >> (at % 64);

		if (marks)
			return at + bits_lowest(marks) + 1 - start;
		at = (at / 64 + 1) * 64;
	} while (at < end);
	return 0;
}

/* Why a handle that names no live allocation of the pool is refused. */
int driver_pool_refuse(const struct ist_driver_pool *pool, const struct ist_shm *shm);

/* driver_pool_free of what is no class's, once its byte 1 has been seen to say so. */
int driver_pool_free_run(struct ist_driver_pool *pool, const struct ist_shm *shm);

/* The compare-exchange that frees, if it is still what the tag says; and the carry of its use count. */
static inline __attribute__((always_inline)) bool driver_pool_end_life(_Atomic uint8_t *state, uint64_t tag,
                                                                       size_t size)
{
	uint8_t first = state_byte(tag, 0), met = first;

	/*
	 * Acquire: for the case that the place was used again since it was looked at. No release is needed: giving the
	 * run back releases what we did to the memory.
	 */
	if (TWIN_BROKEN(DRIVER_TWIN_FREE_WITHOUT_EXCHANGE))
		atomic_store_explicit(&state[0], state_freed(first), memory_order_relaxed);
	else if (!atomic_compare_exchange_strong_explicit(&state[0], &met, state_freed(first),
	                                                  memory_order_acquire, memory_order_relaxed))
		return false;
	if (state_freed(first) == 0 && size > 2 * DRIVER_GRANULE)
		atomic_store_explicit(&state[2], (uint8_t)((state_byte(tag, 2) + 1) & STATE_USE_HIGH),
		                      memory_order_relaxed);
	return true;
}

/*
 * Whether bytes 1 and 2 are those of a tag. The mark tells one granule from more. Byte 3 follows from the class and
 * the size, which the tag's check holds together.
 */
static inline __attribute__((always_inline)) bool driver_pool_has_bytes(const struct ist_driver_pool *pool,
                                                                        const _Atomic uint8_t *state,
                                                                        size_t start, uint64_t tag,
                                                                        size_t size)
{
	uint64_t marks = atomic_load_explicit(&pool->last[start / 64], memory_order_relaxed);
	bool is_single = size <= DRIVER_GRANULE;

	if ((marks >> (start % 64) & 1) != is_single)
		return false;
	if (__builtin_expect(size > 2 * DRIVER_GRANULE, 1))
		return ((atomic_load_explicit(&state[1], memory_order_relaxed) ^ state_byte(tag, 1)) |
		        (atomic_load_explicit(&state[2], memory_order_relaxed) ^ state_byte(tag, 2))) == 0;
	return is_single || atomic_load_explicit(&state[1], memory_order_relaxed) == state_byte(tag, 1);
}

/* ist_shm_free for a handle that names this pool: obeyed if what it says is what the state bytes say. */
static inline __attribute__((always_inline)) int driver_pool_free(struct ist_driver_pool *pool,
                                                                  const struct ist_shm *shm)
{
	uint64_t tag = shm->tag;
	size_t size = shm->view.size, offset = pool_offset(&pool->pool, shm), start = offset / DRIVER_GRANULE,
	       class, granules;
	_Atomic uint8_t *state = pool->state + start;
	uint8_t first = state_byte(tag, 0);

	/* What is not looked at here, such as where the view ends, follows from the tag's check. */
	if (__builtin_expect(offset >= pool->pool.size || shm->view.paddr - pool->pool.paddr != offset ||
	                             offset % DRIVER_GRANULE || !state_agrees(tag, start, size) ||
	                             !(first & STATE_LIVE) ||
	                             /* Acquire: pairs with bring_to_life in driver_pool.c. */
	                             atomic_load_explicit(&state[0], memory_order_acquire) != first ||
	                             !driver_pool_has_bytes(pool, state, start, tag, size),
	                     0))
		return driver_pool_refuse(pool, shm);
	class = size <= DRIVER_GRANULE ? 1 : state_byte(tag, 1);
	if (__builtin_expect(class == STATE_RUN, 0))
		return driver_pool_free_run(pool, shm);
	if (__builtin_expect(!driver_pool_end_life(state, tag, size), 0))
		return driver_pool_refuse(pool, shm);
	granules = pool->slabs.classes.granules[class - 1];
	tools_freed(pool, shm->view.vaddr, granules * DRIVER_GRANULE);
	if (__builtin_expect(pool->pool.is_careful, 0))
		pool_give_carefully(&pool->pool, &pool->slabs, start, granules, DRIVER_GRANULE);
	else
		slabs_give(&pool->slabs, PERCPU_AT(class - 1), start, granules);
	return 0;
}

#endif
