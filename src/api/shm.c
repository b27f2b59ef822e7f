/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/shm.h>

#include <errno.h>

#include "client/client_pool.h"
#include "driver/driver_pool.h"

/* What the fast paths do not do: pools behind the first slots, hardened ones, and errors. */
static __attribute__((noinline)) int free_otherwise(struct ist_shm *shm)
{
	struct pool *pool = pool_find(shm->pool);

	if (!pool)
		return pool_registry_is_ours() ? -EINVAL : -ECHILD;
	if (pool->kind == POOL_DRIVER)
		return driver_pool_free_slow((struct ist_driver_pool *)(void *)pool, shm);
	return client_pool_free((struct ist_client_pool *)(void *)pool, shm);
}

int ist_shm_free(struct ist_shm *shm)
{
	const struct pool_slot *slot;
	uint64_t key;

	if (__builtin_expect(!shm, 0))
		return -EINVAL;
	key = shm->pool;
	slot = pool_first_slot(key);
	/* The driver pool's fast path is here, inlined, for the sake of messages. */
	if (__builtin_expect(pool_is_simple(slot, key), 1))
		return driver_pool_free((struct ist_driver_pool *)(void *)pool_in(slot), shm);
	if (pool_is_client(slot, key))
		return client_pool_free((struct ist_client_pool *)(void *)pool_in(slot), shm);
	return free_otherwise(shm);
}
