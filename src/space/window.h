/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The window: reserved address space, inaccessible but where something is mapped, handed out in granules of 4 KiB by the run
 * allocator. On a host with larger pages runs are whole host pages. Taking and giving back is lock-free.
 */
#ifndef SPACE_WINDOW_H
#define SPACE_WINDOW_H

#include <stdbool.h>

#include "buddy/buddy.h"

/* A run of granules; count 0: none. */
struct run {
	uint32_t first, count;
};

#define WINDOW_LEVELS 8u

struct window {
	atomic_bool ready; /* set with release when all else is there */
	char *base; /* null: none yet */
	size_t size; /* bytes */
	void *memory;
	struct buddy buddy;
	size_t host_page; /* bytes; at least a granule */
	_Atomic uint64_t used; /* granules */
	/* Whose run it is: slots by granule, by 16 of them, and so on. */
	_Atomic uint32_t *level[WINDOW_LEVELS];
	atomic_bool lost; /* some of it is not ours any more: see window_lose */
};

/* Reserve. -ENOMEM */
int window_open(struct window *window, uint64_t size, size_t host_page);
void window_close(struct window *window);

/* Granules for `pages`, rounded up to host pages. -ENOSPC */
int window_take(struct window *window, uint64_t pages, struct run *out);
/* All of it must be inaccessible again. */
void window_give(struct window *window, struct run run);

/*
 * Whose run that is: slot, from enter until leave. Nobody else has any of the run meanwhile. window_owner: the slot that has
 * the granule at this address, or 0; wait-free.
 */
void window_enter(struct window *window, struct run run, uint32_t slot);
void window_leave(struct window *window, struct run run);
uint32_t window_owner(const struct window *window, const void *at);

/* The system has taken away some of a run, which is never given back: then the window is not unmapped as a whole either. */
void window_lose(struct window *window);

char *window_address(const struct window *window, struct run run);
/* Wait-free. */
bool window_contains(const struct window *window, const void *at);

#endif
