/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What a provider has handed out: mappings, and regions of the client pool. Under one mutex, which is never held while the
 * provider is called, or while the control path of mappings waits.
 *
 * A region is a client pool of its own over one stretch of pages. It is closed by claiming all of it, which succeeds only when
 * nothing in it is allocated and lets nothing be allocated afterwards. A thread that is about to leave ist_shm_free may still be
 * raising the bounds of its bookkeeping then; so the bookkeeping is never given back before the manager is destroyed
 * but waits, with everything claimed, for the next region of the same size, which begins by releasing all of it.
 *
 * A thread that stops inside the provider keeps its own request waiting, nobody else's.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <isthmus/provider.h>

#include <pthread.h>

#include "client/client_pool.h"
#include "space/space.h"
#include "provider/room.h"
#include "provider/tenants.h"

/* One answer of the provider that was mapped. */
struct grant {
	struct ist_mapping mapping;
	uint64_t cookie, pages, paddr; /* paddr: of the first page */
};

struct grown_region {
	struct ist_client_pool pool;
	struct grant grant;
	struct room *room; /* to hear of what is freed, without the lock */
	struct room_place place;
	uint32_t stays; /* of owners, a list */
	size_t bytes; /* of this and the pool's bookkeeping */
	struct grown_region *next;
};

struct provider {
	struct space *space;
	struct ist_client_pool *client; /* the pool that grows */
	pthread_mutex_t lock; /* nests inside space.lock */
	struct ist_provider hooks; /* the caller's */
	bool set;
	struct slots items; /* struct item: mappings of ist_provider_alloc */
	struct index by_slot;
	bool has_index;
	uint32_t unused, live;
	struct grown_region *regions, *parked;
	struct room room; /* of those on the list of regions */
	struct tenants tenants; /* from when has_index is set */
	uint64_t region_count, region_pages; /* on the list of regions */
	uint64_t since_look; /* requests served since somebody last counted what is free */
	uint64_t growing; /* pages that calls under way are asking for */
	uint64_t calls; /* under way, so that the provider stays */
	struct ist_provider_stats stats;
};

void provider_init(struct provider *provider, struct space *space, struct ist_client_pool *client);
/* At the end of the manager: gives back all that is free; -EBUSY if something is in use. Then, once that answered 0: */
int provider_settle(struct provider *provider);
void provider_drop(struct provider *provider);

/* Around whatever calls the provider, so that it stays the same. -ENODEV, -EDEADLK */
int provider_begin(struct provider *provider);
void provider_end(struct provider *provider);

/* As the functions of isthmus/provider.h. */
int provider_set(struct provider *provider, const struct ist_provider *from);
int provider_alloc(struct provider *provider, size_t size, uint32_t owner, struct ist_mapping *out);
int provider_free(struct provider *provider, const struct ist_mapping *mapping);
int provider_client_alloc(struct provider *provider, const struct ist_client_request *request,
                          struct ist_shm *out);
int provider_trim(struct provider *provider);
int provider_drain(struct provider *provider);
void provider_stats(struct provider *provider, struct ist_provider_stats *out);
int provider_cache_get(struct provider *provider, struct ist_provider_cache *cache, uint32_t type,
                       size_t size, uint32_t owner, struct ist_mapping *out);
int provider_cache_clear(struct provider *provider, struct ist_provider_cache *cache);

/*
 * Ask the provider, check and map what it hands out (grant.c). The lock is not held. Errors as of ist_provider_alloc, and then
 * everything has been given back.
 */
int provider_ask(struct provider *provider, uint64_t pages, size_t size, uint32_t owner, unsigned flags,
                 struct grant *out);
/* End the mapping if it has not ended, wait until it is unmapped, give the pages back. -ENOENT, -EDEADLK and others: not done. */
int provider_return(struct provider *provider, const struct grant *grant);
/* Whether the mapping of the grant has ended and is unmapped. */
bool provider_has_ended(struct provider *provider, const struct grant *grant);

/* Close what is free beyond so many pages (region.c). Whether there was nothing in use. */
bool regions_shrink(struct provider *provider, uint64_t keep);
/* Under the lock. */
void regions_count(struct provider *provider, struct ist_provider_stats *out);
void regions_free_memory(struct provider *provider);
uint64_t region_free_pages(const struct grown_region *region);
/*
 * For teardown: free the owner's memory in the regions, up to *budget allocations. *until is 0 to begin with. Whether there may be
 * more; what he gets meanwhile is not looked for, so it ends.
 */
bool regions_free_owner(struct provider *provider, uint32_t owner, uint64_t *until, uint32_t *budget);

#endif
