/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a reader of figures must know of the machine that they were taken on. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

/* Prints one line: processors, cores, packages, NUMA nodes and the last cache (by hwloc, if built with it), kernel. */
void machine_print(void);

#endif
