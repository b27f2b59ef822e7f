/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/provider.h>

#include <errno.h>

#include "manager/manager.h"

int ist_provider_set(struct ist_manager *manager, const struct ist_provider *provider)
{
	if (!manager || !provider)
		return -EINVAL;
	return provider_set(&manager->provider, provider);
}

int ist_provider_alloc(struct ist_manager *manager, size_t size, uint32_t owner, struct ist_mapping *out)
{
	if (!manager || !out)
		return -EINVAL;
	return provider_alloc(&manager->provider, size, owner, out);
}

int ist_provider_free(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	if (!manager || !mapping)
		return -EINVAL;
	return provider_free(&manager->provider, mapping);
}

int ist_provider_client_alloc(struct ist_manager *manager, const struct ist_client_request *request,
                              struct ist_shm *out)
{
	if (!manager || !request || !out)
		return -EINVAL;
	return provider_client_alloc(&manager->provider, request, out);
}

int ist_provider_trim(struct ist_manager *manager)
{
	if (!manager)
		return -EINVAL;
	return provider_trim(&manager->provider);
}

int ist_provider_drain(struct ist_manager *manager)
{
	if (!manager)
		return -EINVAL;
	return provider_drain(&manager->provider);
}

void ist_provider_stats(struct ist_manager *manager, struct ist_provider_stats *out)
{
	if (!manager || !out)
		return;
	provider_stats(&manager->provider, out);
}

int ist_provider_cache_get(struct ist_manager *manager, struct ist_provider_cache *cache, uint32_t type,
                           size_t size, uint32_t owner, struct ist_mapping *out)
{
	if (!manager || !cache || !out)
		return -EINVAL;
	return provider_cache_get(&manager->provider, cache, type, size, owner, out);
}

int ist_provider_cache_clear(struct ist_manager *manager, struct ist_provider_cache *cache)
{
	if (!manager || !cache)
		return -EINVAL;
	return provider_cache_clear(&manager->provider, cache);
}
