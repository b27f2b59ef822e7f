/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The platform for models: memory out of an arena that is empty again once all of it was given back. */
#include "platform/platform.h"

#include <string.h>

static _Alignas(4096) char arena[1 << 20];
static size_t used;
static int live;

size_t platform_page_size(void)
{
	return 4096;
}

void *platform_map(size_t bytes)
{
	char *at = arena + used;

	bytes = (bytes + 4095) / 4096 * 4096;
	if (bytes > sizeof(arena) - used)
		return NULL;
	used += bytes;
	live++;
	return memset(at, 0, bytes);
}

void platform_unmap(void *memory, size_t bytes)
{
	(void)memory, (void)bytes;
	if (--live == 0)
		used = 0;
}

int platform_wipe_on_fork(struct platform_wiped *wiped, void *memory, size_t bytes,
                          const _Atomic uint32_t *mark)
{
	(void)wiped, (void)memory, (void)bytes, (void)mark;
	return 0;
}

void platform_wipe_end(struct platform_wiped *wiped)
{
	(void)wiped;
}

/* The model's system has no limits. */
void platform_spare_hold(void)
{
}

void platform_spare_drop(void)
{
}

void platform_spare_trim(void)
{
}

bool platform_spare_spend(void)
{
	return false;
}

void platform_spare_restore(void)
{
}
