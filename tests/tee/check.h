/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What clients of /dev/teeN check with: they say all that is not so, and go on. */
#ifndef TESTS_TEE_CHECK_H
#define TESTS_TEE_CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int faults;

static inline void check(bool good, int line, const char *what)
{
	if (good)
		return;
	printf("line %d: not so: %s (errno %d)\n", line, what, errno);
	faults++;
}
#define CHECK(condition) check(condition, __LINE__, #condition)

/* How often, of so many times as there are at full speed: slow tools say how much of it (ISTHMUS_TEST_SCALE, in percent). */
static inline int times(int most)
{
	const char *scale = getenv("ISTHMUS_TEST_SCALE");
	int percent = scale ? atoi(scale) : 100;

	return percent >= 100 || percent <= 0 ? most : most * percent / 100 + 1;
}

#endif
