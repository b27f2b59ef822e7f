/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The dynamic part of a manager's memory, and its locks.
 *
 * What is used where its backings are mapped comes and goes under the lock of its owner alone: his cookies, his list, his quota,
 * his slots. Everything else of the control path is under space.lock, and takes the owner's for what is his. So from the moment an
 * owner is DYING, which is set under both, all of his is under space.lock. What is protected or `leaving` is marked under space.lock;
 * who has the owner's alone looks for marks after its links are in their nodes (mapping/register.c), and if there is one asks again
 * under space.lock.
 *
 * Locks, in the order in which they nest: space.lock (control path; never taken inside a read section); in it, none of them inside
 * another, provider.lock (provider/provider.h), pamap's, owners' (two at once only around a fork); in an owner's space.making (a few
 * instructions), those of backing/sharing.c (log n of a node's links, also by the last put), those of stocks, limbo.working (the
 * reclaimer, while it unmaps), limbo.lock (a few instructions, also by the last put), the reclaimer's own.
 *
 * Whoever holds space.lock or an owner's does not wait for readers (but for the 100 ms of pamap.h [pamap.A5], when backings come and go and
 * too much waits for them), for references or for foreign pages, and calls nobody outside the library. What needs such a wait has two halves: what it takes
 * away is marked under the lock (a backing or a range `leaving`, a protection set), so that nothing new comes there; the lock is
 * given back; and when it is taken again the mark is removed or the rest done.
 */
#ifndef SPACE_SPACE_H
#define SPACE_SPACE_H

#include <pthread.h>

#include <isthmus/mapping.h>

#include "owner/owner.h"
#include "pamap/pamap.h"
#include "space/backing.h"
#include "space/ranges.h"
#include "space/record.h"
#include "space/window.h"
#include "table/index.h"
#include "table/slots.h"
#include "table/stock.h"

#define LIMBO_KINDS 16u /* of reusable runs, by their size */

/* What waits for readers: reclaim/limbo.h. */
struct limbo {
	pthread_mutex_t lock; /* a few instructions at a time */
	pthread_mutex_t working; /* while the reclaimer unmaps: the end of the space waits for it */
	pthread_cond_t changed; /* something ended, or a batch is done */
	_Atomic uint32_t first; /* slots of the next batch, a stack */
	bool stuck; /* what is reusable the system refused to unmap: tried again with the next batch */
	uint32_t sent; /* slots of the batch under way */
	atomic_bool in_flight;
	/* The number of the last one that is sent, done, to be sent: changed under the lock. */
	_Atomic uint64_t batches, done, wanted;
	uint32_t reusable[LIMBO_KINDS]; /* slots */
	uint64_t reusable_count;
	_Atomic uint64_t waiting; /* slots in all these lists; those that rest are not among them */
	struct rcu_item item;
};

#define SPACE_SHARING 16u
#define WAITING_MAX (1u << 20)

struct space {
	/* The manager's, set before anybody knows it. */
	struct pamap *by_paddr, *by_vaddr;
	const struct ist_view *carve_out;

	/* Mappings that may wait for readers, in the limbo or of one owner without it: WAITING_MAX; tests have fewer. */
	uint64_t waiting_max;

	atomic_bool open; /* set once, with release: then all below is there */
	pthread_mutex_t lock;
	atomic_bool used; /* too late to configure: set with release */
	struct ist_mapping_config config;
	struct window window;
	struct slots slots;
	struct index index; /* cached and MMIO mappings, under keys of their own */
	pthread_mutex_t making; /* slots: */
	uint32_t unused; /* of owners that are gone */
	struct stock links, groups; /* page_tree.h, sharing.c */
	pthread_mutex_t sharing[SPACE_SHARING]; /* by the backing's number: sharing.c */
	uint64_t secret; /* for trees of links */
	_Atomic uint64_t serial;
	_Atomic uint64_t protections_changed; /* how often something was protected [space.E1] */
	/*
	 * {number 32, owners whose end has begun and that have something in the nodes 32}: lookups pass over what is theirs. The
	 * number says when the end began (owner.hidden), so that a lookup that began before may take it.
	 */
	_Atomic uint64_t hiding;
	uint32_t finished, last_finished; /* owners that wait for readers, oldest first: a list */
	uint32_t owed; /* owners that have something to be put, when the lock is given back: a list */
	struct backings backings;
	_Atomic(struct ranges *) protections; /* changed under the lock, read in a read section */
	struct owner_table owners;
	struct limbo limbo;
	struct {
		uint32_t oldest, newest;
		uint64_t count, bytes, hits, misses;
	} cache;
	_Atomic uint64_t refused;
	_Atomic uint64_t referenced;
	_Atomic uint64_t segment_bytes;
};

