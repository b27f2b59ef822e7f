/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Target: the run allocator alone (alignment, allocation at an address, partial frees) against an array of owners. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buddy/buddy.h"
#include "input.h"
#include "support/model.h"

enum { GRANULES_MAX = 8192 };

static _Alignas(CACHE_LINE) unsigned char memory[4096];
static unsigned char used[GRANULES_MAX];

static bool fits_somewhere(size_t granules, size_t count, size_t align)
{
	for (size_t start = 0, end; start + count <= granules; start += align) {
		for (end = start; end < start + count && !used[end]; end++)
			continue;
		if (end == start + count)
			return true;
	}
	return false;
}

static void one_call(struct buddy *buddy, struct input *in)
{
	size_t granules = buddy->granules, op = (size_t)input_number(in, 1);
	size_t start = (size_t)input_number(in, 2) % granules,
	       count = 1 + (size_t)input_number(in, 2) % granules;
	size_t align = (size_t)1 << op / 4 % 12;
	int result;

	switch (op % 4) {
	case 0:
	case 1:
		if (op % 4 == 0)
			count = 1 + count % 70;
		result = buddy_alloc(buddy, count, (struct buddy_alignment){op % 4 ? align : 1, 0}, &start);
		if (result) {
			MODEL_REQUIRE(result == -ENOSPC &&
			              !fits_somewhere(granules, count, op % 4 ? align : 1));
			return;
		}
		MODEL_REQUIRE(op % 4 == 0 || start % align == 0);
		break;
	case 2:
		if (count > granules - start)
			count = granules - start;
		result = buddy_alloc_at(buddy, start, count);
		if (result) {
			MODEL_REQUIRE(result == -EBUSY && memchr(used + start, 1, count));
			return;
		}
		break;
	default: /* free the used granules at `start`, up to `count` of them */
		if (count > granules - start)
			count = granules - start;
		for (size_t g = start; g < start + count; g++)
			count = used[g] ? count : g - start;
		if (count == 0)
			return;
		buddy_free(buddy, start, count);
		memset(used + start, 0, count);
		return;
	}
	MODEL_REQUIRE(start < granules && count <= granules - start);
	MODEL_REQUIRE(!memchr(used + start, 1, count));
	memset(used + start, 1, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	size_t granules = 1 + (size_t)input_number(&in, 2) % GRANULES_MAX, run = 0, longest = 0;
	struct buddy buddy;

	MODEL_REQUIRE(buddy_bytes(granules) <= sizeof(memory));
	memset(memory, 0, sizeof(memory));
	memset(used, 0, sizeof(used));
	buddy_init(&buddy, memory, granules);
	while (input_more(&in))
		one_call(&buddy, &in);
	for (size_t g = 0; g < granules; g++) {
		run = used[g] ? 0 : run + 1;
		longest = run > longest ? run : longest;
	}
	MODEL_REQUIRE(buddy_largest(&buddy) == longest);
	return 0;
}
