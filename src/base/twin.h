/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Deliberately broken twins: a test that is compiled with -DBROKEN_TWIN=n gets the code with fault n in it, and must
 * find the fault. In the library nothing is broken and every TWIN_BROKEN is a constant false.
 */
#ifndef BASE_TWIN_H
#define BASE_TWIN_H

#include <stdatomic.h>

#ifndef BROKEN_TWIN
#define BROKEN_TWIN 0
#endif

#define TWIN_BROKEN(n) (BROKEN_TWIN == (n))

/* In models every step is tried anyway: there they are 0. */
#ifndef TWIN_DWELLS
#define TWIN_DWELLS 300
#endif

/* A while inside the window of a fault, so that a test on a busy machine finds it in seconds. Nothing in the library. */
static inline void twin_dwell(void)
{
	for (_Atomic int i = 0; !TWIN_BROKEN(0) && i < TWIN_DWELLS;)
		atomic_fetch_add_explicit(&i, 1, memory_order_relaxed);
}

#endif
