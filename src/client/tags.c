/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "client/tags.h"

#include "base/bits.h"

static size_t words_of(size_t pages)
{
	return bits_ceil_div(bits_ceil_div(pages, TAGS_PAGES), 64);
}

size_t tags_bytes(size_t pages)
{
	return pages < TAGS_FROM ? 0 : bits_round_up(words_of(pages) * TAGS * sizeof(uint64_t), CACHE_LINE);
}

void tags_init(struct tags *tags, size_t pages, void *zeroed_memory)
{
	tags->bits = pages < TAGS_FROM ? NULL : zeroed_memory;
	tags->chunks = bits_ceil_div(pages, TAGS_PAGES);
	tags->words = words_of(pages);
}

size_t tags_next(const struct tags *tags, uint32_t owner, size_t page)
{
	size_t chunk = page / TAGS_PAGES;
	uint64_t behind = ~UINT64_C(0) << (chunk % 64);

	if (chunk >= tags->chunks)
		return SIZE_MAX;
	if (!tags->bits)
		return chunk * TAGS_PAGES;
	for (size_t at = chunk / 64; at < tags->words; at++, behind = ~UINT64_C(0)) {
		/* Relaxed: what must be found was set before the walk began, and the walker knows that by other means. */
		uint64_t word =
		        atomic_load_explicit(tags_word(tags, owner, at * 64), memory_order_relaxed) & behind;

		if (word)
			return (at * 64 + bits_lowest(word)) * TAGS_PAGES;
	}
	return SIZE_MAX;
}
