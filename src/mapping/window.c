/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/window.h"

#include <errno.h>

#include <isthmus/types.h>

#include "platform/platform.h"

#define WINDOW_MAX (UINT64_C(1) << 43) /* so that a granule's number fits 32 bits, and its double too */

int window_open(struct window *window, uint64_t size, size_t host_page)
{
	size_t granules = (size_t)(size / IST_PAGE_SIZE);
	size_t bytes = buddy_bytes(granules);

	if (size > WINDOW_MAX)
		return -ENOMEM;
	window->memory = platform_map(bytes);
	if (!window->memory)
		return -ENOMEM;
	window->base = platform_reserve(size);
	if (!window->base) {
		platform_unmap(window->memory, bytes);
		return -ENOMEM;
	}
	window->size = size;
	window->host_page = bits_max(host_page, IST_PAGE_SIZE);
	buddy_init(&window->buddy, window->memory, granules);
	return 0;
}

void window_close(struct window *window)
{
	if (!window->base)
		return;
	if (!atomic_load_explicit(&window->lost, memory_order_relaxed))
		platform_release(window->base, window->size);
	platform_unmap(window->memory, buddy_bytes(window->size / IST_PAGE_SIZE));
	window->base = NULL;
}

int window_take(struct window *window, uint64_t pages, struct run *out)
{
	size_t unit = window->host_page / IST_PAGE_SIZE, start;
	/* The base is a multiple of the host's page, so runs need no phase. */
	struct buddy_alignment alignment = {unit, 0};
	int error;

	if (pages > window->size / IST_PAGE_SIZE)
		return -ENOSPC;
	pages = bits_round_up(pages, unit);
	error = buddy_alloc(&window->buddy, pages, unit > 1 ? alignment : BUDDY_ANYWHERE, &start);
	if (error)
		return error;
	atomic_fetch_add_explicit(&window->used, pages, memory_order_relaxed);
	*out = (struct run){(uint32_t)start, (uint32_t)pages};
	return 0;
}

void window_give(struct window *window, struct run run)
{
	atomic_fetch_sub_explicit(&window->used, run.count, memory_order_relaxed);
	buddy_free(&window->buddy, run.first, run.count);
}

void window_lose(struct window *window)
{
	atomic_store_explicit(&window->lost, true, memory_order_relaxed);
}

char *window_address(const struct window *window, struct run run)
{
	return window->base + (size_t)run.first * IST_PAGE_SIZE;
}

bool window_contains(const struct window *window, const void *at)
{
	return window->base && (uintptr_t)at - (uintptr_t)window->base < window->size;
}
