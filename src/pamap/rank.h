/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * How many of a run of keys are below a limit, without a branch: four at a time, in what every x86-64 (SSE2) and ARM64
 * (NEON) has. Written out because gcc leaves the plain loop rolled up at -O2: lookups then take half as long again.
 */
#ifndef PAMAP_RANK_H
#define PAMAP_RANK_H

#include <stdint.h>

typedef int32_t rank_four __attribute__((vector_size(16)));
typedef uint64_t rank_two __attribute__((vector_size(16)));

/* Minus the count in each lane, over 16 keys. */
static inline rank_four rank_16(const rank_four *keys, rank_four limit)
{
	return ((keys[0] < limit) + (keys[1] < limit)) + ((keys[2] < limit) + (keys[3] < limit));
}

static inline unsigned rank_sum(rank_four lanes)
{
	rank_two halves = (rank_two)-lanes;
	uint64_t sum = halves[0] + halves[1]; /* two counts side by side; none reaches 2^32 */

	return (unsigned)sum + (unsigned)(sum >> 32);
}

/* keys: aligned to 16 bytes. */
static inline unsigned rank_of_32(const int32_t *keys, int32_t limit)
{
	const rank_four *fours = (const rank_four *)(const void *)keys;
	rank_four limits = {limit, limit, limit, limit};

	return rank_sum(rank_16(fours, limits) + rank_16(fours + 4, limits));
}

static inline unsigned rank_of_64(const int32_t *keys, int32_t limit)
{
	const rank_four *fours = (const rank_four *)(const void *)keys;
	rank_four limits = {limit, limit, limit, limit};

	return rank_sum((rank_16(fours, limits) + rank_16(fours + 4, limits)) +
	                (rank_16(fours + 8, limits) + rank_16(fours + 12, limits)));
}

#endif
