/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/register.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "backing/page_tree.h"
#include "base/fence.h"
#include "base/probe.h"
#include "base/mutant.h"
#include "mapping/life.h"
#include "mapping/pages.h"
#include "mapping/place.h"
#include "mapping/range.h"
#include "mapping/request.h"
#include "mapping/slots.h"
#include "mapping/wire.h"
#include "reclaim/cache.h"
#include "reclaim/limbo.h"
#include "reclaim/resting.h"

/* A fault that a test must find: what was protected since it was looked at is not asked again. */
#define REGISTER_MUTANT_PROTECTED_UNSEEN 219

#define CROWDED (1u << 14)

/* Also of those that are being registered or going: under the owner's lock a cookie is in use as long as it is in the index. */
static bool uses_cookie(void *context, uint32_t slot)
{
	const struct cookie_query *query = context;

	return space_has_cookie(query, slot);
}

static bool cookie_is_used(struct space *space, struct owner *owner, uint64_t cookie)
{
	return cookie && space_find_cookie(space, owner, cookie, uses_cookie) != 0;
}

/* A range is one stretch, of whatever is in it. */
static uint64_t stretches_of(const struct request *request)
{
	return request->list.count ? request->list.count : 1;
}

/* Room for so many segments, of what the slot had before if that is neither too little nor far too much. */
static int make_room(struct space *space, struct mapping *mapping, uint64_t segments)
{
	struct segment *many;

	mapping->segments = (uint32_t)segments;
	if (segments == 1 || (segments <= mapping->room && mapping->room <= 4 * segments + 16))
		return 0;
	many = malloc((size_t)segments * sizeof(*many));
	if (!many)
		return -ENOMEM;
	free(mapping->many);
	atomic_fetch_add_explicit(&space->segment_bytes, (segments - mapping->room) * sizeof(*many),
	                          memory_order_relaxed);
	mapping->many = many;
	mapping->room = (uint32_t)segments;
	return 0;
}

int space_make_segments(struct space *space, uint32_t slot, const struct request *request,
                        const struct placing *plan)
{
	int error = make_room(space, mapping_at(space, slot), plan->segments);

	if (!error)
		place_segments(space, mapping_at(space, slot), request);
	return error;
}

static int place_pages(struct space *space, const struct request *request, const struct placing *plan,
                       uint32_t slot)
{
	int error = space_make_segments(space, slot, request, plan);

	if (error)
		return error;
	if (!plan->in_views &&
	    cache_take(space, request->kind == MAPPING_PAGES && !(request->flags & IST_MAPPING_GUARD), slot))
		return 0;
	return place(space, slot, request, plan);
}

/* A slot with the request in it, which has no pages yet. -ENOMEM */
static int take_slot(struct space *space, const struct request *request, struct owner *owner,
                     const struct placing *plan, uint32_t *out)
{
	uint32_t slot = space_take_slot(space, owner);
	struct mapping *mapping = mapping_at(space, slot);

	if (!mapping)
		return -ENOMEM;
	mapping->serial = atomic_fetch_add_explicit(&space->serial, 1, memory_order_relaxed);
	mapping->cookie = request->cookie;
	mapping->size = request->size;
	mapping->owner = (uint16_t)owner->number;
	mapping->offset = (uint16_t)request->offset;
	mapping->kind = (uint8_t)request->kind;
	mapping->older = request->of;
	mapping->attributes = plan->attributes;
	mapping->pages = request->list.pages;
	mapping->stretches = (uint32_t)stretches_of(request);
	atomic_store_explicit(&mapping->guarded, (request->flags & IST_MAPPING_GUARDED) != 0,
	                      memory_order_relaxed);
	*out = slot;
	return 0;
}

/* The same, placed and accessible, known to nobody. */
static int prepare(struct space *space, const struct request *request, struct owner *owner,
                   const struct placing *plan, uint32_t *slot)
{
	int error = take_slot(space, request, owner, plan, slot);

	if (error)
		return error;
	if (request->kind == MAPPING_RANGE)
		error = range_reserve(space, *slot, request->flags);
	else
		error = place_pages(space, request, plan, *slot);
	if (error)
		limbo_add(space, *slot);
	return error;
}

