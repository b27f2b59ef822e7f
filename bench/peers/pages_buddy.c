/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A mutex around the textbook's buddy: a doubly linked free list for each order, links by page number, out of band. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/must.h"
#include "page_peers.h"

enum { ORDERS = 40 };
#define NONE UINT32_MAX

struct page {
	uint32_t next, previous;
	int8_t free_order; /* of the free block that begins here, or -1 */
};

struct buddy {
	pthread_mutex_t mutex;
	size_t pages;
	uint32_t head[ORDERS];
	struct page page[];
};

static void push(struct buddy *pool, uint32_t page, int order)
{
	pool->page[page] = (struct page){pool->head[order], NONE, (int8_t)order};
	if (pool->head[order] != NONE)
		pool->page[pool->head[order]].previous = page;
	pool->head[order] = page;
}

static void unlink_block(struct buddy *pool, uint32_t page)
{
	struct page *block = &pool->page[page];

	if (block->previous != NONE)
		pool->page[block->previous].next = block->next;
	else
		pool->head[block->free_order] = block->next;
	if (block->next != NONE)
		pool->page[block->next].previous = block->previous;
	block->free_order = -1;
}

static void *create(char *base, size_t bytes)
{
	size_t pages = bytes / IST_PAGE_SIZE;
	struct buddy *pool = must_allocate(1, sizeof(*pool) + pages * sizeof(struct page));

	(void)base;
	pthread_mutex_init(&pool->mutex, NULL);
	pool->pages = pages;
	for (int order = 0; order < ORDERS; order++)
		pool->head[order] = NONE;
	for (size_t i = 0; i < pages; i++)
		pool->page[i].free_order = -1;
	for (size_t at = pages; at > 0;) { /* from the top, so that the lowest block ends up first */
		int order = __builtin_ctzll(at);

		at -= (size_t)1 << order;
		push(pool, (uint32_t)at, order);
	}
	return pool;
}

static int order_of(size_t pages)
{
	return pages > 1 ? 64 - __builtin_clzll(pages - 1) : 0;
}

static bool alloc(void *handle, size_t pages, struct page_run *out)
{
	struct buddy *pool = handle;
	int wanted = order_of(pages), order = wanted;

	pthread_mutex_lock(&pool->mutex);
	while (order < ORDERS && pool->head[order] == NONE)
		order++;
	if (order < ORDERS) {
		uint32_t page = pool->head[order];

		unlink_block(pool, page);
		while (order > wanted) {
			order--;
			push(pool, page + (UINT32_C(1) << order), order);
		}
		out->start = page;
		out->pages = pages;
	}
	pthread_mutex_unlock(&pool->mutex);
	return order < ORDERS;
}

static void release(void *handle, struct page_run *run)
{
	struct buddy *pool = handle;
	uint32_t page = (uint32_t)run->start;
	int order = order_of(run->pages);

	pthread_mutex_lock(&pool->mutex);
	for (;; order++) {
		uint32_t other = page ^ UINT32_C(1) << order;

		if (other >= pool->pages || pool->page[other].free_order != order)
			break;
		unlink_block(pool, other);
		page &= ~(UINT32_C(1) << order);
	}
	push(pool, page, order);
	pthread_mutex_unlock(&pool->mutex);
}

static size_t free_blocks(void *handle)
{
	struct buddy *pool = handle;
	size_t blocks = 0;

	for (size_t i = 0; i < pool->pages; i++) {
		if (pool->page[i].free_order >= 9)
			blocks += (size_t)1 << (pool->page[i].free_order - 9);
	}
	return blocks;
}

static void destroy(void *pool)
{
	free(pool);
}

const struct page_peer page_peer_buddy = {
        "mutex, textbook buddy", create, alloc, release, free_blocks, destroy};
