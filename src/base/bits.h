/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Small arithmetic on words, rounding and ranges. No state, no atomics. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64u

/* `count` one bits from bit `first` up; 1 <= count, first + count <= 64. */
static inline uint64_t bits_mask(unsigned first, unsigned count)
{
	return (~UINT64_C(0) >> (64 - count)) << first;
}

/* Index of the lowest (highest) one bit; word must not be 0. */
static inline unsigned bits_lowest(uint64_t word)
{
	return (unsigned)__builtin_ctzll(word);
}

static inline unsigned bits_highest(uint64_t word)
{
	return 63u - (unsigned)__builtin_clzll(word);
}

/* Next multiple of a power of two; the caller knows that it does not overflow. */
static inline size_t bits_round_up(size_t value, size_t power)
{
	return (value + power - 1) & ~(power - 1);
}

static inline size_t bits_ceil_div(size_t value, size_t by)
{
	return value / by + (value % by != 0);
}

static inline size_t bits_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t bits_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline bool bits_is_power_of_two(size_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

#endif
