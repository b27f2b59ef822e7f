/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The client pool: whole pages, in slabs (slab.h).
 *
 * Out of band: the buddy (43 KiB a GiB), and for each page that an allocation starts at a record of 8 bytes and an
 * owner of 4. These are arrays over all pages that cost memory only where allocations have started, in whole host
 * pages; and the tags (tags.h), 64 KiB a GiB that cost memory where owners have something.
 */
#ifndef CLIENT_CLIENT_POOL_H
#define CLIENT_CLIENT_POOL_H

#include <isthmus/client.h>

#include "client/tags.h"
#include "pool/pool.h"

struct ist_client_pool {
	struct pool pool; /* first: a struct pool of kind POOL_CLIENT is one of these */
	struct slabs slabs;
	_Atomic uint64_t *record;
	_Atomic uint32_t *owner; /* of an allocation, at its first page; see record.h for other pages */
	struct tags tags; /* where owners may have something */
	bool direct; /* no magazines, whatever the size; set before the init */
	void (*tell)(struct ist_client_pool *pool); /* if not null: after something was freed; lock-free */
	_Atomic int file; /* descriptor of the file behind the pool + 1, or 0; see share.c */
	uint64_t file_offset; /* of the pool's first byte, once there is a file */
	_Atomic uint64_t lost; /* runs that are out of the buddy for ever; see share.c */
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

/* Whether anything is allocated; what was lost is not. Exact when nobody is at work on the pool. */
bool client_pool_is_used(struct ist_client_pool *pool);

/* As the functions of isthmus/client.h and isthmus/pool.h. */
int client_pool_alloc(struct ist_client_pool *pool, size_t size, struct ist_shm *out);
int client_pool_alloc_request(struct ist_client_pool *pool, const struct ist_client_request *request,
                              struct ist_shm *out);
int client_pool_find(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out);
int client_pool_next(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out);
void client_pool_owner_use(struct ist_client_pool *pool, uint32_t owner, struct ist_client_owner_use *out);
void client_pool_space(struct ist_client_pool *pool, struct ist_client_pool_space *out);
void client_pool_stats(struct ist_client_pool *pool, struct ist_pool_stats *out);

/* ist_shm_free for a handle that names this pool. */
int client_pool_free(struct ist_client_pool *pool, struct ist_shm *shm);

/* 0, or the error with which client_pool_free would refuse this handle now. */
int client_pool_check(struct ist_client_pool *pool, const struct ist_shm *shm, bool *isolated);

/*
 * Free an allocation that was found by a walk, on behalf of whoever holds it; safe against the holder's own free and any
 * other. 0: it was this call that freed it. -ENOENT: it is not that one any more, somebody else has freed it. Another
 * error, of one that was isolated: its pages cannot be put back, it lives on as before; try again. The first call of a
 * while makes a fence, a system call.
 */
int client_pool_free_found(struct ist_client_pool *pool, const struct ist_client_allocation *found);

/* The next live allocation that starts at a page from `page` on and below `limit`: its pages from *start to *end. False: none. */
bool client_pool_next_live(struct ist_client_pool *pool, size_t page, size_t limit, size_t *start,
                           size_t *end, struct ist_client_allocation *found);

/*
 * For the end of an owner: free what of his starts at *page or behind, up to *budget allocations; *page is where to go on, *budget
 * what is left of it. 0: that was all; 1: there may be more; -ENOMEM: the system refuses what an isolated buffer at *page
 * needs, try again. One call at a time (tags.h). The time goes with what he has, and a load for each 32,768 pages.
 */
int client_pool_end_owner(struct ist_client_pool *pool, uint32_t owner, uint64_t *page, uint32_t *budget);

/* The record of a live allocation that was found by a walk. -ENOENT: it is not that one any more. */
int client_pool_record(struct ist_client_pool *pool, const struct ist_client_allocation *found,
                       uint64_t *record);

/* Errors of a request that do not depend on the pool's state. */
int client_request_check(const struct ist_client_pool *pool, const struct ist_client_request *request);

/* A run that is ours and that nobody knows of yet: neither a walk nor the end of an owner finds it. */
struct client_claim {
	size_t start;
	uint64_t token;
};

/* Claim a run for a request that has been checked. Then either publish or unclaim. */
int client_pool_claim(struct ist_client_pool *pool, const struct ist_client_request *request,
                      struct client_claim *out);
void client_pool_unclaim(struct ist_client_pool *pool, const struct ist_client_request *request,
                         const struct client_claim *claim);

/*
 * Make an allocation of it, when all else is done: from now on it may be freed at any time, by the end of its owner.
 * `isolated` is recorded for client_pool_free.
 */
void client_pool_publish(struct ist_client_pool *pool, const struct ist_client_request *request,
                         const struct client_claim *claim, bool isolated, struct ist_shm *out);

#endif
