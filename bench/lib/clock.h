/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A cheap clock for single operations: the CPU's own counter, fenced so that the timed work lies between the two
 * readings. Elsewhere clock_gettime. Ticks become nanoseconds by a calibration against CLOCK_MONOTONIC.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>

/* Nothing behind clock_start may begin before the counter is read ... */
static inline uint64_t clock_start(void)
{
	uint64_t ticks;

	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
}

/* ... and everything before clock_stop is done when it is: rdtscp waits, the fence keeps what follows behind it. */
static inline uint64_t clock_stop(void)
{
	unsigned int cpu;
	uint64_t ticks = __rdtscp(&cpu);

	_mm_lfence();
	return ticks;
}

#define CLOCK_NAME "rdtsc"

#else

static inline uint64_t clock_start(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_stop(void)
{
	return clock_start();
}

#define CLOCK_NAME "clock_gettime"

#endif

struct clock_scale {
	double ns_per_tick;
	/* Of an empty start/stop pair; subtracted from every mean, and from every percentile. */
	double overhead_mean, overhead_median;
	double step; /* the smallest difference seen: many counters advance by more than 1 */
};

/* Measured ticks in nanoseconds, without the `overhead` ticks that went into reading the clock. */
static inline double clock_nanoseconds(const struct clock_scale *scale, double ticks, double overhead)
{
	return ticks > overhead ? (ticks - overhead) * scale->ns_per_tick : 0;
}

/* Takes about 30 ms. Call it on the CPU that will measure. */
struct clock_scale clock_calibrate(void);

/* Seconds of CLOCK_MONOTONIC, for progress and totals. */
double clock_seconds(void);

#endif
