/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The figures of the tables, and how full the pools were, for report/plots.py. */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include "measure.h"

/* Write NAME.json into a directory that exists. Returns 0, or -1 after a message. */
int json_write(const char *directory, const struct measure_config *config, const struct trace_report *report);

#endif
