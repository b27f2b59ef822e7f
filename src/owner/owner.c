/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "owner/owner.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/probe.h"

static uint32_t hash_of(const struct owner_table *table, uint32_t id)
{
	return index_hash(&table->index, id, 0);
}

/* An unused record, made if need be; 0: no memory. */
static uint32_t take_record(struct owner_table *table)
{
	uint32_t number = table->unused;

	if (number != 0) {
		table->unused = owner_at(table, number)->next;
		return number;
	}
	number = slots_make(&table->slots);
	if (number)
		pthread_mutex_init(&owner_at(table, number)->lock, NULL);
	return number;
}

static int add_owner(struct owner_table *table, const struct ist_owner_config *config)
{
	uint32_t number = take_record(table);
	struct owner *owner = owner_at(table, number);
	int error;

	if (!owner)
		return -ENOMEM;
	pthread_mutex_lock(&owner->lock); /* who waits for it asks for the id then */
	memset(&owner->id, 0, sizeof(*owner) - offsetof(struct owner, id));
	owner->id = config->id;
	index_init(&owner->cookies);
	owner->number = number;
	owner->table = table;
	owner->config = *config;
	atomic_store_explicit(&owner->left, 1, memory_order_relaxed);
	atomic_store_explicit(&owner->state, OWNER_LIVE, memory_order_relaxed); /* published by the index */
	pthread_mutex_unlock(&owner->lock);
	error = index_insert(&table->index, hash_of(table, config->id), number);
	if (error) {
		owner_recycle(table, owner);
		return error;
	}
	table->alive++;
	return 0;
}

int owner_table_init(struct owner_table *table)
{
	const struct ist_owner_config host = {.id = 0};
	int error;

	slots_init(&table->slots, sizeof(struct owner));
	index_init(&table->index);
	table->unused = 0;
	table->alive = 0;
	error = add_owner(table, &host);
	if (error)
		owner_table_drop(table);
	return error;
}

void owner_table_drop(struct owner_table *table)
{
	index_drop(&table->index);
	for (uint32_t number = 1; number <= table->slots.made; number++) {
		struct owner *owner = owner_at(table, number);

		if (atomic_load_explicit(&owner->state, memory_order_relaxed) != OWNER_NONE)
			index_drop(&owner->cookies);
		pthread_mutex_destroy(&owner->lock);
	}
	slots_drop(&table->slots);
}

struct id_query {
	struct owner_table *table;
	uint32_t id;
};

static bool has_id(void *context, uint32_t number)
{
	const struct id_query *query = context;

	return owner_at(query->table, number)->id == query->id;
}

struct owner *owner_find(struct owner_table *table, uint32_t id)
{
	struct id_query query = {table, id};

	return owner_at(table, index_find(&table->index, hash_of(table, id), has_id, &query));
}

int owner_create(struct owner_table *table, const struct ist_owner_config *config)
{
	struct owner *owner = owner_find(table, config->id);

	if (owner)
		return owner_is_live(owner) ? -EEXIST : -EBUSY;
	if (table->unused == 0 && table->slots.made == OWNER_NUMBER_MAX)
		return -EUSERS;
	return add_owner(table, config);
}

static bool above(uint64_t limit, uint64_t value)
{
	return limit != 0 && value > limit;
}

/* Relaxed: others only count down meanwhile, so at worst a quota refuses what fits by then. */
static bool is_too_much(uint64_t limit, const _Atomic uint64_t *counter, uint64_t more)
{
	uint64_t held = atomic_load_explicit(counter, memory_order_relaxed);

	return limit != 0 && (held > limit || more > limit - held);
}

int owner_charge(struct owner *owner, uint64_t pages, uint64_t stretches)
{
	const struct ist_owner_config *quota = &owner->config;
	uint64_t count = atomic_load_explicit(&owner->left, memory_order_relaxed) - 1;

	if (!owner_is_live(owner))
		return -ESHUTDOWN;
	if (above(quota->max_buffer_pages, pages) || above(quota->max_mappings, count + 1) ||
	    is_too_much(quota->max_pages, &owner->pages, pages) ||
	    is_too_much(quota->max_stretches, &owner->stretches, stretches)) {
		owner->refused++;
		return -EDQUOT;
	}
	owner_hold(owner, pages, stretches);
	return 0;
}

void owner_hold(struct owner *owner, uint64_t pages, uint64_t stretches)
{
	atomic_fetch_add_explicit(&owner->pages, pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&owner->stretches, stretches, memory_order_relaxed);
	atomic_fetch_add_explicit(&owner->left, 1, memory_order_relaxed);
}

/* Only ever taken as a whole, so no ABA. From here on the record is owner_take_gone's. */
static void leave(struct owner *owner)
{
	struct owner_table *table = owner->table;
	uint32_t top = atomic_load_explicit(&table->gone, memory_order_relaxed);

	do
		owner->next = top;
	while (!atomic_compare_exchange_weak_explicit(&table->gone, &top, owner->number,
	                                              memory_order_release, /* owner_take_gone */
	                                              memory_order_relaxed));
}

uint32_t owner_take_gone(struct owner_table *table)
{
	if (atomic_load_explicit(&table->gone, memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange_explicit(&table->gone, 0, memory_order_acquire); /* leave */
}

void owner_give_back(struct owner *owner, uint64_t pages, uint64_t stretches)
{
	atomic_fetch_sub_explicit(&owner->pages, pages, memory_order_relaxed);
	atomic_fetch_sub_explicit(&owner->stretches, stretches, memory_order_relaxed);
}

void owner_put(struct owner *owner, uint64_t pages, uint64_t stretches, uint64_t count)
{
	const struct ist_owner_config config =
	        owner->config; /* the record may be cleared away after the decrement */

	owner_give_back(owner, pages, stretches);
	/* Release: what was done with the mapping comes before; acquire: for the last one, after all others' [owner.O1]. */
	if (atomic_fetch_sub_explicit(&owner->left, count, memory_order_acq_rel) != count)
		return;
	atomic_store_explicit(&owner->state, OWNER_GONE, memory_order_relaxed);
	leave(owner);
	PROBE(owner_gone, config.id);
	if (config.gone)
		config.gone(config.context, config.id);
}

void owner_forget(struct owner_table *table, struct owner *owner)
{
	index_remove(&table->index, hash_of(table, owner->id), owner->number);
	table->alive--;
}

void owner_recycle(struct owner_table *table, struct owner *owner)
{
	atomic_store_explicit(&owner->state, OWNER_NONE, memory_order_relaxed);
	index_drop(&owner->cookies);
	owner->next = table->unused;
	table->unused = owner->number;
}
