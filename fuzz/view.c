/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Target: views anywhere in the address space, slices of slices, against arithmetic in 128 bits. */
#include <errno.h>
#include <isthmus/isthmus.h>
#include <string.h>

#include "input.h"
#include "support/model.h"

typedef unsigned __int128 wide;

static bool inside(uint64_t base, uint64_t size, uint64_t at)
{
	return (wide)at >= base && (wide)at < (wide)base + size;
}

static void check_slice(struct ist_view *view, uint64_t start, uint64_t end, bool by_paddr)
{
	uint64_t base = by_paddr ? view->paddr : (uint64_t)(uintptr_t)view->vaddr;
	bool good = start < end && inside(base, view->size, start) && inside(base, view->size, end - 1);
	struct ist_view out = {(void *)(uintptr_t)1, 2, 3};
	const struct ist_view untouched = out;
	int result = by_paddr ? ist_view_slice_by_paddr(view, start, end, &out)
	                      : ist_view_slice_by_vaddr(view, (void *)(uintptr_t)start,
	                                                (void *)(uintptr_t)end, &out);

	if (!good) {
		MODEL_REQUIRE(result == -ERANGE);
		MODEL_REQUIRE(memcmp(&out, &untouched, sizeof(out)) == 0);
		return;
	}
	MODEL_REQUIRE(result == 0);
	MODEL_REQUIRE(out.size == end - start);
	MODEL_REQUIRE((uint64_t)(uintptr_t)out.vaddr - (uint64_t)(uintptr_t)view->vaddr == start - base);
	MODEL_REQUIRE(out.paddr - view->paddr == start - base);
	*view = out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct ist_view view = {
	        .vaddr = (void *)(uintptr_t)input_number(&in, 8),
	        .paddr = input_number(&in, 8),
	        .size = (size_t)input_number(&in, 8),
	};

	while (input_more(&in)) {
		uint64_t op = input_number(&in, 1);
		uint64_t base = op & 1 ? view.paddr : (uint64_t)(uintptr_t)view.vaddr;
		uint64_t start = base + input_size(&in, view.size), end = base + input_size(&in, view.size);

		MODEL_REQUIRE(ist_view_contains_paddr(&view, start) == inside(view.paddr, view.size, start));
		MODEL_REQUIRE(ist_view_contains_vaddr(&view, (void *)(uintptr_t)end) ==
		              inside((uint64_t)(uintptr_t)view.vaddr, view.size, end));
		check_slice(&view, start, end, op & 1);
	}
	return 0;
}
