/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A mutant that a torture test must catch. */
#ifndef TESTS_CATCH_H
#define TESTS_CATCH_H

/*
 * Run a second of torture in a child, up to ten times, so that a fault is met early as a rule. It is caught when the
 * torture does not return 0, crashes or hangs. Returns 0 if it was, and prints how; `number` is the mutant's.
 */
int catch_mutant(int number, int (*torture_a_second)(void));

#endif
