/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Allocators of page runs over one region, each behind the same calls. */
#ifndef BENCH_PAGE_PEERS_H
#define BENCH_PAGE_PEERS_H

#include <isthmus/isthmus.h>

#include <stdbool.h>
#include <stddef.h>

struct page_run {
	struct ist_shm shm; /* isthmus only */
	size_t start, pages;
};

struct page_peer {
	const char *name;
	void *(*create)(char *base, size_t bytes);
	bool (*alloc)(void *pool, size_t pages, struct page_run *out); /* contents stay */
	void (*free)(void *pool, struct page_run *run);
	size_t (*free_blocks)(void *pool); /* whole free blocks of 512 pages */
	void (*destroy)(void *pool);
};

/*
 * isthmus' client pool; a mutex around a bitmap that is searched first fit; a mutex around the textbook's buddy (free
 * lists for each power of two, requests rounded up). The latter two are as simple and as fast as they can be made with
 * one lock, and check nothing.
 */
extern const struct page_peer page_peer_isthmus, page_peer_first_fit, page_peer_buddy;

/* The manager behind a pool of page_peer_isthmus. */
struct ist_manager *page_peer_manager(void *pool);

#endif
