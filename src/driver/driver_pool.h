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

#include "pool/pool.h"

#define DRIVER_GRANULE 8u

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

/* ist_shm_free for a handle that names this pool. */
int driver_pool_free(struct ist_driver_pool *pool, const struct ist_shm *shm);

#endif
