/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/range.h>

#include <errno.h>

#include "manager/manager.h"
#include "mapping/range.h"
#include "mapping/unregister.h"

int ist_range_reserve(struct ist_manager *manager, uint64_t pages, uint32_t owner, uint64_t cookie,
                      unsigned flags, struct ist_mapping *out)
{
	if (!manager || !out)
		return -EINVAL;
	return space_range_reserve(&manager->space, pages, owner, cookie, flags, out);
}

int ist_range_map(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                  const uint64_t *pages, uint64_t count)
{
	if (!manager || !range || !pages)
		return -EINVAL;
	return space_range_map(&manager->space, range, first, pages, count);
}

int ist_range_unmap(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                    uint64_t count)
{
	if (!manager || !range)
		return -EINVAL;
	return space_range_unmap(&manager->space, range, first, count);
}

int ist_range_release(struct ist_manager *manager, const struct ist_mapping *range, unsigned flags)
{
	if (!manager || !range)
		return -EINVAL;
	return space_unregister_handle(&manager->space, range, MAPPING_RANGE, flags);
}
