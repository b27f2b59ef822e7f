/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A peer: one allocator that the traffic is replayed through. All of them get the same two pools in the same memory
 * and the same duties: driver memory aligned to 8 bytes with its old contents; client memory in whole pages, zeroed
 * to the end of its last page when asked. The replay knows nothing else about them.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <isthmus/isthmus.h>

enum pool {
	POOL_DRIVER,
	POOL_CLIENT,
	POOL_COUNT,
};

/* The carve-out: the driver pool first, the client pool behind it. Whole pages, page aligned. */
struct region {
	unsigned char *vaddr;
	uint64_t paddr;
	size_t driver_size;
	size_t client_size;
};

static inline unsigned char *region_pool(const struct region *region, enum pool pool)
{
	return region->vaddr + (pool == POOL_CLIENT ? region->driver_size : 0);
}

static inline size_t region_pool_size(const struct region *region, enum pool pool)
{
	return pool == POOL_CLIENT ? region->client_size : region->driver_size;
}

/* One allocation, as the peer needs it to free it. */
struct block {
	void *vaddr;
	uint64_t paddr; /* where the peer knows it */
	size_t size; /* as asked */
	struct ist_shm shm; /* isthmus only */
};

struct peer {
	const char *name;
	bool knows_physical; /* to_phys and to_virt exist, block.paddr is set */

	/*
	 * Make the two pools over `region`. Returns 0 and the state in *out; -ENOSPC when the region is too small for
	 * this peer, or another negative errno value. The destroy call follows when everything is freed.
	 */
	int (*create)(const struct region *region, void **out);
	void (*destroy)(void *state);

	/* What a thread needs for itself; may be absent. thread_begin returns null when it could not be had. */
	void *(*thread_begin)(void *state);
	void (*thread_end)(void *state, void *thread);

	/* Returns 0, or -ENOSPC for a refusal; anything else is a fault of the peer. */
	int (*alloc)(void *state, void *thread, enum pool pool, size_t size, bool zero, struct block *out);
	int (*release)(void *state, void *thread, enum pool pool, struct block *block);

	int (*to_phys)(void *state, const void *vaddr, size_t size, uint64_t *out);
	int (*to_virt)(void *state, uint64_t paddr, size_t size, void **out);
};

extern const struct peer peer_isthmus;
extern const struct peer peer_bestfit;
extern const struct peer peer_jemalloc;

/*
 * Whether the jemalloc peer can be used; *why is then null, or one line that says why not. Loads the library
 * privately on the first call; to make room for it, that may replace the process by itself once (`argv` is what
 * main got), so call it before anything else.
 */
bool peer_jemalloc_available(char **argv, const char **why);

static inline size_t round_to_pages(size_t size)
{
	return (size + IST_PAGE_SIZE - 1) & ~(size_t)(IST_PAGE_SIZE - 1);
}

#endif
