/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/translate.h>

#include <errno.h>

#include "manager/manager.h"

/* [at, at + len) inside [base, base + size), for len != 0. */
static bool inside(uint64_t base, uint64_t size, uint64_t at, uint64_t len)
{
	return at >= base && at - base < size && len <= size - (at - base);
}

int ist_phys_to_virt(struct ist_manager *manager, uint64_t paddr, size_t len, void **out)
{
	struct pamap_value value;

	if (!manager || !out || len == 0 || len - 1 > UINT64_MAX - paddr)
		return -EINVAL;
	if (inside(manager->carve_out.paddr, manager->carve_out.size, paddr, len)) {
		*out = (char *)manager->carve_out.vaddr + (paddr - manager->carve_out.paddr);
		return 0;
	}
	if (!pamap_lookup(manager->by_paddr, paddr, len, &value))
		return -ENOENT;
	*out = (void *)(uintptr_t)value.to;
	return 0;
}

int ist_virt_to_phys(struct ist_manager *manager, const void *vaddr, size_t len, uint64_t *out)
{
	uint64_t at = (uint64_t)(uintptr_t)vaddr, base;
	struct pamap_value value;

	if (!manager || !out || len == 0 || len - 1 > UINTPTR_MAX - at)
		return -EINVAL;
	base = (uint64_t)(uintptr_t)manager->carve_out.vaddr;
	if (inside(base, manager->carve_out.size, at, len)) {
		*out = manager->carve_out.paddr + (at - base);
		return 0;
	}
	if (!pamap_lookup(manager->by_vaddr, at, len, &value))
		return -ENOENT;
	*out = value.to;
	return 0;
}
