/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/shm.h>

#include <errno.h>

#include "client/client_pool.h"
#include "driver/driver_pool.h"

static __attribute__((noinline)) int refuse(struct pool *pool, int error)
{
	pool_count_misuse(pool);
	return error;
}

int ist_shm_free(struct ist_shm *shm)
{
	struct pool *pool;
	int error;

	if (!shm)
		return -EINVAL;
	pool = pool_find(shm->pool_slot, shm->pool_generation);
	if (__builtin_expect(!pool, 0))
		return pool_registry_is_ours() ? -EINVAL : -ECHILD;
	/* The driver pool's path is here, inlined, for the sake of messages. */
	if (__builtin_expect(pool->kind == POOL_DRIVER, 1))
		error = driver_pool_free((struct ist_driver_pool *)(void *)pool, shm);
	else
		error = client_pool_free((struct ist_client_pool *)(void *)pool, shm);
	if (__builtin_expect(error != 0, 0))
		return refuse(pool, error);
	*shm = (struct ist_shm){0};
	return 0;
}
