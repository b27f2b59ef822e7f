/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "rounds.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double rounds_median(double *value, int count)
{
	qsort(value, (size_t)count, sizeof(*value), compare);
	return count % 2 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
}

void rounds_run(struct round_values *values, int count, int rounds)
{
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++)
			values[i].value[round] = values[i].measure(values[i].context);
	}
	for (int i = 0; i < count; i++) {
		values[i].median = rounds_median(values[i].value, rounds);
		values[i].low = values[i].value[0];
		values[i].high = values[i].value[rounds - 1];
	}
}
