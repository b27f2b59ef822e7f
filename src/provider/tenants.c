/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "provider/tenants.h"

#include <errno.h>

#include "provider/provider.h"

void tenants_init(struct tenants *tenants)
{
	slots_init(&tenants->stays, sizeof(struct stay));
	slots_init(&tenants->owners, sizeof(struct tenant));
	index_init(&tenants->by_region);
	index_init(&tenants->by_owner);
}

void tenants_drop(struct tenants *tenants)
{
	index_drop(&tenants->by_region);
	index_drop(&tenants->by_owner);
	slots_drop(&tenants->stays);
	slots_drop(&tenants->owners);
}

static struct stay *stay_at(struct tenants *tenants, uint32_t number)
{
	return slots_at(&tenants->stays, number);
}

static struct tenant *tenant_at(struct tenants *tenants, uint32_t number)
{
	return slots_at(&tenants->owners, number);
}

struct query {
	struct tenants *tenants;
	const struct grown_region *region;
	uint32_t owner;
};

static bool is_stay(void *context, uint32_t number)
{
	const struct query *query = context;
	const struct stay *stay = stay_at(query->tenants, number);

	return stay->owner == query->owner && stay->region == query->region;
}

static bool is_tenant(void *context, uint32_t number)
{
	const struct query *query = context;

	return tenant_at(query->tenants, number)->owner == query->owner;
}

static uint32_t hash_of_stay(const struct tenants *tenants, uint32_t owner, const struct grown_region *region)
{
	return index_hash(&tenants->by_region, owner, (uintptr_t)region);
}

static uint32_t hash_of_owner(const struct tenants *tenants, uint32_t owner)
{
	return index_hash(&tenants->by_owner, owner, 0);
}

static uint32_t find_owner(struct tenants *tenants, uint32_t owner)
{
	struct query query = {tenants, NULL, owner};

	return index_find(&tenants->by_owner, hash_of_owner(tenants, owner), is_tenant, &query);
}

static uint32_t take_stay(struct tenants *tenants)
{
	uint32_t number = tenants->unused_stay;

	if (number == 0)
		return slots_make(&tenants->stays);
	tenants->unused_stay = stay_at(tenants, number)->next_here;
	return number;
}

static void give_stay(struct tenants *tenants, uint32_t number)
{
	stay_at(tenants, number)->next_here = tenants->unused_stay;
	tenants->unused_stay = number;
}

static void give_owner(struct tenants *tenants, uint32_t number)
{
	tenant_at(tenants, number)->next_unused = tenants->unused_owner;
	tenants->unused_owner = number;
}

/* The owner's record, made if need be; 0: no memory. */
static uint32_t owner_number(struct tenants *tenants, uint32_t owner)
{
	uint32_t number = find_owner(tenants, owner);

	if (number)
		return number;
	number = tenants->unused_owner;
	if (number)
		tenants->unused_owner = tenant_at(tenants, number)->next_unused;
	else
		number = slots_make(&tenants->owners);
	if (number == 0)
		return 0;
	*tenant_at(tenants, number) = (struct tenant){.owner = owner};
	if (index_insert(&tenants->by_owner, hash_of_owner(tenants, owner), number) == 0)
		return number;
	give_owner(tenants, number);
	return 0;
}

static void forget_owner_without_stays(struct tenants *tenants, uint32_t number)
{
	const struct tenant *tenant = tenant_at(tenants, number);

	if (tenant->first)
		return;
	index_remove(&tenants->by_owner, hash_of_owner(tenants, tenant->owner), number);
	give_owner(tenants, number);
}

static void append(struct tenants *tenants, struct tenant *tenant, uint32_t number)
{
	struct stay *stay = stay_at(tenants, number);

	stay->earlier = tenant->last;
	stay->later = 0;
	if (tenant->last)
		stay_at(tenants, tenant->last)->later = number;
	else
		tenant->first = number;
	tenant->last = number;
}

static void unlink_of_owner(struct tenants *tenants, struct tenant *tenant, const struct stay *stay)
{
	if (stay->earlier)
		stay_at(tenants, stay->earlier)->later = stay->later;
	else
		tenant->first = stay->later;
	if (stay->later)
		stay_at(tenants, stay->later)->earlier = stay->earlier;
	else
		tenant->last = stay->earlier;
}

int tenants_note(struct tenants *tenants, uint32_t owner, struct grown_region *region)
{
	struct query query = {tenants, region, owner};
	uint32_t hash, number, of;

	if (owner == 0)
		return 0; /* the host has no end */
	hash = hash_of_stay(tenants, owner, region);
	if (index_find(&tenants->by_region, hash, is_stay, &query))
		return 0;
	of = owner_number(tenants, owner);
	if (of == 0)
		return -ENOMEM;
	number = take_stay(tenants);
	if (number && index_insert(&tenants->by_region, hash, number)) {
		give_stay(tenants, number);
		number = 0;
	}
	if (number == 0) {
		forget_owner_without_stays(tenants, of);
		return -ENOMEM;
	}
	*stay_at(tenants, number) = (struct stay){
	        .owner = owner, .next_here = region->stays, .serial = ++tenants->serial, .region = region};
	if (region->stays)
		stay_at(tenants, region->stays)->before_here = number;
	region->stays = number;
	append(tenants, tenant_at(tenants, of), number);
	return 0;
}

static void unlink_here(struct tenants *tenants, const struct stay *stay)
{
	if (stay->before_here)
		stay_at(tenants, stay->before_here)->next_here = stay->next_here;
	else
		stay->region->stays = stay->next_here;
	if (stay->next_here)
		stay_at(tenants, stay->next_here)->before_here = stay->before_here;
}

void tenants_end(struct tenants *tenants, struct stay *stay)
{
	uint32_t hash = hash_of_stay(tenants, stay->owner, stay->region),
	         of = find_owner(tenants, stay->owner);
	struct query query = {tenants, stay->region, stay->owner};
	uint32_t number = index_find(&tenants->by_region, hash, is_stay, &query);

	index_remove(&tenants->by_region, hash, number);
	unlink_here(tenants, stay);
	unlink_of_owner(tenants, tenant_at(tenants, of), stay);
	forget_owner_without_stays(tenants, of);
	give_stay(tenants, number);
}

void tenants_forget(struct tenants *tenants, struct grown_region *region)
{
	while (region->stays)
		tenants_end(tenants, stay_at(tenants, region->stays));
}

struct stay *tenants_first(struct tenants *tenants, uint32_t owner, uint64_t until)
{
	uint32_t of = find_owner(tenants, owner);
	struct stay *stay = of ? stay_at(tenants, tenant_at(tenants, of)->first) : NULL;

	return stay && stay->serial <= until ? stay : NULL;
}
