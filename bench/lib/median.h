/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef BENCH_MEDIAN_H
#define BENCH_MEDIAN_H

#include <stddef.h>

/* Sorts the values, at least one, and returns their median: of an even number, the mean of the middle two. */
double median_sort(double *values, size_t count);

#endif
