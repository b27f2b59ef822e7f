/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the library asks of the operating system: a page of functions. Control path only: each may block. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stddef.h>

/*
 * Private, zeroed, page-aligned memory of at least `bytes` bytes with an inaccessible page before and after it, so
 * that a stray access by an overrun faults instead of corrupting. Pages cost memory only once they are touched.
 * Null when the system has none to give. platform_unmap takes the same `bytes`.
 */
void *platform_map(size_t bytes);
void platform_unmap(void *memory, size_t bytes);

/* For tests: let the nth platform_map from now fail, once (1 = the next one; 0 = none), or every one from then on. */
void platform_fail_map(unsigned nth, int permanently);

#endif
