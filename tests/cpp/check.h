// SPDX-License-Identifier: BSD-2-Clause
// SPDX-FileCopyrightText: 2026 the isthmus authors
// What the tests of the C++ header check with: they say all that is not so, and go on.
#ifndef TESTS_CPP_CHECK_H
#define TESTS_CPP_CHECK_H

#include <cstdio>

static int faults;

static inline void check(bool good, const char *file, int line, const char *what)
{
	if (good)
		return;
	std::printf("%s:%d: not so: %s\n", file, line, what);
	faults++;
}
#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)

#endif
