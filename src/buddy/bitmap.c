/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/bitmap.h"

#include "base/mutant.h"

#define MUTANT_CLAIM_BLINDLY 103 /* claim without looking whether the bits are still clear */

size_t bitmap_claim(bitmap_word *map, size_t start, size_t count)
{
	size_t done = 0;

	while (done < count) {
		size_t at = start + done;
		unsigned first = (unsigned)(at % 64);
		unsigned bits = (unsigned)bits_min(64 - first, count - done);
		uint64_t mask = bits_mask(first, bits);
		uint64_t seen = atomic_load_explicit(&map[at / 64], memory_order_relaxed);

		/* Acquire on success: pairs with the release in bitmap_release [buddy.B1]. A failure takes nothing over. */
		do {
			if (seen & mask && !IS_MUTANT(MUTANT_CLAIM_BLINDLY))
				return done;
		} while (!atomic_compare_exchange_weak_explicit(&map[at / 64], &seen, seen | mask,
		                                                memory_order_acquire, memory_order_relaxed));
		done += bits;
	}
	return done;
}

bool bitmap_release(bitmap_word *map, size_t start, size_t count)
{
	bool all_were_set = true;

	while (count > 0) {
		unsigned first = (unsigned)(start % 64);
		unsigned bits = (unsigned)bits_min(64 - first, count);
		uint64_t mask = bits_mask(first, bits);
		/* seq_cst: [buddy.B1] towards the next owner, [buddy.D1] towards whoever lowers a bound. */
		uint64_t was = atomic_fetch_and_explicit(&map[start / 64], ~mask, memory_order_seq_cst);

		all_were_set = all_were_set && (was & mask) == mask;
		start += bits;
		count -= bits;
	}
	return all_were_set;
}

/* Granules of the word at `index` that are in use, or free when `flip` is all ones. */
static uint64_t load_strict(bitmap_word *map, size_t index, uint64_t flip)
{
	return atomic_load_explicit(&map[index], memory_order_seq_cst) ^ flip; /* [buddy.D1] */
}

static size_t next_one(bitmap_word *map, size_t from, size_t limit, uint64_t flip)
{
	while (from < limit) {
		uint64_t rest = load_strict(map, from / 64, flip) >> (from % 64);

		if (rest)
			return bits_min(from + bits_lowest(rest), limit);
		from = (from / 64 + 1) * 64;
	}
	return limit;
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
