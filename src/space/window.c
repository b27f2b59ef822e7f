/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "space/window.h"

#include <errno.h>

#include <isthmus/types.h>

#include "platform/platform.h"

#define WINDOW_MAX (UINT64_C(1) << 43) /* so that a granule's number fits 32 bits, and its double too */

#define FANOUT_SHIFT 4u

static size_t nodes_of(size_t granules, unsigned level)
{
	return bits_ceil_div(granules, (size_t)1 << FANOUT_SHIFT * level);
}

static size_t owners_bytes(size_t granules)
{
	size_t nodes = 0;

	for (unsigned level = 0; level < WINDOW_LEVELS; level++)
		nodes += nodes_of(granules, level);
	return nodes * sizeof(uint32_t);
}

static size_t memory_bytes(size_t granules)
{
	return bits_round_up(buddy_bytes(granules), CACHE_LINE) + owners_bytes(granules);
}

static void place_owners(struct window *window, size_t granules)
{
	_Atomic uint32_t *next =
	        (void *)((char *)window->memory + bits_round_up(buddy_bytes(granules), CACHE_LINE));

	for (unsigned level = 0; level < WINDOW_LEVELS; level++) {
		window->level[level] = next;
		next += nodes_of(granules, level);
	}
}

int window_open(struct window *window, uint64_t size, size_t host_page)
{
	size_t granules = (size_t)(size / IST_PAGE_SIZE);
	size_t bytes = memory_bytes(granules);

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
	place_owners(window, granules);
	atomic_store_explicit(&window->ready, true, memory_order_release); /* window_contains */
	return 0;
}

void window_close(struct window *window)
{
	if (!window->base)
		return;
	if (!atomic_load_explicit(&window->lost, memory_order_relaxed))
		platform_release(window->base, window->size);
	platform_unmap(window->memory, memory_bytes(window->size / IST_PAGE_SIZE));
	window->base = NULL;
	atomic_store_explicit(&window->ready, false, memory_order_relaxed);
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

/* The run as the fewest nodes. Release: with the mapping behind it. */
static void set_owner(struct window *window, struct run run, uint32_t slot)
{
	uint64_t at = run.first, end = (uint64_t)run.first + run.count;

	while (at < end) {
		unsigned level = at ? bits_lowest(at) / FANOUT_SHIFT : WINDOW_LEVELS - 1;
		unsigned fits = bits_highest(end - at) / FANOUT_SHIFT;

		level = level < fits ? level : fits;
		level = level < WINDOW_LEVELS ? level : WINDOW_LEVELS - 1;
		atomic_store_explicit(&window->level[level][at >> FANOUT_SHIFT * level], slot,
		                      memory_order_release); /* window_owner */
		at += UINT64_C(1) << FANOUT_SHIFT * level;
	}
}

void window_enter(struct window *window, struct run run, uint32_t slot)
{
	set_owner(window, run, slot);
}

void window_leave(struct window *window, struct run run)
{
	set_owner(window, run, 0);
}

uint32_t window_owner(const struct window *window, const void *at)
{
	size_t granule = ((uintptr_t)at - (uintptr_t)window->base) / IST_PAGE_SIZE;
	uint32_t slot = 0;

	for (unsigned level = 0; level < WINDOW_LEVELS && !slot; level++)
		slot = atomic_load_explicit(&window->level[level][granule >> FANOUT_SHIFT * level],
		                            memory_order_acquire); /* set_owner */
	return slot;
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
	return atomic_load_explicit(&window->ready, memory_order_acquire) &&
	       (uintptr_t)at - (uintptr_t)window->base < window->size;
}
