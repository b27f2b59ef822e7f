/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The cache of one thread and user. It is the caller's own, so there is nothing to guard. */
#include <errno.h>

#include "mapping/lookup.h"
#include "provider/provider.h"

/* The mapping may have gone with its owner since. */
static bool is_alive(struct provider_desk *desk, const struct ist_provider_cache *cache)
{
	if (!cache->filled || !space_get(desk->space, &cache->mapping))
		return false;
	space_put(desk->space, &cache->mapping);
	return true;
}

static bool serves(struct provider_desk *desk, const struct ist_provider_cache *cache, uint32_t type,
                   size_t size, uint32_t owner)
{
	return cache->filled && cache->type == type && cache->mapping.owner == owner &&
	       size <= cache->mapping.size && is_alive(desk, cache);
}

int desk_cache_clear(struct provider_desk *desk, struct ist_provider_cache *cache)
{
	int error;

	if (!cache->filled)
		return 0;
	error = desk_free(desk, &cache->mapping);
	if (error && error != -ENOENT) /* it went with its owner: nothing to give back */
		return error;
	*cache = (struct ist_provider_cache){.filled = 0};
	return 0;
}

int desk_cache_get(struct provider_desk *desk, struct ist_provider_cache *cache, uint32_t type, size_t size,
                   uint32_t owner, struct ist_mapping *out)
{
	struct ist_mapping mapping;
	int error;

	if (size > SIZE_MAX - IST_PAGE_SIZE)
		return -EINVAL;
	if (size == 0) {
		*out = (struct ist_mapping){.vaddr = NULL};
		return 0;
	}
	if (!serves(desk, cache, type, size, owner)) {
		error = desk_cache_clear(desk, cache);
		if (!error)
			error = desk_alloc(desk, bits_round_up(size, IST_PAGE_SIZE), owner, &mapping);
		if (error)
			return error;
		*cache = (struct ist_provider_cache){mapping, type, 1};
	}
	*out = cache->mapping;
	return 0;
}
