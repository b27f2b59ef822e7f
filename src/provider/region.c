/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/probe.h"
#include "base/tools.h"
#include "platform/platform.h"
#include "provider/provider.h"

static size_t region_bytes(uint64_t pages)
{
	return bits_round_up(sizeof(struct grown_region), CACHE_LINE) +
	       client_pool_bytes(pages * IST_PAGE_SIZE);
}

/* Under the lock: a parked one of that size, or null. */
static struct grown_region *unpark(struct provider *provider, uint64_t pages)
{
	for (struct grown_region **link = &provider->parked; *link; link = &(*link)->next) {
		struct grown_region *region = *link;

		if (region->pool.pool.size != pages * IST_PAGE_SIZE)
			continue;
		*link = region->next;
		return region;
	}
	return NULL;
}

static void park(struct provider *provider, struct grown_region *region)
{
	region->next = provider->parked;
	provider->parked = region;
}

static void tell(struct ist_client_pool *pool)
{
	struct grown_region *region =
	        (struct grown_region *)(void *)((char *)pool - offsetof(struct grown_region, pool));

	room_tell(region->room, region);
}

/* Bookkeeping for a region, with everything claimed. */
static struct grown_region *make_region(struct provider *provider, uint64_t pages)
{
	size_t bytes = region_bytes(pages);
	struct grown_region *region = platform_map(bytes);

	if (!region)
		return NULL;
	region->bytes = bytes;
	region->pool.pool.kind = POOL_CLIENT;
	region->pool.pool.size = pages * IST_PAGE_SIZE;
	region->pool.direct = true;
	region->pool.tell = tell;
	region->room = &provider->room;
	if (client_pool_init(&region->pool, (char *)region + bits_round_up(sizeof(*region), CACHE_LINE))) {
		platform_unmap(region, bytes);
		return NULL;
	}
	buddy_alloc_at(&region->pool.slabs.buddy, 0, pages);
	return region;
}

/* The lock is not held: a region for these pages that nobody else knows of, and a place for it in the tree. */
static int take_region(struct provider *provider, uint64_t pages, struct grown_region **out)
{
	struct grown_region *region;
	int error;

	pthread_mutex_lock(&provider->lock);
	region = unpark(provider, pages);
	pthread_mutex_unlock(&provider->lock);
	if (!region)
		region = make_region(provider, pages);
	if (!region)
		return -ENOMEM;
	pthread_mutex_lock(&provider->lock);
	error = room_add(&provider->room, region);
	if (error)
		park(provider, region);
	pthread_mutex_unlock(&provider->lock);
	*out = region;
	return error;
}

static void put_region(struct provider *provider, struct grown_region *region)
{
	pthread_mutex_lock(&provider->lock);
	room_remove(&provider->room, region);
	park(provider, region);
	pthread_mutex_unlock(&provider->lock);
}

/* The lock is not held. */
static int open_region(struct provider *provider, const struct grant *grant, struct grown_region **out)
{
	struct grown_region *region;
	int error = take_region(provider, grant->pages, &region);

	if (error)
		return error;
	region->grant = *grant;
	region->pool.pool.vaddr = grant->mapping.vaddr;
	region->pool.pool.paddr = grant->paddr;
	error = pool_register(&region->pool.pool);
	if (error) {
		put_region(provider, region);
		return error;
	}
	tools_pool_made(&region->pool, region->pool.pool.vaddr, region->pool.pool.size);
	PROBE(pool_grown, grant->pages, grant->paddr);
	*out = region;
	return 0;
}

static uint64_t used_pages(const struct grown_region *region)
{
	return client_pool_used_pages(&region->pool);
}

uint64_t region_free_pages(const struct grown_region *region)
{
	return region->pool.pool.size / IST_PAGE_SIZE - used_pages(region);
}

/* What the region is asked for in vain it has not got, unless the place mattered. */
static int alloc_in(struct provider *provider, struct grown_region *region,
                    const struct ist_client_request *request, struct ist_shm *out)
{
	uint64_t pages = bits_ceil_div(request->size, IST_PAGE_SIZE);
	int error = tenants_note(&provider->tenants, request->owner, region);

	if (!error)
		error = client_pool_alloc_request(&region->pool, request, out);
	if (!error)
		room_lower(&provider->room, region, region_free_pages(region));
	else if (error == -ENOSPC && request->align <= IST_PAGE_SIZE)
		room_lower(&provider->room, region, pages - 1);
	return error;
}

