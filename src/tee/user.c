/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Memory of this process as physical memory: address a is config.user_paddr + a. In backings of a TiB, each added when
 * something in it is registered first, for the bookkeeping of a backing grows with its size. They stay with the manager, whose
 * devices share them. What is not there is not there on access.
 *
 * Memory across the border of two of them is two stretches: it is registered if it is a shared mapping, else refused. The kernel
 * puts mappings there by chance, one of a million for a buffer of a MiB.
 */
#include "tee/tee.h"

#include <errno.h>

#include <isthmus/backing.h>

static int add_region(struct ist_tee_device *device, uint64_t region)
{
	uint64_t at = region << USER_REGION_SHIFT, size = UINT64_C(1) << USER_REGION_SHIFT;
	struct ist_backing backing, there;
	int error;

	if (at == 0) { /* a null pointer is no memory */
		at += IST_PAGE_SIZE;
		size -= IST_PAGE_SIZE;
	}
	backing = (struct ist_backing){.paddr = device->config.user_paddr + at,
	                               .size = size,
	                               .vaddr = (void *)(uintptr_t)at,
	                               .fd = -1};
	error = ist_backing_add(device->manager, &backing);
	if (error != -EEXIST)
		return error;
	/* Of another device, or added at the same time. */
	error = ist_backing_find(device->manager, backing.paddr, &there);
	if (error)
		return error;
	return there.paddr == backing.paddr && there.size == size && there.vaddr == backing.vaddr ? 0
	                                                                                          : -EEXIST;
}

int user_memory(struct ist_tee_device *device, uintptr_t at, size_t bytes)
{
	for (uint64_t region = at >> USER_REGION_SHIFT; region <= (at + (bytes - 1)) >> USER_REGION_SHIFT;
	     region++) {
		uint64_t bit = UINT64_C(1) << region % 64;
		_Atomic uint64_t *word;
		int error;

		if (region >= USER_REGIONS)
			return -EFAULT;
		word = &device->regions[region / 64];
		/* Acquire and release: a backing that is said to be there is. */
		if (atomic_load_explicit(word, memory_order_acquire) & bit)
			continue;
		error = add_region(device, region);
		if (error)
			return error;
		atomic_fetch_or_explicit(word, bit, memory_order_release);
	}
	return 0;
}
