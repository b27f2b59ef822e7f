/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The client pool: whole pages over the run allocator (buddy.h).
 *
 * Out of band: the buddy (36.6 KiB a GiB) and a record of 8 bytes for each page that an allocation starts at. The
 * records are an array over all pages that costs memory only where allocations have started: 8 bytes for each,
 * in whole host pages.
 */
#ifndef CLIENT_CLIENT_POOL_H
#define CLIENT_CLIENT_POOL_H

#include "buddy/buddy.h"
#include "pool/pool.h"

struct ist_client_pool {
	struct pool pool; /* first: a struct pool of kind POOL_CLIENT is one of these */
	struct buddy buddy;
	_Atomic uint64_t *record;
};

/* The largest pool, in bytes: what a record can hold, 8 TiB. */
#define CLIENT_POOL_MAX ((uint64_t)1 << 43)

/* Bytes of zeroed memory, aligned to CACHE_LINE, that a pool of `size` bytes needs. */
size_t client_pool_bytes(size_t size);

/* The pool's place and size are in pool->pool already. Before anybody else knows the pool. */
void client_pool_init(struct ist_client_pool *pool, void *zeroed_memory);

/* ist_shm_free for a handle that names this pool. */
int client_pool_free(struct ist_client_pool *pool, const struct ist_shm *shm);

#endif
