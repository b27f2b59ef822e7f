/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/life.h"

#include <errno.h>
#include <stdlib.h>

#include "backing/backings.h"
#include "backing/sharing.h"
#include "platform/platform.h"
#include "reclaim/cache.h"
#include "reclaim/limbo.h"

#define WINDOW_DEFAULT (UINT64_C(64) << 30)

void space_init(struct space *space)
{
	pthread_mutex_init(&space->lock, NULL);
	limbo_init(&space->limbo);
	slots_init(&space->slots, sizeof(struct mapping));
	pthread_mutex_init(&space->making, NULL);
	slots_init(&space->backings.slots, sizeof(struct backing));
	stock_init(&space->links, sizeof(struct link), sizeof(struct link_more), NODE_NUMBER - 1);
	stock_init(&space->groups, sizeof(struct group), 0, NODE_NUMBER - 1);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_init(&space->sharing[i], NULL);
	space->secret = platform_random();
	space->waiting_max = WAITING_MAX;
}

int space_configure(struct space *space, const struct ist_mapping_config *config)
{
	int error;

	if ((config->flags & ~IST_MAPPING_STRICT) || config->window_size % IST_PAGE_SIZE)
		return -EINVAL;
	error = space_enter(space);
	if (error)
		return error;
	if (atomic_load_explicit(&space->used, memory_order_relaxed))
		error = -EBUSY;
	else
		space->config = *config;
	space_leave(space);
	return error;
}

int space_use(struct space *space)
{
	uint64_t size = space->config.window_size ? space->config.window_size : WINDOW_DEFAULT;
	int error = space->window.base ? 0 : window_open(&space->window, size, platform_page_size());

	if (!error)
		atomic_store_explicit(&space->used, true, memory_order_release);
	return error;
}

static bool is_any_registered(struct space *space)
{
	for (uint32_t number = 1; number <= space->owners.slots.made; number++)
		if (atomic_load_explicit(&owner_at(&space->owners, number)->registered, memory_order_relaxed))
			return true;
	return false;
}

int space_settle(struct space *space)
{
	if (!space_is_open(space))
		return 0;
	if (is_any_registered(space))
		return -EBUSY;
	cache_shrink(space, 0);
	/*
	 * What cannot be unmapped singly goes with the whole window. Twice: a range inside another one's pages
	 * holds that until it has released itself.
	 */
	limbo_drain(space);
	limbo_drain(space);
	return atomic_load_explicit(&space->referenced, memory_order_relaxed) ? -EBUSY : 0;
}

void space_drop(struct space *space)
{
	if (space_is_open(space)) {
		index_drop(&space->index);
		owner_table_drop(&space->owners);
		free(atomic_load_explicit(&space->protections,
		                          memory_order_relaxed)); /* nobody reads any more */
	}
	for (uint32_t i = 1; i <= space->backings.slots.made; i++)
		backing_empty(space_backing(space, i));
	slots_drop(&space->backings.slots);
	window_close(&space->window);
	for (uint32_t slot = 1; slot <= space->slots.made; slot++)
		free(mapping_at(space, slot)->many);
	slots_drop(&space->slots);
	pthread_mutex_destroy(&space->making);
	stock_drop(&space->links);
	stock_drop(&space->groups);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_destroy(&space->sharing[i]);
	limbo_destroy(&space->limbo);
	pthread_mutex_destroy(&space->lock);
}
