/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "manager/manager.h"

#include <errno.h>

#include "base/tools.h"
#include "client/share.h"
#include "manager/fork.h"
#include "mapping/life.h"
#include "platform/platform.h"

#define DEFAULT_DRIVER_PAGES 4u

struct plan {
	struct ist_view carve_out;
	size_t driver_size, client_size;
	size_t skipped; /* bytes before the first whole page */
	bool zero_on_free;
	uint32_t quarantine;
};

/* base + size may be 2^64 itself, but not more; size is not 0. */
static bool wraps(uint64_t base, uint64_t size)
{
	return size - 1 > UINT64_MAX - base;
}

/* The whole pages inside [vaddr, vaddr + size). Works on the last byte, so that the top of the space is no case. */
static bool round_inward(const struct ist_manager_config *config, struct ist_view *out)
{
	uint64_t first = (uint64_t)(uintptr_t)config->vaddr, last = first + (config->size - 1);
	uint64_t skip = -first & (IST_PAGE_SIZE - 1); /* bytes before the first page boundary */
	uint64_t tail = (last + 1) & (IST_PAGE_SIZE - 1); /* bytes behind the last one */

	if (config->size < skip + tail + IST_PAGE_SIZE)
		return false;
	out->vaddr = (char *)config->vaddr + skip;
	out->paddr = config->paddr + skip;
	out->size = config->size - (size_t)(skip + tail);
	return true;
}

static int make_plan(const struct ist_manager_config *config, struct plan *plan)
{
	size_t wanted = config->driver_pool_size, driver_pages;

	if (!config->vaddr || config->size == 0 || wraps((uint64_t)(uintptr_t)config->vaddr, config->size) ||
	    wraps(config->paddr, config->size) || (config->flags & ~IST_MANAGER_ZERO_ON_FREE) ||
	    (((uint64_t)(uintptr_t)config->vaddr ^ config->paddr) & (IST_PAGE_SIZE - 1)) != 0)
		return -EINVAL;
	driver_pages = wanted ? bits_ceil_div(wanted, IST_PAGE_SIZE) : DEFAULT_DRIVER_PAGES;
	if (!round_inward(config, &plan->carve_out) ||
	    plan->carve_out.size / IST_PAGE_SIZE / 2 < driver_pages)
		return -ENOSPC;
	plan->skipped = (size_t)((uintptr_t)plan->carve_out.vaddr - (uintptr_t)config->vaddr);
	plan->driver_size = driver_pages * IST_PAGE_SIZE;
	plan->client_size = plan->carve_out.size - plan->driver_size;
	plan->zero_on_free = config->flags & IST_MANAGER_ZERO_ON_FREE;
	plan->quarantine = config->quarantine;
	return 0;
}

static void place_pool(struct pool *pool, enum pool_kind kind, const struct plan *plan, size_t offset,
                       size_t size)
{
	const struct ist_view *carve_out = &plan->carve_out;

	pool->kind = kind;
	pool->vaddr = (char *)carve_out->vaddr + offset;
	pool->paddr = carve_out->paddr + offset;
	pool->size = size;
	pool->zero_on_free = plan->zero_on_free;
	pool->quarantine = plan->quarantine;
	pool->is_hardened = plan->zero_on_free || plan->quarantine;
	pool->is_simple = kind == POOL_DRIVER && !pool->is_hardened;
}

/* All bookkeeping is one private mapping: the manager, then each pool's. */
static struct ist_manager *build(const struct plan *plan)
{
	size_t driver_at = bits_round_up(sizeof(struct ist_manager), CACHE_LINE);
	size_t client_at = driver_at + bits_round_up(driver_pool_bytes(plan->driver_size), CACHE_LINE);
	size_t bytes = client_at + client_pool_bytes(plan->client_size);
	struct ist_manager *manager;

	if (plan->carve_out.size > CLIENT_POOL_MAX)
		return NULL; /* no record could hold the size of one allocation; no machine has it either */
	manager = platform_map(bytes);
	if (!manager)
		return NULL;
	manager->bytes = bytes;
	manager->carve_out = plan->carve_out;
	manager->skipped = plan->skipped;
	place_pool(&manager->driver.pool, POOL_DRIVER, plan, 0, plan->driver_size);
	place_pool(&manager->client.pool, POOL_CLIENT, plan, plan->driver_size, plan->client_size);
	if (driver_pool_init(&manager->driver, (char *)manager + driver_at))
		goto undo_map;
	if (client_pool_init(&manager->client, (char *)manager + client_at))
		goto undo_driver;
	tools_pool_made(&manager->driver, manager->driver.pool.vaddr, manager->driver.pool.size);
	tools_pool_made(&manager->client, manager->client.pool.vaddr, manager->client.pool.size);
	return manager;

undo_driver:
	driver_pool_end(&manager->driver);
undo_map:
	platform_unmap(manager, bytes);
	return NULL;
}

static void unbuild(struct ist_manager *manager)
{
	tools_pool_gone(&manager->driver, manager->driver.pool.vaddr, manager->driver.pool.size);
	tools_pool_gone(&manager->client, manager->client.pool.vaddr, manager->client.pool.size);
	driver_pool_end(&manager->driver);
	client_pool_end(&manager->client);
	platform_unmap(manager, manager->bytes);
}

static int attach(struct ist_manager *manager)
{
	int error = pamap_create(&manager->by_paddr);

	if (error)
		return error;
	error = pamap_create(&manager->by_vaddr);
	if (error)
		goto undo_by_paddr;
	error = pool_register(&manager->driver.pool);
	if (error)
		goto undo_by_vaddr;
	error = pool_register(&manager->client.pool);
	if (error)
		goto undo_driver;
	manager->space.by_paddr = manager->by_paddr;
	manager->space.by_vaddr = manager->by_vaddr;
	manager->space.carve_out = &manager->carve_out;
	provider_init(&manager->provider, &manager->space, &manager->client);
	space_init(&manager->space);
	error = manager_enlist(manager);
	if (!error)
		return 0;
	space_drop(&manager->space);
	provider_drop(&manager->provider);
	pool_unregister(&manager->client.pool);

undo_driver:
	pool_unregister(&manager->driver.pool);
undo_by_vaddr:
	pamap_destroy(manager->by_vaddr);
undo_by_paddr:
	pamap_destroy(manager->by_paddr);
	return error;
}

int manager_create(const struct ist_manager_config *config, struct ist_manager **out)
{
	struct ist_manager *manager;
	struct plan plan;
	int error = make_plan(config, &plan);

	if (error)
		return error;
	manager = build(&plan);
	if (!manager)
		return -ENOMEM;
	error = attach(manager);
	if (error) {
		unbuild(manager);
		return error;
	}
	*out = manager;
	return 0;
}

int manager_destroy(struct ist_manager *manager)
{
	if (slabs_check(&manager->driver.slabs))
		return -ECHILD;
	/* Relaxed: no other call is running, says the header. */
	if (atomic_load_explicit(&manager->exports, memory_order_relaxed))
		return -EBUSY;
	if (driver_pool_is_used(&manager->driver) || client_pool_is_used(&manager->client))
		return -EBUSY;
	if (provider_settle(&manager->provider) || space_settle(&manager->space))
		return -EBUSY;
	manager_delist(manager);
	space_drop(&manager->space);
	provider_drop(&manager->provider);
	pool_unregister(&manager->driver.pool);
	pool_unregister(&manager->client.pool);
	pamap_destroy(manager->by_paddr);
	pamap_destroy(manager->by_vaddr);
	client_share_drop_file(&manager->client);
	unbuild(manager);
	return 0;
}
