/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "table/slots.h"

#include "platform/platform.h"

static size_t block_bytes(const struct slots *slots, unsigned block)
{
	return ((size_t)SLOTS_FIRST << block) * slots->size;
}

void slots_init(struct slots *slots, size_t size)
{
	*slots = (struct slots){.size = size};
}

void slots_drop(struct slots *slots)
{
	for (unsigned block = 0; block < SLOTS_BLOCKS; block++)
		platform_unmap(atomic_load_explicit(&slots->block[block], memory_order_relaxed),
		               block_bytes(slots, block));
}

uint32_t slots_make(struct slots *slots)
{
	uint64_t index;
	unsigned block;
	char *records;

	if (slots->made == UINT32_MAX)
		return 0;
	block = slots_block_of(slots->made + 1, &index);
	if (block >= SLOTS_BLOCKS)
		return 0;
	if (!atomic_load_explicit(&slots->block[block], memory_order_relaxed)) {
		records = platform_map(block_bytes(slots, block));
		if (!records)
			return 0;
		atomic_store_explicit(&slots->block[block], records, memory_order_release); /* slots_at */
	}
	slots->bytes += slots->size;
	return ++slots->made;
}
