/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The plots of one trace: occupancy of the client pool, and latency percentiles per mode. */
#ifndef BENCH_PLOTS_H
#define BENCH_PLOTS_H

#include "measure.h"

/*
 * Write DIR/NAME-occupancy.svg and, for each mode measured, DIR/NAME-latency-MODE.svg. DIR exists. Returns 0, or -1
 * with a line on standard error.
 */
int plots_write(const char *directory, const struct measure_config *config,
                const struct trace_report *report);

#endif
