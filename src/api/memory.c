/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/memory.h>
#include <isthmus/translate.h>

#include <errno.h>

#include "manager/memory.h"

int ist_memory_find(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out)
{
	if (!manager || !out)
		return -EINVAL;
	return memory_find(manager, paddr, out);
}

int ist_memory_next(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out)
{
	if (!manager || !out)
		return -EINVAL;
	return memory_next(manager, paddr, out);
}

int ist_memory_only(struct ist_manager *manager, uint32_t types, uint64_t size, struct ist_memory *out)
{
	if (!manager || !out)
		return -EINVAL;
	return memory_only(manager, types, size, out);
}

bool ist_memory_is(struct ist_manager *manager, uint32_t types, uint64_t paddr, uint64_t size)
{
	return size == 0 || (manager && memory_is(manager, types, paddr, size));
}

int ist_memory_to_virt(struct ist_manager *manager, uint32_t types, uint64_t paddr, size_t size, void **out)
{
	if (types & ~MEMORY_TYPES)
		return -EINVAL;
	if (manager && out && size != 0 && size - 1 <= UINT64_MAX - paddr &&
	    !memory_is(manager, types, paddr, size))
		return -ENOENT;
	return ist_phys_to_virt(manager, paddr, size, out);
}
