/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Views: a piece of shared memory as a plain value, and exact slices of it. */
#ifndef ISTHMUS_VIEW_H
#define ISTHMUS_VIEW_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/*
 * A piece of shared memory, or of its address space. A plain value: it owns nothing, keeps nothing alive and may
 * be copied freely. Byte i of the view lies at vaddr + i and at paddr + i, for 0 <= i < size.
 */
struct ist_view {
	void *vaddr; /* where the piece starts in this process */
	uint64_t paddr; /* where it starts physically */
	size_t size; /* bytes */
};

/*
 * Whether the address lies in the view. Half-open and exact up to the very top of the address space: a view that
 * ends at 2^64 contains its last byte. An empty view contains nothing. A null view contains nothing.
 * Wait-free, signal safe. Source: doc/requirements.md, P10.
 */
IST_API bool ist_view_contains_vaddr(const struct ist_view *view, const void *vaddr);
IST_API bool ist_view_contains_paddr(const struct ist_view *view, uint64_t paddr);

/*
 * The part [start, end) of a view, with both addresses and the size adjusted. Never clamps and asks for no
 * alignment. A slice of a slice is bounded by the slice. `out` may be `view` itself.
 *
 * Returns 0;
 *   -EINVAL  view or out is null;
 *   -ERANGE  [start, end) is empty (start >= end) or does not lie wholly inside the view. The end is exclusive, so
 *            the last byte below 2^64 can be in a view but not in a slice: no end address expresses it.
 * Wait-free, signal safe. Source: doc/requirements.md, P8.
 */
IST_API int ist_view_slice_by_vaddr(const struct ist_view *view, const void *start, const void *end,
                                    struct ist_view *out);
IST_API int ist_view_slice_by_paddr(const struct ist_view *view, uint64_t start, uint64_t end,
                                    struct ist_view *out);

IST_END_DECLS

#endif
