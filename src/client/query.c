/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Questions about a client pool: who holds a page, all allocations in order, how the free space lies. */
#include <errno.h>
#include <string.h>

#include "client/client_pool.h"
#include "client/record.h"

/*
 * What starts at `start`, if it is live. The record read first and last must be the same: then the owner between
 * them belongs to it [client.R1] [client.R2], and the answer was true at the first load.
 */
static bool read_allocation(struct ist_client_pool *pool, size_t start, struct ist_client_allocation *out)
{
	uint64_t record = atomic_load_explicit(&pool->record[start], memory_order_acquire);

	while (record_is_live(record)) {
		uint32_t owner =
		        atomic_load_explicit(&pool->owner[start], memory_order_acquire); /* [client.R2] */
		uint64_t again = atomic_load_explicit(&pool->record[start], memory_order_acquire);

		if (again == record) {
			out->view.vaddr = pool->pool.vaddr + start * IST_PAGE_SIZE;
			out->view.paddr = pool->pool.paddr + start * IST_PAGE_SIZE;
			out->view.size = record_size(record);
			out->owner = owner;
			return true;
		}
		record = again;
	}
	return false;
}

static bool holds_page(const struct ist_client_pool *pool, const struct ist_client_allocation *allocation,
                       size_t page)
{
	size_t start = (size_t)(allocation->view.paddr - pool->pool.paddr) / IST_PAGE_SIZE;

	return page - start < bits_ceil_div(allocation->view.size, IST_PAGE_SIZE);
}

int client_pool_find(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out)
{
	struct ist_client_allocation found;
	size_t page, at;
	bool is_start;

	if (paddr - pool->pool.paddr >= pool->pool.size)
		return -ENOENT;
	page = (size_t)(paddr - pool->pool.paddr) / IST_PAGE_SIZE;
	/* Down to the nearest start, or to a page with a link to it. */
	at = page;
	while (!(is_start = read_allocation(pool, at, &found)) && at % RECORD_LINK_PAGES != 0)
		at--;
	if (!is_start) {
		size_t link =
		        atomic_load_explicit(&pool->owner[at], memory_order_relaxed); /* checked below */

		is_start = link != 0 && link <= at && read_allocation(pool, at - link, &found);
	}
	if (!is_start || !holds_page(pool, &found, page))
		return -ENOENT;
	*out = found;
	return 0;
}

bool client_pool_next_live(struct ist_client_pool *pool, size_t page, size_t limit, size_t *start,
                           size_t *end, struct ist_client_allocation *found)
{
	size_t pages = bits_min(pool->pool.size / IST_PAGE_SIZE, limit);

	/* By the map, so that free stretches cost a bit a page and their records stay untouched. */
	for (; (page = bitmap_next_used(pool->slabs.buddy.map, page, pages)) < pages; page++) {
		if (read_allocation(pool, page, found)) {
			*start = page;
			*end = page + bits_ceil_div(found->view.size, IST_PAGE_SIZE);
			return true;
		}
	}
	return false;
}

/* The same, of the whole pool. */
static bool next_live(struct ist_client_pool *pool, size_t page, size_t *start, size_t *end,
                      struct ist_client_allocation *found)
{
	return client_pool_next_live(pool, page, SIZE_MAX, start, end, found);
}

int client_pool_next(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out)
{
	struct ist_client_allocation found;
	size_t page = 0, start, end;

	if (paddr > pool->pool.paddr) {
		if (paddr - pool->pool.paddr > pool->pool.size - IST_PAGE_SIZE)
			return -ENOENT;
		page = bits_ceil_div((size_t)(paddr - pool->pool.paddr), IST_PAGE_SIZE);
	}
	if (!next_live(pool, page, &start, &end, &found))
		return -ENOENT;
	*out = found;
	return 0;
}

int client_pool_record(struct ist_client_pool *pool, const struct ist_client_allocation *found,
                       uint64_t *record)
{
	size_t start = (size_t)(found->view.paddr - pool->pool.paddr) / IST_PAGE_SIZE;
	struct ist_client_allocation now;

	*record = atomic_load_explicit(&pool->record[start], memory_order_acquire);
	/* The use that the record names had this owner and size at one instant; a later use is told by its count. */
	if (!read_allocation(pool, start, &now) || now.owner != found->owner ||
	    now.view.size != found->view.size ||
	    atomic_load_explicit(&pool->record[start], memory_order_acquire) != *record)
		return -ENOENT;
	return 0;
}

void client_pool_owner_use(struct ist_client_pool *pool, uint32_t owner, struct ist_client_owner_use *out)
{
	struct ist_client_allocation found;
	size_t start, end = 0;

	memset(out, 0, sizeof(*out));
	while (next_live(pool, end, &start, &end, &found)) {
		if (found.owner == owner) {
			out->bytes += found.view.size;
			out->allocations++;
		}
	}
}

/* A stretch between live allocations: all of it can be had, whether it lies in the buddy or in magazines. */
static void add_gap(struct ist_client_pool_space *space, size_t start, size_t end)
{
	size_t block = bits_ceil_div(start, BUDDY_CHUNK), end_block = end / BUDDY_CHUNK, count = end - start;

	if (count == 0)
		return;
	space->free_pages += count;
	space->longest_run = bits_max(space->longest_run, count);
	space->runs[bits_min(bits_highest(count), IST_FREE_RUN_CLASSES - 1)]++;
	space->free_blocks += end_block > block ? end_block - block : 0;
}

/* The gaps, and the bytes of what is between them. */
static size_t survey_allocations(struct ist_client_pool *pool, struct ist_client_pool_space *space)
{
	struct ist_client_allocation found;
	size_t start, end = 0, gap = 0, bytes = 0;

	memset(space, 0, sizeof(*space));
	space->pages = pool->pool.size / IST_PAGE_SIZE;
	while (next_live(pool, end, &start, &end, &found)) {
		bytes += found.view.size;
		add_gap(space, gap, start);
		gap = end;
	}
	add_gap(space, gap, space->pages);
	return bytes;
}

void client_pool_space(struct ist_client_pool *pool, struct ist_client_pool_space *out)
{
	survey_allocations(pool, out);
	if (out->free_pages)
		out->fragmentation = (uint32_t)(1000 - out->longest_run * 1000 / out->free_pages);
}

void client_pool_stats(struct ist_client_pool *pool, struct ist_pool_stats *out)
{
	struct ist_client_pool_space space;
	struct pool_use use;

	use.bytes = survey_allocations(pool, &space);
	use.longest_gap = space.longest_run;
	pool_read_stats(&pool->pool, &pool->slabs, IST_PAGE_SIZE, &use, out);
}
