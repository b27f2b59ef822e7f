/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The end of an owner's client memory, chunk by chunk of those that may hold some. */
#include <errno.h>

#include "client/client_pool.h"

#define VISITS 64u /* allocations of others that may be passed for one of the budget */

struct walk {
	struct ist_client_pool *pool;
	uint32_t owner;
	uint32_t budget;
	uint64_t visits;
};

/* Free what the owner has from *page to `end`, as far as the budget goes. */
static int free_some(struct walk *walk, uint64_t *page, size_t end)
{
	while (*page < end && walk->budget > 0 && walk->visits > 0) {
		struct ist_client_allocation found;
		size_t start, behind;

		if (!client_pool_next_live(walk->pool, *page, end, &start, &behind, &found)) {
			*page = end;
			break;
		}
		walk->visits--;
		if (found.owner == walk->owner) {
			int error = client_pool_free_found(walk->pool, &found);

			if (error == -ENOMEM)
				return error;
			walk->budget -= error == 0;
		}
		*page = behind;
	}
	return 0;
}

/* The chunk of this page was walked through: its bit stays only if somebody who shares it is still there. */
static void settle(const struct walk *walk, size_t page)
{
	struct tags *tags = &walk->pool->tags;
	size_t at = page / TAGS_PAGES * TAGS_PAGES, end = at + TAGS_PAGES, start;
	struct ist_client_allocation found;

	if (!tags->bits)
		return;
	tags_clear(tags, walk->owner, page);
	while (client_pool_next_live(walk->pool, at, end, &start, &at, &found)) {
		if (tags_are_one(found.owner, walk->owner)) {
			tags_set(tags, found.owner, start);
			return;
		}
	}
}

int client_pool_end_owner(struct ist_client_pool *pool, uint32_t owner, uint64_t *page, uint32_t *budget)
{
	struct walk walk = {pool, owner, *budget, (uint64_t)*budget * VISITS};
	size_t pages = pool->pool.size / IST_PAGE_SIZE;
	int error = 0;

	while (!error && *page < pages && walk.budget > 0 && walk.visits > 0) {
		uint64_t from = *page;
		size_t end;

		if (from % TAGS_PAGES == 0)
			from = tags_next(&pool->tags, owner, from);
		if (from >= pages) {
			*page = pages;
			break;
		}
		*page = from;
		end = bits_min(bits_round_up(from + 1, TAGS_PAGES), pages);
		error = free_some(&walk, page, end);
		if (!error && *page >= end)
			settle(&walk, from);
	}
	*budget = walk.budget;
	if (error)
		return error;
	if (*page >= pages)
		return 0;
	*budget = 0;
	return 1;
}
