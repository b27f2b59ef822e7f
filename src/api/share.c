/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/share.h>

#include <errno.h>

#include "client/share.h"
#include "manager/manager.h"

int ist_manager_set_file(struct ist_manager *manager, int fd, uint64_t offset)
{
	if (!manager)
		return -EINVAL;
	return manager_set_file(manager, fd, offset);
}

int ist_client_export(const struct ist_shm *shm, struct ist_export *out)
{
	if (!shm || !out)
		return -EINVAL;
	return client_share_export(shm, out);
}

int ist_client_pool_alloc_isolated(struct ist_client_pool *pool, const struct ist_client_request *request,
                                   struct ist_shm *out, int *fd)
{
	if (!pool || !request || !out || !fd)
		return -EINVAL;
	return client_share_alloc(pool, request, out, fd);
}