bool space_make_room(struct space *space)
{
	bool some;

	if (space_enter(space))
		return false;
	some = space->cache.count != 0 || limbo_is_busy(&space->limbo);
	cache_shrink(space, 0);
	space_leave(space);
	if (some)
		limbo_wait_some(space); /* a reader may stay for long */
	return some;
}

static int enter_nodes(struct space *space, const struct request *request, uint32_t slot)
{
	bool strict = ((request->flags | space->config.flags) & IST_MAPPING_STRICT) != 0;

	if (request->kind == MAPPING_RANGE) /* its pages come later */
		return 0;
	return page_tree_enter(space, slot,
	                       strict && request->kind != MAPPING_MMIO && request->kind != MAPPING_AGAIN);
}

/* What enter_indexes has done, or a part of it. */
static void leave_indexes(struct space *space, struct owner *owner, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	uint32_t all = UINT32_MAX;

	if (mapping->cookie)
		index_remove(&owner->cookies, index_hash(&owner->cookies, mapping->cookie, 0), slot);
	page_tree_withdraw(space, slot, &all);
	limbo_add(space, slot);
}

static int enter_indexes(struct space *space, const struct request *request, struct owner *owner,
                         uint32_t slot)
{
	uint32_t hash = index_hash(&owner->cookies, request->cookie, 0);
	int error = request->cookie ? index_insert(&owner->cookies, hash, slot) : 0;

	if (error) {
		limbo_add(space, slot);
		return error;
	}
	error = enter_nodes(space, request, slot);
	if (error)
		leave_indexes(space, owner, slot);
	return error;
}

static int enter(struct space *space, const struct request *request, struct owner *owner,
                 const struct placing *plan, uint32_t *slot)
{
	int error = prepare(space, request, owner, plan, slot);

	return error ? error : enter_indexes(space, request, owner, *slot);
}

static void go_live(struct space *space, struct owner *owner, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);

	space_link(space, &owner->first, slot);
	space_count(owner, mapping, true);
	/* Release: with all of the record before it [space.S1]. */
	atomic_store_explicit(&mapping->refs, REFS_LIVE, memory_order_release);
}

/* Under the owner's lock: what has nothing to do with the pages. */
static int charge(struct space *space, const struct request *request, struct owner *owner)
{
	if (atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_GONE)
		return -ENOENT;
	if (cookie_is_used(space, owner, request->cookie))
		return -EEXIST;
	if (atomic_load_explicit(&space->limbo.waiting, memory_order_relaxed) > space->waiting_max ||
	    rest_count(space, owner) > space->waiting_max)
		return -EAGAIN;
	return owner_charge(owner, request->list.pages, stretches_of(request));
}

/* Under both locks. */
static int register_for(struct space *space, const struct request *request, struct owner *owner,
                        uint32_t *slot)
{
	struct placing plan;
	int error = charge(space, request, owner);

	if (error)
		return error;
	error = place_check(space, request, &plan);
	if (!error)
		error = enter(space, request, owner, &plan, slot);
	if (error)
		owner_put(owner, request->list.pages, stretches_of(request), 1);
	else
		go_live(space, owner, *slot);
	return error;
}

static int register_checked(struct space *space, const struct request *request, uint32_t *slot)
{
	struct owner *owner = owner_find(&space->owners, request->owner);
	int error = space_use(space);

	if (error)
		return error;
	if (!owner)
		return -ENOENT;
	pthread_mutex_lock(&owner->lock);
	error = register_for(space, request, owner, slot);
	pthread_mutex_unlock(&owner->lock);
	return error;
}

static void count_refused(struct space *space, int error)
{
	if (!error)
		return;
	atomic_fetch_add_explicit(&space->refused, 1, memory_order_relaxed);
	PROBE(registration_refused, error);
}

int space_register(struct space *space, const struct request *request, uint32_t *slot)
{
	int error = register_checked(space, request, slot);

	count_refused(space, error);
	return error;
}

/* Somebody protects something, or removes the backing of a segment: the lock of the space tells who was first. */
static bool is_contested(struct space *space, uint32_t slot, const struct placing *plan)
{
	const struct mapping *mapping = mapping_at(space, slot);
	const struct segment *all = mapping_segments(mapping);

	/*
	 * Between the links and these loads; pairs with the fence in backings.c, between the marks and the reading of the nodes:
	 * either the mark is seen here, or the link there.
	 */
	fence_full();
	if (!IS_MUTANT(REGISTER_MUTANT_PROTECTED_UNSEEN) &&
	    atomic_load_explicit(&space->protections_changed, memory_order_relaxed) != plan->protections)
		return true; /* [space.E1] */
	for (uint32_t i = 0; i < mapping->segments; i++)
		if ((i == 0 || all[i].backing != all[i - 1].backing) &&
		    backing_is_leaving(space_backing(space, all[i].backing)))
			return true;
	return false;
}