static int alloc_where_room_is(struct provider *provider, const struct ist_client_request *request,
                               struct ist_shm *out)
{
	uint64_t pages = bits_ceil_div(request->size, IST_PAGE_SIZE);
	struct grown_region *region;
	int error = -ENOSPC;

	for (uint32_t leaf = 0; error == -ENOSPC && (region = room_find(&provider->room, leaf, pages));
	     leaf = region->place.leaf + 1)
		error = alloc_in(provider, region, request, out);
	return error;
}

/* Under the lock. */
static int alloc_in_regions(struct provider *provider, const struct ist_client_request *request,
                            struct ist_shm *out)
{
	bool is_behind = room_is_behind(
	        &provider->room); /* before we hear: who was counted out by now is heard [provider.E2] */
	int error;

	room_hear(&provider->room);
	error = alloc_where_room_is(provider, request, out);
	if (error == -ENOSPC && is_behind) {
		room_look(&provider->room);
		error = alloc_where_room_is(provider, request, out);
	}
	return error;
}

/* Under the lock. */
static void list_region(struct provider *provider, struct grown_region *region)
{
	region->next = provider->regions;
	provider->regions = region;
	provider->region_count++;
	provider->region_pages += region->pool.pool.size / IST_PAGE_SIZE;
}

/* Under the lock: the region that *link leads to is on no list then. */
static struct grown_region *unlist_region(struct provider *provider, struct grown_region **link)
{
	struct grown_region *region = *link;

	*link = region->next;
	provider->region_count--;
	provider->region_pages -= region->pool.pool.size / IST_PAGE_SIZE;
	tenants_forget(&provider->tenants, region);
	return region;
}

/* Under the lock: the region is open, and the first request is served before anybody can take its place. */
static int publish_region(struct provider *provider, struct grown_region *region,
                          const struct ist_client_request *request, struct ist_shm *out)
{
	buddy_free(&region->pool.slabs.buddy, 0, region->pool.pool.size / IST_PAGE_SIZE);
	list_region(provider, region);
	room_tell(&provider->room, region);
	return alloc_in(provider, region, request, out);
}

/* Reserve the right to grow by so many pages. Under the lock. */
static int plan_growth(struct provider *provider, const struct ist_client_request *request, uint64_t *pages)
{
	uint64_t limit = provider->hooks.max_pages, now = provider->growing + provider->region_pages,
	         align = request->align / IST_PAGE_SIZE;

	if (request->size > CLIENT_POOL_MAX / 4)
		return -ENOSPC;
	/* Enough for any alignment, wherever the pages begin. */
	*pages = bits_ceil_div(request->size, IST_PAGE_SIZE) + (align > 1 ? align - 1 : 0);
	if (*pages < provider->hooks.chunk_pages)
		*pages = provider->hooks.chunk_pages;
	if (limit && (now > limit || *pages > limit - now))
		return -ENOSPC;
	provider->growing += *pages;
	return 0;
}

static int grow(struct provider *provider, const struct ist_client_request *request, uint64_t pages,
                struct ist_shm *out)
{
	struct grown_region *region;
	struct grant grant;
	int error = provider_ask(provider, pages, pages * IST_PAGE_SIZE, 0, IST_PROVIDE_CONTIGUOUS, &grant);

	if (!error) {
		error = open_region(provider, &grant, &region);
		if (error)
			provider_return(provider, &grant);
	}
	pthread_mutex_lock(&provider->lock);
	provider->growing -= pages;
	if (!error)
		error = publish_region(provider, region, request, out);
	pthread_mutex_unlock(&provider->lock);
	return error;
}

/* Whether `pages` fewer of them leave at least `keep`, which may be any number. */
static bool spares(uint64_t free_pages, uint64_t pages, uint64_t keep)
{
	return free_pages >= pages && free_pages - pages >= keep;
}

/* Under the lock: take regions that are free off the list, as long as more than `keep` pages are. */
static struct grown_region *close_some(struct provider *provider, uint64_t keep, bool *all_free)
{
	struct grown_region *closed = NULL, **link = &provider->regions;
	uint64_t free_pages = 0;

	*all_free = true;
	for (struct grown_region *region = provider->regions; region; region = region->next)
		free_pages += region_free_pages(region);
	while (*link) {
		struct grown_region *region = *link;
		uint64_t pages = region->pool.pool.size / IST_PAGE_SIZE;

		if (used_pages(region) != 0)
			*all_free = false;
		if (used_pages(region) != 0 || !spares(free_pages, pages, keep) ||
		    buddy_alloc_at(&region->pool.slabs.buddy, 0, pages)) {
			link = &region->next;
			continue;
		}
		unlist_region(provider, link)->next = closed;
		closed = region;
		free_pages -= pages;
	}
	return closed;
}

