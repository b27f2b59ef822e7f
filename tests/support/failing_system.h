/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Lets one of the calls by which the library asks the C library and the kernel for something fail, as they fail: memory from the
 * heap and from mmap, what changes mappings, files, descriptors, threads, membarrier. The program is linked with --wrap of each
 * (system_wraps in tests/meson.build).
 */
#ifndef TESTS_FAILING_SYSTEM_H
#define TESTS_FAILING_SYSTEM_H

#include <stdbool.h>

/* Let the nth such call from now fail, or all from the nth on; 0: none. */
void system_fail(unsigned nth, bool for_good);
/* Which call failed last, of those since system_fail; null: none. How many were made since. */
const char *system_failed(void);
unsigned system_calls(void);
/* As if there were no restartable sequences: a membarrier that is not known. Stays. */
void system_refuse_membarrier(void);

#endif