#define NOT_ALONE 1

/* In a read section: whether, and how, it can be done under the owner's lock. */
static int plan_alone(struct space *space, const struct request *request, struct placing *plan)
{
	int error = place_check(space, request, plan);

	if (error)
		return error;
	/* The cache is under space.lock. */
	return plan->in_views || (space->config.cache_size == 0 && !plan->needs_lock) ? 0 : NOT_ALONE;
}

/* It is placed, or will be found where it lies. Its backings are pinned. */
static int publish_alone(struct space *space, const struct request *request, struct owner *owner,
                         const struct placing *plan, uint32_t slot)
{
	int error = enter_indexes(space, request, owner, slot);

	if (error)
		return error;
	if (is_contested(space, slot, plan)) {
		leave_indexes(space, owner, slot);
		return NOT_ALONE;
	}
	go_live(space, owner, slot);
	return 0;
}

static void unpin(struct space *space, const struct segment *all, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || all[i].backing != all[i - 1].backing)
			backing_unpin(space_backing(space, all[i].backing));
}

/* In a read section: what will be mapped stays, also behind the section. */
static bool pin(struct space *space, const struct mapping *mapping)
{
	const struct segment *all = mapping_segments(mapping);

	for (uint32_t i = 0; i < mapping->segments; i++) {
		if ((i == 0 || all[i].backing != all[i - 1].backing) &&
		    !backing_pin(space_backing(space, all[i].backing))) {
			unpin(space, all, i);
			return false;
		}
	}
	return true;
}

/* In a read section: all but to make its pages accessible. */
static int prepare_alone(struct space *space, const struct request *request, struct owner *owner,
                         const struct placing *plan, uint32_t *slot)
{
	int error = take_slot(space, request, owner, plan, slot);

	if (error)
		return error;
	error = space_make_segments(space, *slot, request, plan);
	if (!error && !pin(space, mapping_at(space, *slot)))
		error = NOT_ALONE;
	if (error)
		limbo_add(space, *slot);
	return error;
}

/*
 * Without a read section and without a lock, for it may take long: map it, side by side. Nobody knows the slot, and what was charged
 * keeps the owner's record.
 */
static int place_unlocked(struct space *space, const struct request *request, struct owner *owner,
                          const struct placing *plan, uint32_t slot)
{
	int error;

	pthread_mutex_unlock(&owner->lock);
	error = place(space, slot, request, plan);
	pthread_mutex_lock(&owner->lock);
	if (!error && !owner_is_live(owner))
		error = -ESHUTDOWN;
	return !error && cookie_is_used(space, owner, request->cookie) ? -EEXIST : error;
}

static int place_alone(struct space *space, const struct request *request, struct owner *owner,
                       const struct placing *plan, uint32_t slot)
{
	const struct mapping *mapping = mapping_at(space, slot);
	const struct segment *all = mapping_segments(mapping);
	int error = plan->in_views ? place(space, slot, request, plan)
	                           : place_unlocked(space, request, owner, plan, slot);

	if (error)
		limbo_add(space, slot);
	else
		error = publish_alone(space, request, owner, plan, slot);
	/* Whatever became of it: its next life begins under the owner's lock, which is ours. */
	unpin(space, all, mapping->segments);
	return error;
}

/*
 * Under the owner's lock alone, after he was charged. NOT_ALONE: it takes the lock of the space. The read section ends as soon
 * as the backings are pinned: a thread that is preempted in one holds up the grace periods of all.
 */
static int register_alone(struct space *space, const struct request *request, struct owner *owner,
                          uint32_t *slot)
{
	struct placing plan;
	int error;

	rcu_enter();
	error = plan_alone(space, request, &plan);
	mutant_dwell();
	if (!error)
		error = prepare_alone(space, request, owner, &plan, slot);
	rcu_leave();
	if (!error)
		error = place_alone(space, request, owner, &plan, *slot);
	return error;
}

