/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Questions about a client pool: who holds a page, all allocations in order, how the free space lies. */
#include <errno.h>
#include <string.h>

#include "client/client_pool.h"
#include "client/record.h"

/*
 * What starts at `start`, if it is live. The record read first and last must be the same: then the owner between
 * them belongs to it [R1], and the answer was true at the first load.
 */
static bool read_allocation(struct ist_client_pool *pool, size_t start, struct ist_client_allocation *out)
{
	uint64_t record = atomic_load_explicit(&pool->record[start], memory_order_acquire);

	while (record_is_live(record)) {
		uint32_t owner = atomic_load_explicit(&pool->owner[start],
		                                      memory_order_acquire); /* before the next load */
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

int ist_client_pool_find(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out)
{
	struct ist_client_allocation found;
	size_t page, at;
	bool is_start;

	if (!pool || !out)
		return -EINVAL;
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

int ist_client_pool_next(struct ist_client_pool *pool, uint64_t paddr, struct ist_client_allocation *out)
{
	size_t page = 0, pages;

	if (!pool || !out)
		return -EINVAL;
	pages = pool->pool.size / IST_PAGE_SIZE;
	if (paddr > pool->pool.paddr) {
		if (paddr - pool->pool.paddr > pool->pool.size - IST_PAGE_SIZE)
			return -ENOENT;
		page = bits_ceil_div((size_t)(paddr - pool->pool.paddr), IST_PAGE_SIZE);
	}
	/* By the map, so that free stretches cost a bit a page and their records stay untouched. */
	for (; (page = bitmap_next_used(pool->buddy.map, page, pages)) < pages; page++) {
		struct ist_client_allocation found;

		if (read_allocation(pool, page, &found)) {
			*out = found;
			return 0;
		}
	}
	return -ENOENT;
}

int client_pool_handle(struct ist_client_pool *pool, const struct ist_client_allocation *found, struct ist_shm *out)
{
	size_t start = (size_t)(found->view.paddr - pool->pool.paddr) / IST_PAGE_SIZE;
	uint64_t record = atomic_load_explicit(&pool->record[start], memory_order_acquire);
	struct ist_client_allocation now;

	/* The use that the record names had this owner and size at one instant; a later use is told by its tag. */
	if (!read_allocation(pool, start, &now) || now.owner != found->owner || now.view.size != found->view.size ||
	    atomic_load_explicit(&pool->record[start], memory_order_acquire) != record)
		return -ENOENT;
	pool_make_shm(&pool->pool, start * IST_PAGE_SIZE, found->view.size, record_use(record), out);
	return 0;
}

void ist_client_pool_owner_use(struct ist_client_pool *pool, uint32_t owner, struct ist_client_owner_use *out)
{
	struct ist_client_allocation found;
	uint64_t from = 0;

	if (!out)
		return;
	memset(out, 0, sizeof(*out));
	while (ist_client_pool_next(pool, from, &found) == 0) {
		uint64_t last = found.view.paddr + (found.view.size - 1);

		if (found.owner == owner) {
			out->bytes += found.view.size;
			out->allocations++;
		}
		from = (last | (IST_PAGE_SIZE - 1)) + 1;
		if (from == 0) /* it ended at the top of the address space */
			return;
	}
}

void ist_client_pool_space(struct ist_client_pool *pool, struct ist_client_pool_space *out)
{
	size_t start = 0, count = 0;

	if (!pool || !out)
		return;
	memset(out, 0, sizeof(*out));
	out->pages = pool->pool.size / IST_PAGE_SIZE;
	while (buddy_next_free_run(&pool->buddy, start + count, &start, &count)) {
		size_t block = bits_ceil_div(start, BUDDY_CHUNK), end = (start + count) / BUDDY_CHUNK;

		out->free_pages += count;
		out->longest_run = bits_max(out->longest_run, count);
		out->runs[bits_min(bits_highest(count), IST_FREE_RUN_CLASSES - 1)]++;
		out->free_blocks += end > block ? end - block : 0;
	}
	if (out->free_pages)
		out->fragmentation = (uint32_t)(1000 - out->longest_run * 1000 / out->free_pages);
}
