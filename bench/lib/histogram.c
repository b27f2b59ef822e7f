/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "histogram.h"

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint32_t i;

	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

/* The middle of a bucket; the inverse of histogram_bucket. */
static uint64_t bucket_value(uint32_t bucket)
{
	uint32_t shift;
	uint64_t low;

	if (bucket < 2u << HISTOGRAM_SUB_BITS)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	low = (uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;
	return low + (((uint64_t)1 << shift) >> 1);
}

uint64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
	double wanted = fraction * (double)histogram->count;
	uint64_t seen = 0, value;
	uint32_t i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen && (double)seen >= wanted) {
			value = bucket_value(i);
			return value < histogram->max ? value : histogram->max;
		}
	}
	return histogram->max;
}
