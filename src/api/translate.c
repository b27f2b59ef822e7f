/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/translate.h>

#include <errno.h>

#include "manager/manager.h"
#include "mapping/find.h"

/*
 * Where [at, at + len) lies in [base, base + size): its offset, or false. Length 0 is nowhere, and a range that wraps
 * is never inside one that does not. The carve-out needs no more than this, so it does not pay for the maps.
 */
static inline bool offset_in(uint64_t base, uint64_t size, uint64_t at, uint64_t len, uint64_t *offset)
{
	*offset = at - base;
	return *offset < size && len - 1 < size - *offset;
}

/* Of neither kind of address. */
static bool is_nothing(uint64_t at, uint64_t len)
{
	return len == 0 || len - 1 > UINT64_MAX - at;
}

int ist_phys_to_virt(struct ist_manager *manager, uint64_t paddr, size_t len, void **out)
{
	uint64_t offset, found;

	if (!manager || !out)
		return -EINVAL;
	if (offset_in(manager->carve_out.paddr, manager->carve_out.size, paddr, len, &offset)) {
		*out = (char *)manager->carve_out.vaddr + offset;
		return 0;
	}
	if (is_nothing(paddr, len))
		return -EINVAL;
	if (!translate_paddr(&manager->space, paddr, len, &found))
		return -ENOENT;
	*out = (void *)(uintptr_t)found;
	return 0;
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
	if (is_nothing(at, len))
		return -EINVAL;
	return translate_vaddr(&manager->space, at, len, out) ? 0 : -ENOENT;
}
