/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What clients of /dev/teeN check with: they say all that is not so, and go on. */
#ifndef TESTS_TEE_CHECK_H
#define TESTS_TEE_CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "../support/scale.h"

static int faults;

static inline void check(bool good, int line, const char *what)
{
	if (good)
		return;
	printf("line %d: not so: %s (errno %d)\n", line, what, errno);
	faults++;
}
#define CHECK(condition) check(condition, __LINE__, #condition)

/* As often as is said for slow tools, and never more than `most`. */
static inline int times(int most)
{
	long fewer = scaled(most);

	return fewer < most ? (int)fewer + 1 : most;
}

#endif
