/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A histogram of ticks with buckets that are exact below 64 and at most 1.6 % wide above. One writer. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6u
#define HISTOGRAM_BUCKETS                                                                                    \
	((40u - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS) /* up to 2^40 ticks; longer is clamped */

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint64_t ticks)
{
	uint32_t shift;

	if (ticks < 1u << HISTOGRAM_SUB_BITS)
		return (uint32_t)ticks;
	if (ticks >= (uint64_t)1 << 40)
		return HISTOGRAM_BUCKETS - 1;
	shift = 63u - (uint32_t)__builtin_clzll(ticks) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(ticks >> shift);
}

static inline void histogram_add(struct histogram *histogram, uint64_t ticks)
{
	histogram->count++;
	histogram->sum += ticks;
	if (ticks > histogram->max)
		histogram->max = ticks;
	histogram->buckets[histogram_bucket(ticks)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest ticks that `fraction` of the measurements do not exceed, to the width of a bucket. 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);

#endif
