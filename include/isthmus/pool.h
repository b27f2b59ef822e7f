/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The two pools of a manager: messages between driver and peer, and page-aligned client buffers. */
#ifndef ISTHMUS_POOL_H
#define ISTHMUS_POOL_H

#include <isthmus/shm.h>

IST_BEGIN_DECLS

/* Distinct types on purpose: a driver message cannot be taken from the client pool by mistake. */
struct ist_driver_pool;
struct ist_client_pool;

/*
 * Allocate `size` bytes of message memory, aligned to 8 bytes. Old contents stay: what the last owner or the peer
 * wrote there is still to be seen, so initialise what you send.
 *
 * Returns 0 and the allocation in *out (what *out held before is overwritten, not freed);
 *   -EINVAL  pool or out is null, or size is 0;
 *   -ENOSPC  no sufficient free run exists anywhere in the pool. A run that another thread's running call has
 *            begun to take counts as taken. Free memory in per-CPU caches is fetched back first, which takes a
 *            system call or two (membarrier).
 *   -ECHILD  this process is a child of the one that made the manager, by fork.
 *
 * Never blocks, takes no lock, allocates nothing from the heap; usable in a signal handler. Lock-free: a thread
 * that stops anywhere inside holds back at most its own request.
 * Source: requirements P1, P4, P11.
 */
IST_API int ist_driver_pool_alloc(struct ist_driver_pool *pool, size_t size, struct ist_shm *out);

/*
 * Messages by pointer, for drivers that fill rings: `count` messages of `size` bytes each, all or none. Out of the same
 * memory as those with handles, of the same sizes, aligned alike, and beside them; each is its own to free.
 *
 * Returns 0 and the messages' addresses in out[0] to out[count - 1];
 *   -EINVAL  pool or out is null, or size or count is 0;
 *   -ENOSPC  at some instant of the call there was no free run for one more of them anywhere in the pool; what the
 *            call had got by then counts as taken for others, and is given back;
 *   -ECHILD  this process is a child of the one that made the manager, by fork.
 * On an error nothing was written to out.
 *
 * Never blocks, takes no lock, allocates nothing from the heap; usable in a signal handler. Lock-free: a thread
 * that stops anywhere inside holds back at most what it asked for.
 * Source: requirements P1, P4, P11.
 */
IST_API int ist_driver_pool_alloc_bulk(struct ist_driver_pool *pool, size_t size, unsigned count, void **out);

/*
 * Free every message of this pool that starts at one of `count` addresses, however it was allocated, of any sizes. A
 * handle whose message was freed like this is refused afterwards as any stale one is. Each element is read once. Any thread may
 * free what another one allocated.
 *
 * Returns 0, or the error of the first that is refused, when all others have been freed;
 *   -EINVAL    pool is null, or vaddrs is while count is not 0 (then nothing happens); an address outside of the pool, or
 *              inside of a message but not where it starts;
 *   -EALREADY  what starts there is free already, or was never allocated. Exact while the memory is free: an address
 *              whose place was handed out again since is not told from that of its next owner. (Handles are.) Of several frees
 *              of one message at the same instant one is obeyed, as with ist_shm_free;
 *   -ECHILD    this process is a child of the one that made the manager, by fork; nothing happens.
 * The pool counts a misuse for each address that is refused.
 *
 * Never blocks, takes no lock, allocates nothing from the heap; usable in a signal handler. For a message that was allocated
 * with a handle, or with up to 16 bytes, it may make a system call (membarrier) as ist_shm_free does on another CPU:
 * mixing the two is slower than either. What is refused takes time that grows with the length of the message around it.
 * Source: requirements P7, P17.
 */
IST_API int ist_driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count);

/*
 * The physical address of a message, or of any byte of one: arithmetic, no lookup. Only for addresses in the pool, of others
 * the result means nothing; 0 for a null pool. Wait-free, signal safe.
 */
IST_API uint64_t ist_driver_pool_paddr(const struct ist_driver_pool *pool, const void *vaddr);

/*
 * Allocate `size` bytes of client memory: whole pages, aligned to IST_PAGE_SIZE, and zeroed to the end of the last
 * page (the peer may write to free memory at any time, so memory known to be zero does not exist). view.size is
 * the size asked for.
 *
 * Errors and progress as ist_driver_pool_alloc; the zeroing takes time in proportion to the size.
 * Source: requirements P5, P6.
 */
IST_API int ist_client_pool_alloc(struct ist_client_pool *pool, size_t size, struct ist_shm *out);

/* The same without zeroing: old contents stay, and no page of the pool is touched. */
IST_API int ist_client_pool_alloc_nozero(struct ist_client_pool *pool, size_t size, struct ist_shm *out);

/* What a pool can say of itself. Bytes, except the four counts of calls. */
struct ist_pool_stats {
	size_t size; /* bytes of the pool */
	size_t used; /* handed out now, as asked */
	/*
	 * High-water mark of used: exact for the moments at which somebody read these statistics; of others only what
	 * went past the per-CPU caches is seen, and its bytes are estimated from what was asked for on the whole.
	 */
	size_t peak;
	size_t largest_free; /* the largest request that would succeed now, cached memory included */
	size_t cached; /* free bytes held in per-CPU caches, and held back by a quarantine */
	uint64_t allocs; /* successful allocations since creation */
	uint64_t frees; /* successful frees */
	uint64_t failures; /* allocations answered with -ENOSPC */
	uint64_t misuses; /* frees answered with an error that could be laid at this pool's door */
};

/*
 * A snapshot; exact when nobody else is at work on the pool, approximate member by member otherwise. A null pool
 * or out is ignored. Reads the pool's bookkeeping from end to end (a 1 GiB client pool: 32 KiB) and visits every live
 * allocation; never blocks, takes no lock, usable in a signal handler. Source: doc/requirements.md, P14.
 */
IST_API void ist_driver_pool_stats(struct ist_driver_pool *pool, struct ist_pool_stats *out);
IST_API void ist_client_pool_stats(struct ist_client_pool *pool, struct ist_pool_stats *out);

IST_END_DECLS

#endif
