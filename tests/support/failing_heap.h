/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A heap that fails on demand, for programs that are linked with --wrap=malloc and --wrap=calloc: the linker then
 * sends the library's calls here. One thread sets it at a time.
 */
#ifndef TESTS_FAILING_HEAP_H
#define TESTS_FAILING_HEAP_H

#include <stdbool.h>

/* The nth call from now fails, once or every one from it on; 0: none does. */
void heap_fail(int nth, bool for_good);

/* Calls so far. */
long heap_calls(void);

#endif
