/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a holder writes into memory, at both ends, so that it is seen when somebody else has got the same or wrote there. */
#ifndef TESTS_STAMP_H
#define TESTS_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <isthmus/view.h>

static inline uint64_t stamp_of(const struct ist_view *view)
{
	return (uint64_t)(uintptr_t)view->vaddr * UINT64_C(0x9e3779b97f4a7c15) ^ view->size;
}

static inline void stamp(const struct ist_view *view)
{
	uint64_t value = stamp_of(view);
	char *at = view->vaddr;

	if (view->size < 8) {
		memset(at, (int)(value & 0xff), view->size);
		return;
	}
	memcpy(at, &value, 8);
	memcpy(at + view->size - 8, &value, 8);
}

static inline bool is_stamped(const struct ist_view *view)
{
	uint64_t value = stamp_of(view);
	const char *at = view->vaddr;

	if (view->size < 8)
		return at[0] == (char)(value & 0xff) && at[view->size - 1] == (char)(value & 0xff);
	/* When they overlap, the last one counts. */
	return memcmp(at + view->size - 8, &value, 8) == 0 && (view->size < 16 || memcmp(at, &value, 8) == 0);
}

#endif
