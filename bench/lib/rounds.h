/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Several measurements in turn, round after round, so that a drift of the machine meets all alike; then medians. */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

enum { ROUNDS_MAX = 99 };

struct round_values {
	const char *name;
	double (*measure)(void *context); /* one round: a figure */
	void *context;
	double value[ROUNDS_MAX];
	double median, low, high;
};

/* Runs rounds of all `count` in order and fills in their values, sorted, and medians. */
void rounds_run(struct round_values *values, int count, int rounds);

#endif
