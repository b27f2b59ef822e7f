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

void provider_init(struct provider *provider, struct space *space, struct ist_client_pool *client)
{
	provider->space = space;
	provider->client = client;
	pthread_mutex_init(&provider->lock, NULL);
	slots_init(&provider->items, sizeof(struct item));
}

static struct item *item_at(struct provider *provider, uint32_t number)
{
	return slots_at(&provider->items, number);
}

/* The next mapping from *number on that has ended without us, with its owner: take it off the list. Under the lock. */
static bool take_ended(struct provider *provider, uint32_t *number, struct grant *out);

static void return_ended(struct provider *provider)
{
	struct grant grant;
	uint32_t number = 1;
	bool found;

	do {
		pthread_mutex_lock(&provider->lock);
		found = provider->live > 0 && take_ended(provider, &number, &grant);
		pthread_mutex_unlock(&provider->lock);
		if (found)
			provider_return(provider, &grant);
	} while (found);
}

int provider_settle(struct provider *provider)
{
	bool unused = regions_shrink(provider, 0);

	if (provider->live)
		limbo_drain(provider->space);
	return_ended(provider);
	return !unused || provider->regions || provider->live ? -EBUSY : 0;
}

void provider_drop(struct provider *provider)
{
	regions_free_memory(provider);
	if (provider->has_index) {
		index_drop(&provider->by_slot);
		tenants_drop(&provider->tenants);
	}
	room_drop(&provider->room);
	slots_drop(&provider->items);
	pthread_mutex_destroy(&provider->lock);
}

int provider_set(struct provider *provider, const struct ist_provider *from)
{
	int error = 0;

	if (!from->alloc || !from->free || from->chunk_pages > IST_PROVIDER_CHUNK_MAX)
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&provider->lock);
	if (provider->live || provider->regions || provider->calls) {
		error = -EBUSY;
	} else {
		provider->hooks = *from;
		if (!provider->hooks.chunk_pages)
			provider->hooks.chunk_pages = CHUNK_DEFAULT;
		if (!provider->hooks.keep_pages)
			provider->hooks.keep_pages = provider->hooks.chunk_pages;
		provider->set = true;
		if (!provider->has_index) {
			index_init(&provider->by_slot);
			tenants_init(&provider->tenants);
		}
		provider->has_index = true;
	}
	pthread_mutex_unlock(&provider->lock);
	return error;
}

static uint32_t hash_of(struct provider *provider, const struct ist_mapping *mapping)
{
	return index_hash(&provider->by_slot, mapping->slot, mapping->generation);
}

struct item_query {
	struct provider *provider;
	const struct ist_mapping *mapping;
};

static bool is_of(void *context, uint32_t number)
{
	const struct item_query *query = context;
	const struct ist_mapping *mapping = &item_at(query->provider, number)->grant.mapping;

	return mapping->slot == query->mapping->slot && mapping->generation == query->mapping->generation;
}

static void drop_item(struct provider *provider, uint32_t number)
{
	struct item *item = item_at(provider, number);

	index_remove(&provider->by_slot, hash_of(provider, &item->grant.mapping), number);
	item->live = false;
	item->next = provider->unused;
	provider->unused = number;
	provider->live--;
}

static bool take_ended(struct provider *provider, uint32_t *number, struct grant *out)
{
	for (; *number <= provider->items.made; ++*number) {
		struct item *item = item_at(provider, *number);

		if (!item->live || !provider_has_ended(provider, &item->grant))
			continue;
		*out = item->grant;
		drop_item(provider, *number);
		return true;
	}
	return false;
}

/* Under the lock. */
static int add_item(struct provider *provider, const struct grant *grant)
{
	uint32_t number = provider->unused;
	struct item *item;
	int error;

	if (number)
		provider->unused = item_at(provider, number)->next;
	else
		number = slots_make(&provider->items);
	item = item_at(provider, number);
	if (!item)
		return -ENOMEM;
	item->grant = *grant;
	error = index_insert(&provider->by_slot, hash_of(provider, &grant->mapping), number);
	item->live = !error;
	if (error) {
		item->next = provider->unused;
		provider->unused = number;
		return error;
	}
	provider->live++;
	return 0;
}

int provider_begin(struct provider *provider)
{
	int error;

	if (rcu_inside())
		return -EDEADLK;
	pthread_mutex_lock(&provider->lock);
	error = provider->set ? 0 : -ENODEV;
	provider->calls += !error;
	pthread_mutex_unlock(&provider->lock);
	return error;
}

void provider_end(struct provider *provider)
{
	pthread_mutex_lock(&provider->lock);
	provider->calls--;
	pthread_mutex_unlock(&provider->lock);
}

int provider_alloc(struct provider *provider, size_t size, uint32_t owner, struct ist_mapping *out)
{
	uint64_t pages = pages_needed(0, size);
	struct grant grant;
	int error;

	if (pages == 0)
		return -EINVAL;
	error = provider_begin(provider);
	if (error)
		return error;
	error = provider_ask(provider, pages, size, owner, 0, &grant);
	if (!error) {
		pthread_mutex_lock(&provider->lock);
		error = add_item(provider, &grant);
		pthread_mutex_unlock(&provider->lock);
		if (error)
			provider_return(provider, &grant);
		else
			*out = grant.mapping;
	}
	provider_end(provider);
	return error;
}

int provider_free(struct provider *provider, const struct ist_mapping *mapping)
{
	struct item_query query = {provider, mapping};
	struct grant grant;
	uint32_t number = 0;
	int error = provider_begin(provider);

	if (error)
		return error == -ENODEV ? -ENOENT : error;
	pthread_mutex_lock(&provider->lock);
	number = index_find(&provider->by_slot, hash_of(provider, mapping), is_of, &query);
	if (number) {
		grant = item_at(provider, number)->grant;
		drop_item(provider, number);
	}
	pthread_mutex_unlock(&provider->lock);
	error = number ? provider_return(provider, &grant) : -ENOENT;
	if (error && number) { /* nothing happened */
		pthread_mutex_lock(&provider->lock);
		add_item(provider, &grant); /* does not fail: its place is free */
		pthread_mutex_unlock(&provider->lock);
	}
	provider_end(provider);
	return error;
}

static int shrink(struct provider *provider, bool all)
{
	bool unused;
	int error = provider_begin(provider);

	if (error)
		return error == -ENODEV ? 0 : error;
	unused = regions_shrink(provider, all ? 0 : provider->hooks.keep_pages);
	return_ended(provider);
	pthread_mutex_lock(&provider->lock);
	error = all && (!unused || provider->live) ? -EBUSY : 0;
	pthread_mutex_unlock(&provider->lock);
	provider_end(provider);
	return error;
}

int provider_trim(struct provider *provider)
{
	return shrink(provider, false);
}

int provider_drain(struct provider *provider)
{
	return shrink(provider, true);
}

void provider_stats(struct provider *provider, struct ist_provider_stats *out)
{
	pthread_mutex_lock(&provider->lock);
	*out = provider->stats;
	out->mappings = provider->live;
	regions_count(provider, out);
	pthread_mutex_unlock(&provider->lock);
}
