/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "rounds.h"

#include "median.h"

void rounds_run(struct round_values *values, int count, int rounds)
{
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++)
			values[i].value[round] = values[i].measure(values[i].context);
	}
	for (int i = 0; i < count; i++) {
		values[i].median = median_sort(values[i].value, (size_t)rounds);
		values[i].low = values[i].value[0];
		values[i].high = values[i].value[rounds - 1];
	}
}
