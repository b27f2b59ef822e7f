/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/mapping.h>

#include <errno.h>

#include "manager/manager.h"
#include "mapping/contents.h"
#include "mapping/contiguous.h"
#include "mapping/life.h"
#include "mapping/lookup.h"
#include "mapping/register.h"
#include "mapping/stats.h"
#include "mapping/unregister.h"

int ist_mapping_configure(struct ist_manager *manager, const struct ist_mapping_config *config)
{
	if (!manager || !config)
		return -EINVAL;
	return space_configure(&manager->space, config);
}

int ist_mapping_register(struct ist_manager *manager, const struct ist_registration *registration,
                         struct ist_mapping *out)
{
	if (!manager || !registration || !out)
		return -EINVAL;
	return space_register_pages(&manager->space, registration, out);
}

int ist_mapping_register_list(struct ist_manager *manager, uint64_t list,
                              const struct ist_registration *registration, struct ist_mapping *out)
{
	if (!manager || !registration || !out)
		return -EINVAL;
	return space_register_list(&manager->space, list, registration, out);
}

int ist_mapping_unregister(struct ist_manager *manager, uint32_t owner, uint64_t cookie, unsigned flags)
{
	if (!manager)
		return -EINVAL;
	return space_unregister(&manager->space, owner, cookie, flags);
}

int ist_mapping_unregister_one(struct ist_manager *manager, const struct ist_mapping *mapping, unsigned flags)
{
	if (!manager || !mapping)
		return -EINVAL;
	return space_unregister_handle(&manager->space, mapping, MAPPING_PAGES, flags);
}

int ist_mapping_find(struct ist_manager *manager, uint32_t owner, uint64_t cookie, struct ist_mapping *out)
{
	if (!manager || !out)
		return -EINVAL;
	return space_find(&manager->space, owner, cookie, out);
}

int ist_mapping_find_get(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                         struct ist_mapping *out)
{
	if (!manager || !out)
		return -EINVAL;
	return space_find_get(&manager->space, owner, cookie, out);
}

int ist_mapping_get(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	if (!manager || !mapping)
		return -EINVAL;
	return space_get(&manager->space, mapping) ? 0 : -ENOENT;
}

int ist_mapping_put(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	if (!manager || !mapping)
		return -EINVAL;
	return space_put(&manager->space, mapping) ? 0 : -EINVAL;
}

int ist_mapping_find_paddr(struct ist_manager *manager, uint64_t paddr, size_t len, struct ist_mapping *out,
                           void **vaddr)
{
	if (!manager || !out)
		return -EINVAL;
	return space_find_paddr(&manager->space, paddr, len, out, vaddr);
}

int ist_mapping_find_paddr_of(struct ist_manager *manager, uint32_t owner, uint64_t paddr, size_t len,
                              struct ist_mapping *out, void **vaddr)
{
	if (!manager || !out)
		return -EINVAL;
	return space_find_paddr_of(&manager->space, owner, paddr, len, out, vaddr);
}

int ist_mapping_segments(struct ist_manager *manager, const struct ist_mapping *mapping, uint64_t offset,
                         size_t len, struct iovec *out, size_t room, size_t *count)
{
	if (!manager || !mapping || !count || (room > 0 && !out))
		return -EINVAL;
	return space_list_segments(&manager->space, mapping, offset, len, out, room, count);
}

int ist_mapping_paddr(struct ist_manager *manager, const struct ist_mapping *mapping, uint64_t offset,
                      uint64_t granule, uint64_t *out)
{
	if (!manager || !mapping || !out)
		return -EINVAL;
	return space_paddr(&manager->space, mapping, offset, granule, out);
}

int ist_mapping_map(struct ist_manager *manager, const struct ist_mapping *mapping, void **vaddr)
{
	if (!manager || !mapping || !vaddr)
		return -EINVAL;
	return space_map(&manager->space, mapping, vaddr);
}

int ist_mapping_unmap(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	if (!manager || !mapping)
		return -EINVAL;
	return space_unmap(&manager->space, mapping);
}

bool ist_mapping_holds(const struct ist_mapping *mapping, uint64_t offset, uint64_t len)
{
	return mapping && offset <= mapping->size && len <= mapping->size - offset;
}

int ist_mapping_unguard(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	if (!manager || !mapping)
		return -EINVAL;
	return space_unguard(&manager->space, mapping);
}

int ist_mapping_flush(struct ist_manager *manager)
{
	if (!manager)
		return -EINVAL;
	return space_flush(&manager->space);
}

int ist_mapping_drain(struct ist_manager *manager)
{
	if (!manager)
		return -EINVAL;
	return space_drain(&manager->space);
}

void ist_mapping_stats(struct ist_manager *manager, struct ist_mapping_stats *out)
{
	if (!manager || !out)
		return;
	space_stats(&manager->space, out);
}
