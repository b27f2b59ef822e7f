/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/translate.h>

#include <errno.h>

#include "manager/manager.h"

/*
 * Where [at, at + len) lies in [base, base + size): its offset, or false. Length 0 is nowhere, and a range that wraps
 * is never inside one that does not. The carve-out needs no more than this, so it does not pay for the maps.
 */
static inline bool offset_in(uint64_t base, uint64_t size, uint64_t at, uint64_t len, uint64_t *offset)
{
	*offset = at - base;
	return *offset < size && len - 1 < size - *offset;
}

static __attribute__((noinline)) int look_up(struct space *space, struct pamap *map, uint64_t at,
                                             uint64_t len, uint64_t *out)
{
	if (len == 0 || len - 1 > UINT64_MAX - at)
		return -EINVAL;
	if (pamap_translate(map, at, len, out))
		return 0;
	return len > IST_PAGE_SIZE - at % IST_PAGE_SIZE && space_translate(space, map, at, len, out)
	               ? 0
	               : -ENOENT;
}

int ist_phys_to_virt(struct ist_manager *manager, uint64_t paddr, size_t len, void **out)
{
	uint64_t offset, found;
	int error;

	if (!manager || !out)
		return -EINVAL;
	if (offset_in(manager->carve_out.paddr, manager->carve_out.size, paddr, len, &offset)) {
		*out = (char *)manager->carve_out.vaddr + offset;
		return 0;
	}
	error = look_up(&manager->space, manager->by_paddr, paddr, len, &found);
	if (!error)
		*out = (void *)(uintptr_t)found;
	return error;
}

int ist_virt_to_phys(struct ist_manager *manager, const void *vaddr, size_t len, uint64_t *out)
{
	uint64_t at = (uint64_t)(uintptr_t)vaddr, offset;

	if (!manager || !out)
		return -EINVAL;
	if (offset_in((uint64_t)(uintptr_t)manager->carve_out.vaddr, manager->carve_out.size, at, len,
	              &offset)) {
		*out = manager->carve_out.paddr + offset;
		return 0;
	}
	return look_up(&manager->space, manager->by_vaddr, at, len, out);
}
