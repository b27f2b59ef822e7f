/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* For models of what is registered in place: nothing is mapped side by side, and there are no ranges. Once a program. */
#ifndef TESTS_MODEL_NO_WINDOWS_H
#define TESTS_MODEL_NO_WINDOWS_H

#include "space/range_words.h"

bool window_contains(const struct window *window, const void *at)
{
	(void)window, (void)at;
	return false;
}

uint32_t window_owner(const struct window *window, const void *at)
{
	(void)window, (void)at;
	return 0;
}

bool range_holds(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last)
{
	(void)mapping, (void)at, (void)first, (void)last;
	return false;
}

bool range_held(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last)
{
	return range_holds(mapping, at, first, last);
}

bool range_page(const struct mapping *mapping, uint64_t at, uint64_t *page)
{
	(void)mapping, (void)at, (void)page;
	return false;
}

#endif
