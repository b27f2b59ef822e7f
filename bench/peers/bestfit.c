/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A mutex-protected best-fit region list per pool, the usual way to manage such a carve-out in a driver. Client
 * requests are rounded up to whole pages here: leaving the tails free would serve nobody (they never start on a
 * page) and would only lengthen its searches.
 */
#include "peer.h"
#include "region_list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct bestfit_pool {
	pthread_mutex_t mutex;
	struct region_list list;
};

struct bestfit_state {
	struct region region;
	struct bestfit_pool pools[POOL_COUNT];
};

static void bestfit_destroy(void *state)
{
	struct bestfit_state *self = state;
	int pool;

	for (pool = 0; pool < POOL_COUNT; pool++) {
		region_list_fini(&self->pools[pool].list);
		pthread_mutex_destroy(&self->pools[pool].mutex);
	}
	free(self);
}

static int bestfit_create(const struct region *region, void **out)
{
	struct bestfit_state *self = calloc(1, sizeof(*self));
	bool ok = true;
	enum pool pool;

	if (!self)
		return -ENOMEM;
	self->region = *region;
	for (pool = 0; pool < POOL_COUNT; pool++) {
		pthread_mutex_init(&self->pools[pool].mutex, NULL);
		ok &= region_list_init(&self->pools[pool].list, (uintptr_t)region_pool(region, pool),
		                       region_pool_size(region, pool));
	}
	if (!ok) {
		bestfit_destroy(self);
		return -ENOMEM;
	}
	*out = self;
	return 0;
}

static size_t rounded(enum pool pool, size_t size)
{
	return pool == POOL_CLIENT ? round_to_pages(size) : (size + 7) & ~(size_t)7;
}

static int bestfit_alloc(void *state, void *thread, enum pool pool, size_t size, bool zero, struct block *out)
{
	struct bestfit_state *self = state;
	struct bestfit_pool *from = &self->pools[pool];
	uintptr_t base;

	(void)thread;
	if (size == 0 || size > region_pool_size(&self->region, pool))
		return -ENOSPC;
	pthread_mutex_lock(&from->mutex);
	base = region_list_take(&from->list, rounded(pool, size), pool == POOL_CLIENT ? IST_PAGE_SIZE : 8);
	pthread_mutex_unlock(&from->mutex);
	if (!base)
		return -ENOSPC;
	out->vaddr = (void *)base;
	out->paddr = self->region.paddr + (base - (uintptr_t)self->region.vaddr);
	out->size = size;
	if (zero)
		memset(out->vaddr, 0, rounded(pool, size));
	return 0;
}

static int bestfit_release(void *state, void *thread, enum pool pool, struct block *block)
{
	struct bestfit_pool *to = &((struct bestfit_state *)state)->pools[pool];
	bool ok;

	(void)thread;
	pthread_mutex_lock(&to->mutex);
	ok = region_list_give(&to->list, (uintptr_t)block->vaddr, rounded(pool, block->size));
	pthread_mutex_unlock(&to->mutex);
	return ok ? 0 : -EINVAL;
}

/* One mapping and nothing to look up: bounds, then an addition. */
static int bestfit_to_phys(void *state, const void *vaddr, size_t size, uint64_t *out)
{
	const struct region *region = &((struct bestfit_state *)state)->region;
	uint64_t offset = (uint64_t)(uintptr_t)vaddr - (uint64_t)(uintptr_t)region->vaddr;
	uint64_t whole = region->driver_size + region->client_size;

	if (size == 0 || offset >= whole || size > whole - offset)
		return -ENOENT;
	*out = region->paddr + offset;
	return 0;
}

static int bestfit_to_virt(void *state, uint64_t paddr, size_t size, void **out)
{
	const struct region *region = &((struct bestfit_state *)state)->region;
	uint64_t offset = paddr - region->paddr;
	uint64_t whole = region->driver_size + region->client_size;

	if (size == 0 || offset >= whole || size > whole - offset)
		return -ENOENT;
	*out = region->vaddr + offset;
	return 0;
}

const struct peer peer_bestfit = {
        .name = "best-fit",
        .knows_physical = true,
        .create = bestfit_create,
        .destroy = bestfit_destroy,
        .alloc = bestfit_alloc,
        .release = bestfit_release,
        .to_phys = bestfit_to_phys,
        .to_virt = bestfit_to_virt,
};
