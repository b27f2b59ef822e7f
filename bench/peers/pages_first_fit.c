/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A mutex around a bitmap, searched from the lowest word that may have a free page. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/must.h"
#include "page_peers.h"

struct first_fit {
	pthread_mutex_t mutex;
	size_t pages, lowest; /* no free page below word `lowest` */
	uint64_t used[];
};

static void *create(char *base, size_t bytes)
{
	size_t pages = bytes / IST_PAGE_SIZE, words = (pages + 63) / 64;
	struct first_fit *pool = must_allocate(1, sizeof(*pool) + (words + 1) * sizeof(uint64_t));

	(void)base;
	pthread_mutex_init(&pool->mutex, NULL);
	pool->pages = pages;
	if (pages % 64)
		pool->used[words - 1] = ~UINT64_C(0) << pages % 64;
	pool->used[words] = ~UINT64_C(0);
	return pool;
}

/* The first page from `page` up that is in use (flip 0) or free (flip all ones); `limit` or more if there is none. */
static size_t next(const struct first_fit *pool, size_t page, size_t limit, uint64_t flip)
{
	while (page < limit) {
		uint64_t word = (pool->used[page / 64] ^ flip) >> page % 64;

		if (word)
			return page + (size_t)__builtin_ctzll(word);
		page = (page / 64 + 1) * 64;
	}
	return page;
}

static void set(struct first_fit *pool, size_t page, size_t pages, bool used)
{
	while (pages > 0) {
		size_t first = page % 64, bits = 64 - first < pages ? 64 - first : pages;
		uint64_t mask = ~UINT64_C(0) >> (64 - bits) << first;

		if (used)
			pool->used[page / 64] |= mask;
		else
			pool->used[page / 64] &= ~mask;
		page += bits;
		pages -= bits;
	}
}

static bool alloc(void *handle, size_t pages, struct page_run *out)
{
	struct first_fit *pool = handle;
	size_t page, end = 0;
	bool found = false;

	pthread_mutex_lock(&pool->mutex);
	page = next(pool, pool->lowest * 64, pool->pages, ~UINT64_C(0));
	pool->lowest = page / 64;
	while (!found && page < pool->pages && pages <= pool->pages - page) {
		end = next(pool, page, page + pages, 0);
		found = end >= page + pages;
		if (!found)
			page = next(pool, end, pool->pages, ~UINT64_C(0));
	}
	if (found) {
		set(pool, page, pages, true);
		out->start = page;
		out->pages = pages;
	}
	pthread_mutex_unlock(&pool->mutex);
	return found;
}

static void release(void *handle, struct page_run *run)
{
	struct first_fit *pool = handle;

	pthread_mutex_lock(&pool->mutex);
	set(pool, run->start, run->pages, false);
	if (run->start / 64 < pool->lowest)
		pool->lowest = run->start / 64;
	pthread_mutex_unlock(&pool->mutex);
}

static size_t free_blocks(void *handle)
{
	struct first_fit *pool = handle;
	size_t blocks = 0;

	for (size_t block = 0; block < pool->pages / 512; block++)
		blocks += next(pool, block * 512, (block + 1) * 512, 0) >= (block + 1) * 512;
	return blocks;
}

static void destroy(void *pool)
{
	free(pool);
}

const struct page_peer page_peer_first_fit = {
        "mutex, bitmap first fit", create, alloc, release, free_blocks, destroy};
