/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/view.h>

#include <errno.h>

/* `address - base < size` instead of `address < base + size`: the sum may wrap, the difference cannot mislead. */
static bool contains(uint64_t base, uint64_t size, uint64_t address)
{
	return address >= base && address - base < size;
}

static bool contains_range(uint64_t base, uint64_t size, uint64_t start, uint64_t end)
{
	return start < end && contains(base, size, start) && contains(base, size, end - 1);
}

static uint64_t number(const void *vaddr)
{
	return (uint64_t)(uintptr_t)vaddr;
}

static int slice(const struct ist_view *view, uint64_t offset, uint64_t size, struct ist_view *out)
{
	struct ist_view result = {
	        .vaddr = (void *)((uintptr_t)view->vaddr + (uintptr_t)offset),
	        .paddr = view->paddr + offset,
	        .size = (size_t)size,
	};

	*out = result;
	return 0;
}

bool ist_view_contains_vaddr(const struct ist_view *view, const void *vaddr)
{
	return view && contains(number(view->vaddr), view->size, number(vaddr));
}

bool ist_view_contains_paddr(const struct ist_view *view, uint64_t paddr)
{
	return view && contains(view->paddr, view->size, paddr);
}

int ist_view_slice_by_vaddr(const struct ist_view *view, const void *start, const void *end,
                            struct ist_view *out)
{
	if (!view || !out)
		return -EINVAL;
	if (!contains_range(number(view->vaddr), view->size, number(start), number(end)))
		return -ERANGE;
	return slice(view, number(start) - number(view->vaddr), number(end) - number(start), out);
}

int ist_view_slice_by_paddr(const struct ist_view *view, uint64_t start, uint64_t end, struct ist_view *out)
{
	if (!view || !out)
		return -EINVAL;
	if (!contains_range(view->paddr, view->size, start, end))
		return -ERANGE;
	return slice(view, start - view->paddr, end - start, out);
}
