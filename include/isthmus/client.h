/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* More of the client pool: requests with owner, alignment and place; who owns a page; free space as a figure. */
#ifndef ISTHMUS_CLIENT_H
#define ISTHMUS_CLIENT_H

#include <isthmus/pool.h>

IST_BEGIN_DECLS

/* Old contents stay and no page is touched, as with ist_client_pool_alloc_nozero. */
#define IST_CLIENT_NOZERO 1u
/* Exactly at request.paddr, or not at all. */
#define IST_CLIENT_AT 2u

#define IST_CLIENT_ALIGN_MAX ((size_t)1 << 30)

/* Zero-initialise, then fill in; every 0 means the default. Members may be added at the end. */
struct ist_client_request {
	size_t size; /* bytes */
	size_t align; /* of the physical address, in bytes: a power of two up to 1 GiB; default IST_PAGE_SIZE */
	uint32_t owner; /* a tag of the caller's choice: the guest or client that the memory is for */
	uint32_t flags; /* IST_CLIENT_... */
	uint64_t paddr; /* with IST_CLIENT_AT: where, a multiple of IST_PAGE_SIZE */
};

/*
 * Allocate as asked. Errors and progress as of ist_client_pool_alloc, and
 *   -EINVAL  request is null, an unknown flag is set, align is not a power of two or larger than
 *            IST_CLIENT_ALIGN_MAX, or with IST_CLIENT_AT: the place is not page aligned, not a multiple of align, or
 *            not wholly inside the pool;
 *   -EBUSY   with IST_CLIENT_AT: some of the place is in use.
 * Source: requirements P12, V1.
 */
IST_API int ist_client_pool_alloc_request(struct ist_client_pool *pool,
                                          const struct ist_client_request *request, struct ist_shm *out);

/* A live allocation, as seen by somebody who does not hold it. */
struct ist_client_allocation {
	struct ist_view view;
	uint32_t owner;
};

/*
 * The allocation that holds the page of `paddr`. A snapshot: true at one instant of the call.
 *
 * Returns 0; -EINVAL pool or out is null; -ENOENT the address is not in the pool, or its page is free.
 * Wait-free (at most 64 steps), signal safe. Source: doc/requirements.md, P13.
 */
IST_API int ist_client_pool_find(struct ist_client_pool *pool, uint64_t paddr,
                                 struct ist_client_allocation *out);

/*
 * The first live allocation that starts at `paddr` or above: a walk starts at 0 and goes on behind the last page of
 * what it found. Allocations that come and go during a walk may or may not be seen; those that stay are seen once.
 *
 * Returns 0; -EINVAL pool or out is null; -ENOENT there is none. Lock-free, signal safe.
 */
IST_API int ist_client_pool_next(struct ist_client_pool *pool, uint64_t paddr,
                                 struct ist_client_allocation *out);

/* Free space of a client pool. Counts of pages (4 KiB) and of runs of free pages. */
#define IST_FREE_RUN_CLASSES 32
struct ist_client_pool_space {
	uint64_t pages, free_pages, longest_run;
	uint64_t runs[IST_FREE_RUN_CLASSES]; /* runs[k]: free runs of 2^k to 2^(k+1) - 1 pages */
	uint64_t free_blocks; /* whole free blocks of 512 pages (2 MiB), counted from the pool's start */
	/* 1000 * (1 - longest_run / free_pages): 0 when all that is free is one run, near 1000 when it is dust. */
	uint32_t fragmentation;
};

/* A snapshot as of ist_client_pool_stats, at the same cost. A null pool or out is ignored. */
IST_API void ist_client_pool_space(struct ist_client_pool *pool, struct ist_client_pool_space *out);

/* What an owner holds now, in bytes as asked and in allocations, by a walk; 0 for a null pool. A null out is ignored. */
struct ist_client_owner_use {
	size_t bytes;
	uint64_t allocations;
};
IST_API void ist_client_pool_owner_use(struct ist_client_pool *pool, uint32_t owner,
                                       struct ist_client_owner_use *out);

IST_END_DECLS

#endif
