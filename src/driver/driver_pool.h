/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The driver pool: messages of any size in granules of 8 bytes, in slabs (slab.h).
 *
 * Out of band, per granule: a bit in the buddy, a bit that marks the last granule of a run, and a state byte; the
 * first few of an allocation say what there is to know of it (state.h): 10 bits, 16 % of the pool. And a link for
 * bulk.h, of 32 bits or more, in a mapping of its own, that costs address space only where none is used.
 */
#ifndef DRIVER_DRIVER_POOL_H
#define DRIVER_DRIVER_POOL_H

#include "base/tools.h"
#include "driver/state.h"
#include "pool/pool.h"

#define DRIVER_GRANULE 8u

struct ist_driver_pool {
	struct pool pool; /* first: a struct pool of kind POOL_DRIVER is one of these */
	_Atomic uint8_t *state;
	_Atomic uint64_t *last;
	void *links; /* bulk.h */
	struct slabs slabs;
};

static inline size_t driver_granules(size_t bytes)
{
	return bits_ceil_div(bytes, DRIVER_GRANULE);
}

/* Bytes of zeroed memory, aligned to CACHE_LINE, that a pool of `size` bytes needs. */
size_t driver_pool_bytes(size_t size);

/* The pool's place and size are in pool->pool already. Before anybody else knows the pool. 0 or -ENOMEM. */
int driver_pool_init(struct ist_driver_pool *pool, void *zeroed_memory);
void driver_pool_end(struct ist_driver_pool *pool);

/* Whether anything is allocated. Exact when nobody is at work on the pool. */
bool driver_pool_is_used(struct ist_driver_pool *pool);

/*
 * For a walk over what lives: the first allocation from granule *at on, its granules and the bytes that were asked for. False: there
 * is none. A snapshot: others may be at work.
 */
bool driver_pool_next(const struct ist_driver_pool *pool, size_t *at, size_t *granules, size_t *bytes);

/* As ist_driver_pool_stats. */
void driver_pool_stats(struct ist_driver_pool *pool, struct ist_pool_stats *out);

/* How many granules the run that starts at `start` has, by the next mark; 0 if there is none as far as `most`. */
size_t driver_pool_run(const struct ist_driver_pool *pool, size_t start, size_t most);

/*
 * 0 for the one of several calls that ends the life with this state, which was found at `state`, and this token. -EALREADY:
 * it is not there any more; -EINVAL: there is no such token.
 */
int driver_pool_end_life(struct ist_driver_pool *pool, _Atomic uint8_t *state, enum state_form form,
                         uint32_t live, uint64_t token);

/* ist_shm_free for any handle that names this pool. The error of one that is refused, else 0 and *shm is cleared. */
int driver_pool_free_slow(struct ist_driver_pool *pool, struct ist_shm *shm);

/*
 * For a handle that driver_pool_free_as has found right, when it could not do it all at once: the magazine is full, or the sequence
 * was aborted. `retired`: the life has been ended. A function of its own so that it ends driver_pool_free_as.
 */
int driver_pool_free_apart(struct ist_driver_pool *pool, struct ist_shm *shm, enum arch_retired retired);

/*
 * The same for sizes of this form that have a class, in a pool that is not hardened. All that is wrong, and all that is
 * not of this CPU's token, goes the slow way.
 */
static inline __attribute__((always_inline)) int
driver_pool_free_as(struct ist_driver_pool *pool, struct ist_shm *shm, enum state_form form)
{
	size_t size = shm->view.size, start = shm->index, offset = start * DRIVER_GRANULE;
	enum arch_retired retired = ARCH_REFUSED;

	if (__builtin_expect(pool_offset(&pool->pool, shm) != offset ||
	                             shm->view.paddr - pool->pool.paddr != offset ||
	                             offset >= pool->pool.size ||
	                             !state_is_behind(form, pool->state, start, state_behind(form, size)),
	                     0))
		return driver_pool_free_slow(pool, shm);
	if (!TOOLS_ARE_TOLD)
		retired = percpu_retire_push(&pool->slabs.percpu, shm->token,
		                             slabs_at_sure(&pool->slabs, (size - 1) / DRIVER_GRANULE + 1),
		                             pool->state, start, state_width(form), &shm->generation,
		                             state_number(form, 0, size));
	if (__builtin_expect(retired != ARCH_PUSHED, 0))
		return driver_pool_free_apart(pool, shm, retired);
	*shm = (struct ist_shm){0};
	return 0;
}

/* For sizes that are not among the most usual. */
int driver_pool_free_other(struct ist_driver_pool *pool, struct ist_shm *shm);

/* ist_shm_free for a handle that names this pool, which is not hardened. */
static inline __attribute__((always_inline)) int driver_pool_free(struct ist_driver_pool *pool,
                                                                  struct ist_shm *shm)
{
	if (__builtin_expect(shm->view.size - STATE_LONG_FROM > STATE_SIZES - STATE_LONG_FROM, 0))
		return driver_pool_free_other(pool, shm);
	return driver_pool_free_as(pool, shm, STATE_LONG);
}

#endif
