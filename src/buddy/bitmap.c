/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/bitmap.h"

#include "base/mutant.h"

#define MUTANT_CLAIM_BLINDLY 103 /* claim without looking whether the bits are still clear */

#define WHOLE (~UINT64_C(0))

/* The bits of a range that lie in the word at its beginning. */
static uint64_t first_mask(size_t start, size_t count)
{
	unsigned first = (unsigned)(start % 64);

	return bits_mask(first, (unsigned)bits_min(64 - first, count));
}

/* The end of what a range has of whole words, if it starts at one: `start` where there are none. */
static size_t whole_end(size_t start, size_t end)
{
	return start % 64 == 0 && end - start >= 64 ? end / 64 * 64 : start;
}

/* All of the bits, or none. Acquire on success: pairs with the release in bitmap_release [buddy.B1]. A failure takes nothing over. */
static bool claim_part(bitmap_word *word, uint64_t mask)
{
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	do {
		if (seen & mask && !IS_MUTANT(MUTANT_CLAIM_BLINDLY))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(word, &seen, seen | mask, memory_order_acquire,
	                                                memory_order_relaxed));
	return true;
}

/* The same for all bits of a word: by one try, for it is all clear or not. */
static bool claim_whole(bitmap_word *word)
{
	uint64_t none = 0;

	return atomic_compare_exchange_strong_explicit(word, &none, WHOLE, memory_order_acquire,
	                                               memory_order_relaxed);
}

size_t bitmap_claim(bitmap_word *map, size_t start, size_t count)
{
	size_t at = start, end = start + count;

	while (at < end) {
		for (size_t whole = whole_end(at, end); at < whole; at += 64) {
			if (!claim_whole(&map[at / 64]))
				return at - start;
		}
		if (at < end && !claim_part(&map[at / 64], first_mask(at, end - at)))
			return at - start;
		at = (at / 64 + 1) * 64;
	}
	return count;
}

void bitmap_release(bitmap_word *map, size_t start, size_t count)
{
	size_t at = start, end = start + count;

	/* seq_cst, both: [buddy.B1] towards the next owner, [buddy.D1] towards whoever lowers a bound. */
	while (at < end) {
		for (size_t whole = whole_end(at, end); at < whole; at += 64)
			atomic_exchange_explicit(&map[at / 64], 0, memory_order_seq_cst);
		if (at < end)
			atomic_fetch_and_explicit(&map[at / 64], ~first_mask(at, end - at),
			                          memory_order_seq_cst);
		at = (at / 64 + 1) * 64;
	}
}

/* Granules of the word at `index` that are in use, or free when `flip` is all ones. */
static uint64_t load_strict(bitmap_word *map, size_t index, uint64_t flip)
{
	return atomic_load_explicit(&map[index], memory_order_seq_cst) ^ flip; /* [buddy.D1] */
}

static size_t next_one(bitmap_word *map, size_t from, size_t limit, uint64_t flip)
{
	size_t index = from / 64;
	uint64_t rest;

	if (from >= limit)
		return limit;
	rest = load_strict(map, index, flip) & ~UINT64_C(0) << (from % 64);
	while (rest == 0) {
		if (++index * 64 >= limit)
			return limit;
		rest = load_strict(map, index, flip);
	}
	return bits_min(index * 64 + bits_lowest(rest), limit);
}

size_t bitmap_next_used(bitmap_word *map, size_t from, size_t limit)
{
	return next_one(map, from, limit, 0);
}

size_t bitmap_next_free(bitmap_word *map, size_t from, size_t limit)
{
	return next_one(map, from, limit, ~UINT64_C(0));
}

size_t bitmap_free_down(bitmap_word *map, size_t end, size_t floor)
{
	while (end > floor) {
		size_t last = end - 1;
		uint64_t upto = load_strict(map, last / 64, 0) << (63 - last % 64);

		if (upto)
			return bits_max(end - (63 - bits_highest(upto)), floor);
		end = last / 64 * 64;
	}
	return floor;
}
