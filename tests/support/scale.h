/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef TESTS_SCALE_H
#define TESTS_SCALE_H

#include <stdlib.h>

/* How often something is done that is done `iterations` times at full speed: ISTHMUS_TEST_SCALE says, in percent. At least once. */
static inline long scaled(long iterations)
{
	const char *percent = getenv("ISTHMUS_TEST_SCALE");
	long scale = percent ? strtol(percent, NULL, 10) : 100;

	return iterations * scale / 100 > 0 ? iterations * scale / 100 : 1;
}

#endif
