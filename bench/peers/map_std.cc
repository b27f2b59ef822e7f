/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "maps.h"

#include <map>
#include <mutex>
#include <shared_mutex>

namespace
{

struct place {
	uint64_t bytes, vaddr;
};

struct locked_map {
	std::shared_mutex mutex;
	std::map<uint64_t, place> places; /* by where they begin */
};

void *create(size_t)
{
	return new locked_map;
}

void insert(void *context, uint64_t paddr, uint64_t bytes, uint64_t vaddr)
{
	auto *map = static_cast<locked_map *>(context);
	std::unique_lock<std::shared_mutex> lock(map->mutex);

	map->places.emplace(paddr, place{bytes, vaddr});
}

bool find(void *context, uint64_t paddr, uint64_t *vaddr)
{
	auto *map = static_cast<locked_map *>(context);
	std::shared_lock<std::shared_mutex> lock(map->mutex);
	auto after = map->places.upper_bound(paddr);

	if (after == map->places.begin())
		return false;
	--after;
	if (paddr - after->first >= after->second.bytes)
		return false;
	*vaddr = after->second.vaddr + (paddr - after->first);
	return true;
}

void destroy(void *context)
{
	delete static_cast<locked_map *>(context);
}

} // namespace

extern "C" const struct map_peer map_peer_std = {"shared_mutex, std::map", create, insert, find, destroy};
