/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Progress on standard error, for work that takes longer than two seconds: one line that is rewritten on a terminal,
 * a plain line every five seconds elsewhere.
 */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdint.h>

void progress_begin(uint32_t steps);
/* The next step begins. */
void progress_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Take the line away, before anything else is printed. */
void progress_clear(void);

#endif
