/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "lib/must.h"
#include "page_peers.h"

static void *create(char *base, size_t bytes)
{
	/* One page of driver pool, taken from before the region: the client pool is the region itself. */
	struct ist_manager_config config = {
	        .vaddr = base - IST_PAGE_SIZE,
	        .paddr = UINT64_C(0x100000000) - IST_PAGE_SIZE,
	        .size = bytes + IST_PAGE_SIZE,
	        .driver_pool_size = IST_PAGE_SIZE,
	};
	struct ist_manager *manager;

	must(ist_manager_create(&config, &manager));
	return manager;
}

static bool alloc(void *pool, size_t pages, struct page_run *out)
{
	return ist_client_pool_alloc_nozero(ist_manager_client_pool(pool), pages * IST_PAGE_SIZE,
	                                    &out->shm) == 0;
}

static void release(void *pool, struct page_run *run)
{
	(void)pool;
	must(ist_shm_free(&run->shm));
}

static size_t free_blocks(void *pool)
{
	struct ist_client_pool_space space;

	ist_client_pool_space(ist_manager_client_pool(pool), &space);
	return space.free_blocks;
}

static void destroy(void *pool)
{
	must(ist_manager_destroy(pool));
}

struct ist_manager *page_peer_manager(void *pool)
{
	return pool;
}

const struct page_peer page_peer_isthmus = {"isthmus", create, alloc, release, free_blocks, destroy};
