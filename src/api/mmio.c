/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/mmio.h>

#include <errno.h>

#include "manager/manager.h"
#include "mapping/mmio.h"

int ist_mmio_map(struct ist_manager *manager, uint64_t paddr, size_t len, void **vaddr)
{
	if (!manager || !vaddr)
		return -EINVAL;
	return space_mmio_map(&manager->space, paddr, len, vaddr);
}

int ist_mmio_unmap(struct ist_manager *manager, const void *vaddr, size_t len)
{
	if (!manager || !vaddr)
		return -EINVAL;
	return space_mmio_unmap(&manager->space, vaddr, len);
}
