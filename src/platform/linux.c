/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "platform/platform.h"

#include <stdint.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* Calls left until the planned failure; 0 means that none is planned. Tests set it while nobody else maps. */
static _Atomic unsigned fail_countdown;
static _Atomic int fail_permanently;

void platform_fail_map(unsigned nth, int permanently)
{
	atomic_store_explicit(&fail_permanently, permanently, memory_order_relaxed);
	atomic_store_explicit(&fail_countdown, nth, memory_order_relaxed);
}

static bool planned_failure(void)
{
	unsigned left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);

	if (left == 0)
		return false;
	if (left == 1 && atomic_load_explicit(&fail_permanently, memory_order_relaxed))
		return true;
	atomic_store_explicit(&fail_countdown, left - 1, memory_order_relaxed);
	return left == 1;
}

static size_t host_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *platform_map(size_t bytes)
{
	size_t page = host_page(), body;
	char *reserved;

	if (planned_failure() || bytes == 0 || bytes > SIZE_MAX - 3 * page)
		return NULL;
	body = (bytes + page - 1) / page * page;
	reserved = mmap(NULL, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	if (mprotect(reserved + page, body, PROT_READ | PROT_WRITE)) {
		munmap(reserved, body + 2 * page);
		return NULL;
	}
	/* Bookkeeping is sparse: a huge page for the first byte of it would cost 2 MiB. Best effort. */
	madvise(reserved + page, body, MADV_NOHUGEPAGE);
	return reserved + page;
}

void platform_unmap(void *memory, size_t bytes)
{
	size_t page = host_page(), body = (bytes + page - 1) / page * page;

	if (memory)
		munmap((char *)memory - page, body + 2 * page);
}
