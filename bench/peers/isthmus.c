/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The library itself. */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>

struct isthmus_state {
	struct ist_manager *manager;
	struct ist_driver_pool *driver;
	struct ist_client_pool *client;
};

static int isthmus_create(const struct region *region, void **out)
{
	struct ist_manager_config config = {
	        .vaddr = region->vaddr,
	        .paddr = region->paddr,
	        .size = region->driver_size + region->client_size,
	        .driver_pool_size = region->driver_size,
	};
	struct isthmus_state *state = calloc(1, sizeof(*state));
	int result;

	if (!state)
		return -ENOMEM;
	result = ist_manager_create(&config, &state->manager);
	if (result) {
		free(state);
		return result;
	}
	state->driver = ist_manager_driver_pool(state->manager);
	state->client = ist_manager_client_pool(state->manager);
	*out = state;
	return 0;
}

static void isthmus_destroy(void *state)
{
	struct isthmus_state *self = state;

	/* Live allocations would be a fault of the replay; abort rather than leak the carve-out. */
	if (ist_manager_destroy(self->manager))
		abort();
	free(self);
}

static int isthmus_alloc(void *state, void *thread, enum pool pool, size_t size, bool zero, struct block *out)
{
	struct isthmus_state *self = state;
	int result;

	(void)thread;
	if (pool == POOL_DRIVER)
		result = ist_driver_pool_alloc(self->driver, size, &out->shm);
	else if (zero)
		result = ist_client_pool_alloc(self->client, size, &out->shm);
	else
		result = ist_client_pool_alloc_nozero(self->client, size, &out->shm);
	if (result)
		return result;
	out->vaddr = out->shm.view.vaddr;
	out->paddr = out->shm.view.paddr;
	out->size = out->shm.view.size;
	return 0;
}

static int isthmus_release(void *state, void *thread, enum pool pool, struct block *block)
{
	(void)state;
	(void)thread;
	(void)pool;
	return ist_shm_free(&block->shm);
}

static int isthmus_to_phys(void *state, const void *vaddr, size_t size, uint64_t *out)
{
	return ist_virt_to_phys(((struct isthmus_state *)state)->manager, vaddr, size, out);
}

static int isthmus_to_virt(void *state, uint64_t paddr, size_t size, void **out)
{
	return ist_phys_to_virt(((struct isthmus_state *)state)->manager, paddr, size, out);
}

const struct peer peer_isthmus = {
        .name = "isthmus",
        .knows_physical = true,
        .create = isthmus_create,
        .destroy = isthmus_destroy,
        .alloc = isthmus_alloc,
        .release = isthmus_release,
        .to_phys = isthmus_to_phys,
        .to_virt = isthmus_to_virt,
};
