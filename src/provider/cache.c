/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The cache of one thread and user. It is the caller's own, so there is nothing to guard. */
#include <errno.h>

#include "mapping/lookup.h"
#include "provider/provider.h"

/* The mapping may have gone with its owner since. */
static bool is_alive(struct provider *provider, const struct ist_provider_cache *cache)
{
	if (!cache->filled || !space_get(provider->space, &cache->mapping))
		return false;
	space_put(provider->space, &cache->mapping);
	return true;
}

static bool serves(struct provider *provider, const struct ist_provider_cache *cache, uint32_t type,
                   size_t size, uint32_t owner)
{
	return cache->filled && cache->type == type && cache->mapping.owner == owner &&
	       size <= cache->mapping.size && is_alive(provider, cache);
}

int provider_cache_clear(struct provider *provider, struct ist_provider_cache *cache)
{
	int error;

	if (!cache->filled)
		return 0;
	error = provider_free(provider, &cache->mapping);
	if (error && error != -ENOENT) /* it went with its owner: nothing to give back */
		return error;
	*cache = (struct ist_provider_cache){.filled = 0};
	return 0;
}

int provider_cache_get(struct provider *provider, struct ist_provider_cache *cache, uint32_t type,
                       size_t size, uint32_t owner, struct ist_mapping *out)
{
	struct ist_mapping mapping;
	int error;

	if (size > SIZE_MAX - IST_PAGE_SIZE)
		return -EINVAL;
	if (size == 0) {
		*out = (struct ist_mapping){.vaddr = NULL};
		return 0;
	}
	if (!serves(provider, cache, type, size, owner)) {
		error = provider_cache_clear(provider, cache);
		if (!error)
			error = provider_alloc(provider, bits_round_up(size, IST_PAGE_SIZE), owner, &mapping);
		if (error)
			return error;
		*cache = (struct ist_provider_cache){mapping, type, 1};
	}
	*out = cache->mapping;
	return 0;
}
