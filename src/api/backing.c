/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/backing.h>

#include <errno.h>

#include "backing/backings.h"
#include "backing/protect.h"
#include "manager/manager.h"

int ist_backing_add(struct ist_manager *manager, const struct ist_backing *backing)
{
	if (!manager || !backing)
		return -EINVAL;
	return space_add_backing(&manager->space, backing);
}

int ist_backing_remove(struct ist_manager *manager, uint64_t paddr)
{
	if (!manager)
		return -EINVAL;
	return space_remove_backing(&manager->space, paddr);
}

int ist_backing_find(struct ist_manager *manager, uint64_t paddr, struct ist_backing *out)
{
	if (!manager || !out)
		return -EINVAL;
	return space_find_whole_backing(&manager->space, paddr, out);
}

int ist_protect(struct ist_manager *manager, uint64_t paddr, uint64_t size)
{
	if (!manager)
		return -EINVAL;
	return space_protect(&manager->space, paddr, size);
}

int ist_unprotect(struct ist_manager *manager, uint64_t paddr, uint64_t size)
{
	if (!manager)
		return -EINVAL;
	return space_unprotect(&manager->space, paddr, size);
}
