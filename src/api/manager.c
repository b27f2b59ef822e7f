/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/manager.h>

#include <errno.h>

#include "manager/manager.h"

int ist_manager_create(const struct ist_manager_config *config, struct ist_manager **out)
{
	if (!config || !out)
		return -EINVAL;
	return manager_create(config, out);
}

int ist_manager_destroy(struct ist_manager *manager)
{
	return manager ? manager_destroy(manager) : 0;
}

struct ist_driver_pool *ist_manager_driver_pool(struct ist_manager *manager)
{
	return manager ? &manager->driver : NULL;
}

struct ist_client_pool *ist_manager_client_pool(struct ist_manager *manager)
{
	return manager ? &manager->client : NULL;
}
