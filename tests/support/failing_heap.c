/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/failing_heap.h"

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static int countdown; /* 0: none is planned to fail */
static bool stays_broken;
static long calls;

void heap_fail(int nth, bool for_good)
{
	countdown = nth;
	stays_broken = for_good;
}

long heap_calls(void)
{
	return calls;
}

static bool fails(void)
{
	calls++;
	if (countdown == 0)
		return false;
	if (countdown == 1) {
		countdown = stays_broken ? 1 : 0;
		return true;
	}
	countdown--;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}
