/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "provider/provider.h"

#include "mapping/pages.h"
#include "reclaim/limbo.h"

#include <errno.h>
#include <string.h>

#define CHUNK_DEFAULT 256u

struct item {
	struct grant grant;
	uint32_t next; /* of unused ones */
	bool live;
};

void desk_init(struct provider_desk *desk, struct space *space, struct ist_client_pool *client)
{
	desk->space = space;
	desk->client = client;
	pthread_mutex_init(&desk->lock, NULL);
	slots_init(&desk->items, sizeof(struct item));
}

static struct item *item_at(struct provider_desk *desk, uint32_t number)
{
	return slots_at(&desk->items, number);
}

/* The next mapping from *number on that has ended without us, with its owner: take it off the list. Under the lock. */
static bool take_ended(struct provider_desk *desk, uint32_t *number, struct grant *out);

static void return_ended(struct provider_desk *desk)
{
	struct grant grant;
	uint32_t number = 1;
	bool found;

	do {
		pthread_mutex_lock(&desk->lock);
		found = desk->live > 0 && take_ended(desk, &number, &grant);
		pthread_mutex_unlock(&desk->lock);
		if (found)
			desk_return(desk, &grant);
	} while (found);
}

int desk_settle(struct provider_desk *desk)
{
	bool unused = regions_shrink(desk, 0);

	if (desk->live)
		limbo_drain(desk->space);
	return_ended(desk);
	return !unused || desk->regions || desk->live ? -EBUSY : 0;
}

void desk_drop(struct provider_desk *desk)
{
	regions_free_memory(desk);
	if (desk->has_index) {
		index_drop(&desk->by_slot);
		tenants_drop(&desk->tenants);
	}
	room_drop(&desk->room);
	slots_drop(&desk->items);
	pthread_mutex_destroy(&desk->lock);
}

int desk_set(struct provider_desk *desk, const struct ist_provider *provider)
{
	int error = 0;

	if (!provider->alloc || !provider->free || provider->chunk_pages > IST_PROVIDER_CHUNK_MAX)
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&desk->lock);
	if (desk->live || desk->regions || desk->calls) {
		error = -EBUSY;
	} else {
		desk->provider = *provider;
		if (!desk->provider.chunk_pages)
			desk->provider.chunk_pages = CHUNK_DEFAULT;
		if (!desk->provider.keep_pages)
			desk->provider.keep_pages = desk->provider.chunk_pages;
		desk->set = true;
		if (!desk->has_index) {
			index_init(&desk->by_slot);
			tenants_init(&desk->tenants);
		}
		desk->has_index = true;
	}
	pthread_mutex_unlock(&desk->lock);
	return error;
}

static uint32_t hash_of(struct provider_desk *desk, const struct ist_mapping *mapping)
{
	return index_hash(&desk->by_slot, mapping->slot, mapping->generation);
}

struct item_query {
	struct provider_desk *desk;
	const struct ist_mapping *mapping;
};

static bool is_of(void *context, uint32_t number)
{
	const struct item_query *query = context;
	const struct ist_mapping *mapping = &item_at(query->desk, number)->grant.mapping;

	return mapping->slot == query->mapping->slot && mapping->generation == query->mapping->generation;
}

static void drop_item(struct provider_desk *desk, uint32_t number)
{
	struct item *item = item_at(desk, number);

	index_remove(&desk->by_slot, hash_of(desk, &item->grant.mapping), number);
	item->live = false;
	item->next = desk->unused;
	desk->unused = number;
	desk->live--;
}

static bool take_ended(struct provider_desk *desk, uint32_t *number, struct grant *out)
{
	for (; *number <= desk->items.made; ++*number) {
		struct item *item = item_at(desk, *number);

		if (!item->live || !desk_has_ended(desk, &item->grant))
			continue;
		*out = item->grant;
		drop_item(desk, *number);
		return true;
	}
	return false;
}

/* Under the lock. */
static int add_item(struct provider_desk *desk, const struct grant *grant)
{
	uint32_t number = desk->unused;
	struct item *item;
	int error;

	if (number)
		desk->unused = item_at(desk, number)->next;
	else
		number = slots_make(&desk->items);
	item = item_at(desk, number);
	if (!item)
		return -ENOMEM;
	item->grant = *grant;
	error = index_insert(&desk->by_slot, hash_of(desk, &grant->mapping), number);
	item->live = !error;
	if (error) {
		item->next = desk->unused;
		desk->unused = number;
		return error;
	}
	desk->live++;
	return 0;
}

int desk_begin(struct provider_desk *desk)
{
	int error;

	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&desk->lock);
	error = desk->set ? 0 : -ENODEV;
	desk->calls += !error;
	pthread_mutex_unlock(&desk->lock);
	return error;
}

void desk_end(struct provider_desk *desk)
{
	pthread_mutex_lock(&desk->lock);
	desk->calls--;
	pthread_mutex_unlock(&desk->lock);
}

int desk_alloc(struct provider_desk *desk, size_t size, uint32_t owner, struct ist_mapping *out)
{
	uint64_t pages = pages_needed(0, size);
	struct grant grant;
	int error;

	if (pages == 0)
		return -EINVAL;
	error = desk_begin(desk);
	if (error)
		return error;
	error = desk_ask(desk, pages, size, owner, 0, &grant);
	if (!error) {
		pthread_mutex_lock(&desk->lock);
		error = add_item(desk, &grant);
		pthread_mutex_unlock(&desk->lock);
		if (error)
			desk_return(desk, &grant);
		else
			*out = grant.mapping;
	}
	desk_end(desk);
	return error;
}

int desk_free(struct provider_desk *desk, const struct ist_mapping *mapping)
{
	struct item_query query = {desk, mapping};
	struct grant grant;
	uint32_t number = 0;
	int error = desk_begin(desk);

	if (error)
		return error == -ENODEV ? -ENOENT : error;
	pthread_mutex_lock(&desk->lock);
	number = index_find(&desk->by_slot, hash_of(desk, mapping), is_of, &query);
	if (number) {
		grant = item_at(desk, number)->grant;
		drop_item(desk, number);
	}
	pthread_mutex_unlock(&desk->lock);
	error = number ? desk_return(desk, &grant) : -ENOENT;
	if (error && number) { /* nothing happened */
		pthread_mutex_lock(&desk->lock);
		add_item(desk, &grant); /* does not fail: its place is free */
		pthread_mutex_unlock(&desk->lock);
	}
	desk_end(desk);
	return error;
}

static int shrink(struct provider_desk *desk, bool all)
{
	bool unused;
	int error = desk_begin(desk);

	if (error)
		return error == -ENODEV ? 0 : error;
	unused = regions_shrink(desk, all ? 0 : desk->provider.keep_pages);
	return_ended(desk);
	pthread_mutex_lock(&desk->lock);
	error = all && (!unused || desk->live) ? -EBUSY : 0;
	pthread_mutex_unlock(&desk->lock);
	desk_end(desk);
	return error;
}

int desk_trim(struct provider_desk *desk)
{
	return shrink(desk, false);
}

int desk_drain(struct provider_desk *desk)
{
	return shrink(desk, true);
}

void desk_stats(struct provider_desk *desk, struct ist_provider_stats *out)
{
	pthread_mutex_lock(&desk->lock);
	*out = desk->stats;
	out->mappings = desk->live;
	regions_count(desk, out);
	pthread_mutex_unlock(&desk->lock);
}
