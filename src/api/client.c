/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/client.h>

#include <errno.h>
#include <string.h>

#include "client/client_pool.h"

int ist_client_pool_alloc_request(struct ist_client_pool *pool, const struct ist_client_request *request,
                                  struct ist_shm *out)
{
	if (!pool || !request || !out)
		return -EINVAL;
	return client_pool_alloc_request(pool, request, out);
}

int ist_client_pool_find(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out)
{
	if (!pool || !out)
		return -EINVAL;
	return client_pool_find(pool, paddr, out);
}

int ist_client_pool_next(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out)
{
	if (!pool || !out)
		return -EINVAL;
	return client_pool_next(pool, paddr, out);
}

void ist_client_pool_owner_use(struct ist_client_pool *pool, uint32_t owner, struct ist_client_owner_use *out)
{
	if (!out)
		return;
	memset(out, 0, sizeof(*out));
	if (pool)
		client_pool_owner_use(pool, owner, out);
}

void ist_client_pool_space(struct ist_client_pool *pool, struct ist_client_pool_space *out)
{
	if (!pool || !out)
		return;
	client_pool_space(pool, out);
}
