/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The client pool: whole pages, in slabs (slab.h).
 *
 * Out of band: the buddy (43 KiB a GiB), and for each page that an allocation starts at a record of 8 bytes and an
 * owner of 4. These are arrays over all pages that cost memory only where allocations have started, in whole host
 * pages.
 */
#ifndef CLIENT_CLIENT_POOL_H
#define CLIENT_CLIENT_POOL_H

#include <isthmus/client.h>

#include "pool/pool.h"

struct ist_client_pool {
	struct pool pool; /* first: a struct pool of kind POOL_CLIENT is one of these */
	struct slabs slabs;
	_Atomic uint64_t *record;
	_Atomic uint32_t *owner; /* of an allocation, at its first page; see record.h for other pages */
	bool direct; /* no magazines, whatever the size; set before the init */
	_Atomic int file; /* descriptor of the file behind the pool + 1, or 0; see share.c */
	uint64_t file_offset; /* of the pool's first byte, once there is a file */
};

/* The largest pool, in bytes: what a record can hold, 4 TiB. */
#define CLIENT_POOL_MAX ((uint64_t)1 << 42)

/* Bytes of zeroed memory, aligned to CACHE_LINE, that a pool of `size` bytes needs. */
size_t client_pool_bytes(size_t size);

/* The pool's place and size are in pool->pool already. Before anybody else knows the pool. 0 or -ENOMEM. */
int client_pool_init(struct ist_client_pool *pool, void *zeroed_memory);
void client_pool_end(struct ist_client_pool *pool);

/* Pages that are allocated, of a direct pool. Exact when nobody is at work on it. */
static inline size_t client_pool_used_pages(const struct ist_client_pool *pool)
{
	return slabs_out(&pool->slabs);
}

/* Whether anything is allocated. Exact when nobody is at work on the pool. */
bool client_pool_is_used(struct ist_client_pool *pool);

/* ist_shm_free for a handle that names this pool. */
int client_pool_free(struct ist_client_pool *pool, struct ist_shm *shm);

/* 0, or the error with which client_pool_free would refuse this handle now. */
int client_pool_check(struct ist_client_pool *pool, const struct ist_shm *shm, bool *isolated);

/* The handle of a live allocation that was found by a walk. -ENOENT: it is not that one any more. */
int client_pool_handle(struct ist_client_pool *pool, const struct ist_client_allocation *found,
                       struct ist_shm *out);

/* Errors of a request that do not depend on the pool's state. */
int client_request_check(const struct ist_client_pool *pool, const struct ist_client_request *request);

/* Allocate for a request that has been checked, without zeroing; `isolated` is recorded for client_pool_free. */
int client_pool_take(struct ist_client_pool *pool, const struct ist_client_request *request, bool isolated,
                     struct ist_shm *out);

/* Give back what client_pool_take took, isolated or not, before anybody else has seen it and with no page remapped. */
void client_pool_abandon(struct ist_client_pool *pool, const struct ist_shm *shm);

#endif
