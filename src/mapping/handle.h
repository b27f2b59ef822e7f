/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a handle names. In a read section, with a reference or a hold, or under a lock, so that the record stays what it was. */
#ifndef MAPPING_HANDLE_H
#define MAPPING_HANDLE_H

#include "space/space.h"

/* The record, if it still has this life, whether it is registered or not; null: its slot is used again, or nothing ever had it. */
static inline struct mapping *handle_find(struct space *space, const struct ist_mapping *handle)
{
	struct mapping *mapping = mapping_at(space, handle->slot);

	if (!mapping ||
	    atomic_load_explicit(&mapping->generation, memory_order_relaxed) != handle->generation)
		return NULL;
	return mapping;
}

/*
 * The same, if any of these bits of its `refs` is set and it has not ended. Acquire: the record is behind it [space.S1]; and so is the
 * generation, if the slot lives again.
 */
static inline struct mapping *handle_find_with(struct space *space, const struct ist_mapping *handle,
                                               uint64_t any)
{
	struct mapping *mapping = mapping_at(space, handle->slot);
	uint64_t refs = mapping ? atomic_load_explicit(&mapping->refs, memory_order_acquire) : REFS_ENDED;

	return (refs & REFS_ENDED) || !(refs & any) ? NULL : handle_find(space, handle);
}

#endif
