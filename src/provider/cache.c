/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The cache of one thread and user. It is the caller's own, so there is nothing to guard. */
#include <errno.h>

#include <isthmus/provider.h>

#include "base/bits.h"

/* The mapping may have gone with its owner since. */
static bool is_alive(struct ist_manager *manager, const struct ist_provider_cache *cache)
{
	if (!cache->filled || ist_mapping_get(manager, &cache->mapping))
		return false;
	ist_mapping_put(manager, &cache->mapping);
	return true;
}

static bool serves(struct ist_manager *manager, const struct ist_provider_cache *cache, uint32_t type,
                   size_t size, uint32_t owner)
{
	return cache->filled && cache->type == type && cache->mapping.owner == owner &&
	       size <= cache->mapping.size && is_alive(manager, cache);
}

int ist_provider_cache_clear(struct ist_manager *manager, struct ist_provider_cache *cache)
{
	int error;

	if (!manager || !cache)
		return -EINVAL;
	if (!cache->filled)
		return 0;
	error = ist_provider_free(manager, &cache->mapping);
	if (error && error != -ENOENT) /* it went with its owner: nothing to give back */
		return error;
	*cache = (struct ist_provider_cache){.filled = 0};
	return 0;
}

int ist_provider_cache_get(struct ist_manager *manager, struct ist_provider_cache *cache, uint32_t type,
                           size_t size, uint32_t owner, struct ist_mapping *out)
{
	struct ist_mapping mapping;
	int error;

	if (!manager || !cache || !out || size > SIZE_MAX - IST_PAGE_SIZE)
		return -EINVAL;
	if (size == 0) {
		*out = (struct ist_mapping){.vaddr = NULL};
		return 0;
	}
	if (!serves(manager, cache, type, size, owner)) {
		error = ist_provider_cache_clear(manager, cache);
		if (!error)
			error = ist_provider_alloc(manager, bits_round_up(size, IST_PAGE_SIZE), owner,
			                           &mapping);
		if (error)
			return error;
		*cache = (struct ist_provider_cache){mapping, type, 1};
	}
	*out = cache->mapping;
	return 0;
}
