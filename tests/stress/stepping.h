/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* For debuggers that step a thread through its instructions. */
#ifndef STRESS_STEPPING_H
#define STRESS_STEPPING_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/auxv.h>
#ifdef __aarch64__
#include <asm/hwcap.h>
#endif

/*
 * False, and a word that says so, where it cannot be done: ARM64 before 8.1 has pairs of instructions for atomic operations, and
 * never ends one that is stepped through.
 */
static inline bool can_step(void)
{
#ifdef __aarch64__
	if (!(getauxval(AT_HWCAP) & HWCAP_ATOMICS)) {
		printf("skipped: a step between the two halves of an atomic operation undoes the first, on this machine\n");
		return false;
	}
#endif
	return true;
}

#endif
