/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/pool.h>

#include <errno.h>

#include "client/alloc.h"
#include "driver/alloc.h"
#include "driver/bulk.h"

int ist_driver_pool_alloc(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	if (__builtin_expect(!pool || !out, 0))
		return -EINVAL;
	return driver_pool_alloc(pool, size, out);
}

int ist_driver_pool_alloc_bulk(struct ist_driver_pool *pool, size_t size, unsigned count, void **out)
{
	if (__builtin_expect(!pool || !out, 0))
		return -EINVAL;
	return driver_pool_alloc_bulk(pool, size, count, out);
}

int ist_driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count)
{
	if (__builtin_expect(!pool || (!vaddrs && count > 0), 0))
		return -EINVAL;
	return driver_pool_free_bulk(pool, vaddrs, count);
}

uint64_t ist_driver_pool_paddr(const struct ist_driver_pool *pool, const void *vaddr)
{
	return !pool ? 0 : pool->pool.paddr + ((uintptr_t)vaddr - (uintptr_t)pool->pool.vaddr);
}

int ist_client_pool_alloc_nozero(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	if (__builtin_expect(!pool || !out, 0))
		return -EINVAL;
	return client_pool_alloc_nozero(pool, size, out);
}

int ist_client_pool_alloc(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	if (__builtin_expect(!pool || !out, 0))
		return -EINVAL;
	return client_pool_alloc(pool, size, out);
}

void ist_driver_pool_stats(struct ist_driver_pool *pool, struct ist_pool_stats *out)
{
	if (!pool || !out)
		return;
	driver_pool_stats(pool, out);
}

void ist_client_pool_stats(struct ist_client_pool *pool, struct ist_pool_stats *out)
{
	if (!pool || !out)
		return;
	client_pool_stats(pool, out);
}
