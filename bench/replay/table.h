/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The report of one trace as text. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "measure.h"

#include <stdio.h>

void table_print(FILE *file, const struct measure_config *config, const struct trace_report *report);

#endif
