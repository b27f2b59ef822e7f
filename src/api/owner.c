/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/owner.h>

#include <errno.h>

#include "manager/manager.h"
#include "mapping/owners.h"
#include "teardown/teardown.h"

static struct teardown parts_of(struct ist_manager *manager)
{
	return (struct teardown){&manager->space, &manager->client, &manager->provider};
}

int ist_owner_create(struct ist_manager *manager, const struct ist_owner_config *config)
{
	if (!manager || !config)
		return -EINVAL;
	return space_create_owner(&manager->space, config);
}

int ist_owner_destroy_begin(struct ist_manager *manager, uint32_t id)
{
	if (!manager)
		return -EINVAL;
	return teardown_begin(parts_of(manager), id);
}

int ist_owner_destroy_step(struct ist_manager *manager, uint32_t id, uint32_t budget)
{
	if (!manager)
		return -EINVAL;
	return teardown_step(parts_of(manager), id, budget);
}

int ist_owner_destroy(struct ist_manager *manager, uint32_t id)
{
	if (!manager)
		return -EINVAL;
	return teardown_owner(parts_of(manager), id);
}

int ist_owner_stats(struct ist_manager *manager, uint32_t id, struct ist_owner_stats *out)
{
	if (!manager || !out)
		return -EINVAL;
	return space_owner_stats(&manager->space, id, out);
}