/* Whether any page of these is protected. In a read section or under the lock. Acquire: [space.E1]. */
static inline bool space_is_protected(struct space *space, uint64_t page, uint64_t pages)
{
	return ranges_overlap(atomic_load_explicit(&space->protections, memory_order_acquire), page, pages);
}

/*
 * Before and after a call of the control path: takes the lock. -EINVAL null, -EDEADLK in a read section, -ENOMEM. In between
 * nothing waits for readers or calls anybody, and the thread is not cancelled.
 */
int space_enter(struct space *space);
void space_leave(struct space *space);
/* Around a fork, in the middle of which nothing of the space changes. In the child nobody waits any more for what others did. */
void space_lock_all(struct space *space);
void space_unlock_all(struct space *space);
void space_unlock_all_in_child(struct space *space);

static inline bool space_is_open(struct space *space)
{
	return space && atomic_load_explicit(&space->open, memory_order_acquire);
}

/* Also the window is there, and the configuration does not change any more: acquire, with both. */
static inline bool space_is_used(struct space *space)
{
	return space_is_open(space) && atomic_load_explicit(&space->used, memory_order_acquire);
}

static inline struct mapping *mapping_at(struct space *space, uint32_t slot)
{
	return slots_at(&space->slots, slot);
}

/* Of a slot that there is. */
static inline struct mapping *mapping_known(struct space *space, uint32_t slot)
{
	return slots_known(&space->slots, slot);
}

/* Of links that there are: not of 0. */
static inline struct link *link_at(struct space *space, uint32_t link)
{
	return slots_known(&space->links.slots, link);
}

static inline struct link_more *link_more(struct space *space, uint32_t link)
{
	return slots_known(&space->links.beside, link);
}

/* The segment that has this page of the mapping. */
uint32_t segment_at(const struct mapping *mapping, uint64_t page);
/* The page behind the last one that lies at consecutive addresses of both kinds from this segment on. */
uint64_t segment_reach(struct space *space, const struct mapping *mapping, uint32_t segment);
/* Where a page lies, of a segment's or (MAPPING_RANGE) of the range. */
char *segment_address(struct space *space, const struct mapping *mapping, uint32_t segment, uint64_t page);

static inline struct backing *space_backing(struct space *space, uint32_t number)
{
	return backing_at(&space->backings, number);
}

/* The backing of a page, or null. Under the lock, or in a read section. */
struct backing *space_find_backing(struct space *space, uint64_t page);

/* One mapping more of an owner's, or one less. Under his lock, so that nobody else changes them. */
void space_count(struct owner *owner, const struct mapping *mapping, bool more);

static inline struct owner *mapping_owner(struct space *space, const struct mapping *mapping)
{
	return owner_at(&space->owners, mapping->owner);
}

/* In and out of a list of an owner's. */
void space_link(struct space *space, uint32_t *first, uint32_t slot);
void space_unlink(struct space *space, uint32_t *first, uint32_t slot);

/*
 * The owner, if he is alive, with his lock alone: null without. Then what is registered where it lies can come and go, and no other
 * owner notices.
 */
struct owner *space_enter_owner(struct space *space, uint32_t id);
void space_leave_owner(struct owner *owner);

/* Describe it; in a read section, or with a reference, or under the lock. */
void space_describe(struct space *space, uint32_t slot, struct ist_mapping *out);

/* The index, by keys of two words. */
enum index_kind { KEY_CACHED, KEY_MMIO };
uint32_t space_hash(const struct space *space, enum index_kind kind, uint32_t owner, uint64_t a, uint64_t b);

/* A search by cookie: `matches`, an index_match, is given one of these, and says what else must be so. */
struct cookie_query {
	struct space *space;
	uint64_t cookie;
};

static inline bool space_has_cookie(const struct cookie_query *query, uint32_t slot)
{
	return mapping_at(query->space, slot)->cookie == query->cookie;
}

/* In a read section, or under the owner's lock. 0: none. */
static inline uint32_t space_find_cookie(struct space *space, struct owner *owner, uint64_t cookie,
                                         index_match *matches)
{
	struct cookie_query query = {space, cookie};

	return index_find(&owner->cookies, index_hash(&owner->cookies, cookie, 0), matches, &query);
}

#endif
