/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/provider.h>

#include <errno.h>

#include "manager/manager.h"

int ist_provider_set(struct ist_manager *manager, const struct ist_provider *provider)
{
	if (!manager || !provider)
		return -EINVAL;
	return desk_set(&manager->desk, provider);
}

int ist_provider_alloc(struct ist_manager *manager, size_t size, uint32_t owner, struct ist_mapping *out)
{
	if (!manager || !out)
		return -EINVAL;
	return desk_alloc(&manager->desk, size, owner, out);
}

int ist_provider_free(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	if (!manager || !mapping)
		return -EINVAL;
	return desk_free(&manager->desk, mapping);
}

int ist_provider_client_alloc(struct ist_manager *manager, const struct ist_client_request *request,
                              struct ist_shm *out)
{
	if (!manager || !request || !out)
		return -EINVAL;
	return desk_client_alloc(&manager->desk, request, out);
}

int ist_provider_trim(struct ist_manager *manager)
{
	if (!manager)
		return -EINVAL;
	return desk_trim(&manager->desk);
}

int ist_provider_drain(struct ist_manager *manager)
{
	if (!manager)
		return -EINVAL;
	return desk_drain(&manager->desk);
}

void ist_provider_stats(struct ist_manager *manager, struct ist_provider_stats *out)
{
	if (!manager || !out)
		return;
	desk_stats(&manager->desk, out);
}

int ist_provider_cache_get(struct ist_manager *manager, struct ist_provider_cache *cache, uint32_t type,
                           size_t size, uint32_t owner, struct ist_mapping *out)
{
	if (!manager || !cache || !out)
		return -EINVAL;
	return desk_cache_get(&manager->desk, cache, type, size, owner, out);
}

int ist_provider_cache_clear(struct ist_manager *manager, struct ist_provider_cache *cache)
{
	if (!manager || !cache)
		return -EINVAL;
	return desk_cache_clear(&manager->desk, cache);
}