/* A region of which everything is claimed goes back; if it cannot, it is open again. */
static bool return_region(struct provider *provider, struct grown_region *region)
{
	struct pool *pool = &region->pool.pool;
	bool returned;

	tools_pool_gone(&region->pool, pool->vaddr, pool->size); /* while the addresses are still its own */
	returned = provider_return(provider, &region->grant) == 0;
	if (returned) {
		pool_unregister(pool);
	} else {
		tools_pool_made(&region->pool, pool->vaddr, pool->size);
		buddy_free(&region->pool.slabs.buddy, 0, pool->size / IST_PAGE_SIZE);
	}
	if (returned) {
		PROBE(pool_shrunk, region->grant.pages, region->grant.paddr);
		put_region(provider, region);
		return true;
	}
	pthread_mutex_lock(&provider->lock);
	list_region(provider, region);
	room_tell(&provider->room, region);
	pthread_mutex_unlock(&provider->lock);
	return false;
}

bool regions_shrink(struct provider *provider, uint64_t keep)
{
	struct grown_region *closed;
	bool all_free;

	pthread_mutex_lock(&provider->lock);
	closed = close_some(provider, keep, &all_free);
	pthread_mutex_unlock(&provider->lock);
	while (closed) {
		struct grown_region *region = closed;

		closed = region->next;
		if (!return_region(provider, region))
			all_free = false;
	}
	return all_free;
}

void regions_count(struct provider *provider, struct ist_provider_stats *out)
{
	struct ist_pool_stats stats;

	for (struct grown_region *region = provider->regions; region; region = region->next) {
		out->regions++;
		out->region_pages += region->pool.pool.size / IST_PAGE_SIZE;
		client_pool_stats(&region->pool, &stats);
		out->region_used += stats.used;
	}
}

void regions_free_memory(struct provider *provider)
{
	while (provider->parked) {
		struct grown_region *region = provider->parked;

		provider->parked = region->next;
		client_pool_end(&region->pool);
		platform_unmap(region, region->bytes);
	}
}

/*
 * Each is freed, by this call or by its holder: what client_pool_free_found refuses otherwise are isolated buffers, of which
 * there are none here, because a region has no file (client_share_set_file).
 */
bool regions_free_owner(struct provider *provider, uint32_t owner, uint64_t *until, uint32_t *budget)
{
	struct stay *stay;

	pthread_mutex_lock(&provider->lock);
	if (provider->has_index && *until == 0)
		*until = provider->tenants.serial;
	while (*budget > 0 && *until > 0 &&
	       (stay = tenants_first(&provider->tenants, owner, *until)) != NULL) {
		if (client_pool_end_owner(&stay->region->pool, owner, &stay->page, budget) == 0)
			tenants_end(&provider->tenants, stay);
	}
	pthread_mutex_unlock(&provider->lock);
	return *until > 0 && *budget == 0;
}

#define LOOK_SHARE 16 /* regions that are counted for each request */

/*
 * What is free beyond the reserve and a chunk more: the next request of the usual size must not bring it back at once. Of many
 * regions, only each so many requests count what is free.
 */
static bool is_too_large(struct provider *provider)
{
	uint64_t free_pages = 0, keep = provider->hooks.keep_pages;

	if (++provider->since_look < provider->region_count / LOOK_SHARE)
		return false;
	provider->since_look = 0;
	for (struct grown_region *region = provider->regions; region; region = region->next)
		free_pages += region_free_pages(region);
	return free_pages > keep && free_pages - keep > provider->hooks.chunk_pages;
}

int provider_client_alloc(struct provider *provider, const struct ist_client_request *request,
                          struct ist_shm *out)
{
	bool shrink = false, grows = false;
	uint64_t pages;
	int error;

	if (request->flags & IST_CLIENT_AT)
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	error = client_pool_alloc_request(provider->client, request, out);
	if (error != -ENOSPC)
		return error;
	error = provider_begin(provider);
	if (error)
		return error;
	pthread_mutex_lock(&provider->lock);
	error = alloc_in_regions(provider, request, out);
	if (!error)
		shrink = is_too_large(provider);
	else if (error == -ENOSPC && plan_growth(provider, request, &pages) == 0)
		grows = true;
	pthread_mutex_unlock(&provider->lock);
	if (grows)
		error = grow(provider, request, pages, out);
	if (shrink)
		regions_shrink(provider, provider->hooks.keep_pages);
	provider_end(provider);
	return error;
}
