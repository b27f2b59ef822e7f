/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The generator of all benchmarks: splitmix64 (Steele, Lea, Flood, OOPSLA 2014), for which any seed will do. */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 to `count` - 1. */
static inline size_t random_below(uint64_t *state, size_t count)
{
	return (size_t)(random_next(state) >> 32) % count;
}

/* The numbers 0 to `count` - 1 in a random order. */
static inline void random_order(uint64_t *state, size_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t other = random_below(state, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
}

#endif
