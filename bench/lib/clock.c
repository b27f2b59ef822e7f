/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "clock.h"

#include <stdlib.h>

#define PAIRS 4001
#define CALIBRATION_SECONDS 0.03

double clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct clock_scale clock_calibrate(void)
{
	static uint64_t pairs[PAIRS];
	double begin = clock_seconds(), end;
	uint64_t first = clock_start(), last;
	struct clock_scale scale;
	int i;

	do {
		end = clock_seconds();
		last = clock_stop();
	} while (end - begin < CALIBRATION_SECONDS);
	scale.ns_per_tick = (end - begin) * 1e9 / (double)(last - first);

	for (i = 0; i < PAIRS; i++) {
		uint64_t start = clock_start();

		pairs[i] = clock_stop() - start;
	}
	qsort(pairs, PAIRS, sizeof(pairs[0]), compare);
	scale.overhead_median = (double)pairs[PAIRS / 2];
	/* Without the slowest hundredth: those were interrupted. */
	scale.overhead_mean = 0;
	for (i = 0; i < PAIRS - PAIRS / 100; i++)
		scale.overhead_mean += (double)pairs[i] / (PAIRS - PAIRS / 100);
	scale.step = (double)pairs[PAIRS - 1];
	for (i = 1; i < PAIRS; i++)
		if (pairs[i] > pairs[i - 1] && (double)(pairs[i] - pairs[i - 1]) < scale.step)
			scale.step = (double)(pairs[i] - pairs[i - 1]);
	return scale;
}
