/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/shm.h>

#include <errno.h>

#include "client/client_pool.h"
#include "driver/driver_pool.h"

static int free_in(struct pool *pool, const struct ist_shm *shm)
{
	switch (pool->kind) {
	case POOL_DRIVER:
		return driver_pool_free((struct ist_driver_pool *)(void *)pool, shm);
	case POOL_CLIENT:
		return client_pool_free((struct ist_client_pool *)(void *)pool, shm);
	}
	return -EINVAL;
}

int ist_shm_free(struct ist_shm *shm)
{
	struct pool *pool;
	int error;

	if (!shm)
		return -EINVAL;
	pool = pool_find(shm->pool_slot, shm->pool_generation);
	if (!pool)
		return pool_registry_is_ours() ? -EINVAL : -ECHILD;
	error = free_in(pool, shm);
	if (error) {
		pool_count_misuse(pool);
		return error;
	}
	*shm = (struct ist_shm){0};
	return 0;
}
