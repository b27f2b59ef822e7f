/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Keeping a thread on one CPU. Refused by some containers; a run is then merely noisier. */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdint.h>

/* Keep the calling thread on this CPU. */
void cpu_pin(int cpu);

/* The same for the nth of those that the process could use at the first call of any of these, counted modulo. */
void cpu_pin_nth(uint32_t number);

/* Let the calling thread run on all of those again. */
void cpu_unpin(void);

#endif
