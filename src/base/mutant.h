/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Mutants, deliberately broken variants: a test that is compiled with -DMUTANT=n gets the code with fault n in it, and must
 * find the fault. In the library nothing is broken and every IS_MUTANT is a constant false.
 */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

#include <stdatomic.h>

#ifndef MUTANT
#define MUTANT 0
#endif

#define IS_MUTANT(n) (MUTANT == (n))

/* In models every step is tried anyway: there they are 0. */
#ifndef MUTANT_DWELLS
#define MUTANT_DWELLS 300
#endif

/* A while inside the window of a fault, so that a test on a busy machine finds it in seconds. Nothing in the library. */
static inline void mutant_dwell(void)
{
	for (_Atomic int i = 0; !IS_MUTANT(0) && i < MUTANT_DWELLS;)
		atomic_fetch_add_explicit(&i, 1, memory_order_relaxed);
}

#endif