static bool may_be_alone(struct space *space, const struct request *request)
{
	return request->kind == MAPPING_PAGES && space_is_used(space) &&
	       !((request->flags | space->config.flags) & IST_MAPPING_STRICT);
}

/* The shorter way: what is used where it lies, or mapped without the cache, concerns its owner alone. NOT_ALONE: not this. */
static int try_alone(struct space *space, const struct request *request, struct ist_mapping *out)
{
	struct owner *owner = may_be_alone(space, request) ? space_enter_owner(space, request->owner) : NULL;
	bool is_charged;
	uint32_t slot;
	int error;

	if (!owner)
		return NOT_ALONE;
	error = charge(space, request, owner);
	is_charged = !error;
	if (!error)
		error = register_alone(space, request, owner, &slot);
	if (!error)
		space_describe(space, slot, out);
	space_leave_owner(owner);
	if (error && is_charged) /* he may have ended meanwhile, and his `gone` is called without a lock */
		owner_put(owner, request->list.pages, stretches_of(request), 1);
	if (error != NOT_ALONE)
		count_refused(space, error);
	return error;
}

#define REGISTER_FLAGS                                                                                       \
	(IST_MAPPING_READ_ONLY | IST_MAPPING_GUARD | IST_MAPPING_STRICT | IST_MAPPING_GUARDED |              \
	 IST_MAPPING_SEGMENTS)
#define LAST_PAGE (UINT64_MAX / IST_PAGE_SIZE)

static int copy_pages(struct request *request, const struct ist_registration *registration)
{
	uint64_t offset = registration->pages ? registration->offset : registration->paddr % IST_PAGE_SIZE;
	uint64_t needed = pages_needed(offset, registration->size),
	         first = registration->paddr / IST_PAGE_SIZE;

	request->offset = offset;
	if (needed == 0 || offset >= IST_PAGE_SIZE)
		return -EINVAL;
	if (registration->pages)
		return registration->page_count < needed
		               ? -EINVAL
		               : pages_copy(&request->list, registration->pages, needed);
	return needed - 1 > LAST_PAGE - first ? -EINVAL : pages_add(&request->list, first, needed);
}

static int begin_request(const struct ist_registration *registration, struct request *request)
{
	if (registration->flags & ~REGISTER_FLAGS)
		return -EINVAL;
	pages_init(&request->list);
	request->size = registration->size;
	request->cookie = registration->cookie;
	request->owner = registration->owner;
	request->flags = registration->flags;
	request->kind = MAPPING_PAGES;
	request->of = 0;
	return 0;
}

static int try_to_register(struct space *space, const struct request *request, struct ist_mapping *out)
{
	uint32_t slot;
	int error = space_enter(space);

	if (error)
		return error;
	error = space_register(space, request, &slot);
	if (!error)
		space_describe(space, slot, out);
	space_leave(space);
	return error;
}

int space_register_and_describe(struct space *space, const struct request *request, struct ist_mapping *out)
{
	int error = !space ? -EINVAL : rcu_inside() ? -EDEADLK : 0;

	if (error)
		return error;
	/* Whoever is faster than the reclaimer lets it run, rather than have the backlog grow. */
	if (atomic_load_explicit(&space->limbo.waiting, memory_order_relaxed) > CROWDED)
		sched_yield();
	error = try_alone(space, request, out);
	if (error == NOT_ALONE)
		error = try_to_register(space, request, out);
	if ((error == -ENOSPC || error == -ENOMEM) && space_make_room(space))
		error = try_to_register(space, request, out);
	return error;
}

int space_register_pages(struct space *space, const struct ist_registration *registration,
                         struct ist_mapping *out)
{
	struct request request;
	int error = begin_request(registration, &request);

	if (error)
		return error;
	error = copy_pages(&request, registration);
	if (!error)
		error = space_register_and_describe(space, &request, out);
	pages_drop(&request.list);
	return error;
}

int space_register_list(struct space *space, uint64_t list, const struct ist_registration *registration,
                        struct ist_mapping *out)
{
	struct request request;
	int error = begin_request(registration, &request);

	if (error)
		return error;
	error = wire_read(space, list, &request);
	if (!error)
		error = space_register_and_describe(space, &request, out);
	pages_drop(&request.list);
	return error;
}
