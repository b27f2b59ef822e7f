/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The dynamic part of a manager's memory: what mappings there are, and how each is found, kept and unmapped.
 *
 * A mapping is a record in a slot. It is found through three indexes: by cookie (table/index.h), by physical and by virtual
 * address (pamap/pamap.h, whose handle is the slot's number). The record says whether it is alive:
 *
 *   refs = {LIVE 1, ENDED 1, holds 31, references 31}
 *
 * References are what users have; holds are the library's own: of an unregister under way, of ranges that lie in the pages of
 * this one (mmio.c), of a range that is being changed. A put takes back a reference and never a hold.
 *
 *   [S1] Registration makes everything ready, enters the indexes, and stores LIVE with release last: its linearization
 *        point for lookups by cookie and for references. Lookups by address do not ask for LIVE and see each stretch from
 *        the moment it is in the map until it is out; it is accessible by then and until a grace period later.
 *   [S2] Unregistering begins with the compare-exchange that clears LIVE and takes a hold: its linearization
 *        point. From then on no reference is given. It leaves the indexes and puts its hold.
 *   [S3] A reference is given by a compare-exchange that finds LIVE (acquire: with the record behind it), and put by one with
 *        release. Who brings a mapping without LIVE to 0 references and holds (acquire: after all that others did with it) has ended
 *        it, alone: it goes into the limbo.
 *   [S4] A grace period after it came there, what it had mapped is unmapped and the slot may be used again, with the next
 *        generation. So inside a read section a record that an index led to stays the same mapping, its address stays
 *        mapped, and no handle is mistaken (generations have 32 bits; a stale handle is mistaken only for the use of the
 *        same slot 2^32 uses later, at a million a second for one slot after more than an hour of nothing else).
 *   [S5] Nothing of ours lies in shared memory; whatever is read there is copied once (wire.c).
 *
 * A thread that stops:
 *   in a lookup: holds back the limbo, by its read section; nothing else;
 *   with a reference: keeps that mapping's pages, and an owner that is being destroyed keeps its id;
 *   between clearing LIVE and the end of unregister, in register or any other update: it holds the mutex of the control
 *     path. Lookups, references and translations go on, and see the mapping there or not, page by page;
 *   in the last put, between its compare-exchange and the limbo: the pages of that mapping stay mapped, its owner's counters
 *     stay as they are; nobody waits for it but who unregisters that mapping.
 *
 * Locks, in the order in which they nest: space.lock (control path; never taken inside a read section), pamap's, limbo.working
 * (the reclaimer, while it unmaps), limbo.lock (a few instructions, also by the last put), the reclaimer's own.
 *
 * Whoever holds space.lock does not wait for readers (but for the 100 ms of pamap.h [A5], when too much waits for them), for
 * references or for foreign pages, and calls nobody outside the library. What needs such a wait has two halves: what it takes
 * away is marked under the lock (a backing or a range `leaving`, a protection set), so that nothing new comes there; the lock is
 * given back; and when it is taken again the mark is removed or the rest done.
 */
#ifndef MAPPING_SPACE_H
#define MAPPING_SPACE_H

#include <pthread.h>

#include <isthmus/mapping.h>

#include "mapping/backing.h"
#include "mapping/limbo.h"
#include "mapping/pages.h"
#include "mapping/window.h"
#include "owner/owner.h"
#include "pamap/pamap.h"
#include "table/index.h"
#include "table/slots.h"

#define REFS_LIVE (UINT64_C(1) << 63)
#define REFS_ENDED (UINT64_C(1) << 62)
#define REFS_HOLD (UINT64_C(1) << 31) /* one of them */
#define REFS_COUNT (REFS_HOLD - 1)
#define REFS_ANY (REFS_ENDED - 1) /* references and holds */

enum mapping_kind { MAPPING_PAGES, MAPPING_MMIO, MAPPING_RANGE, MAPPING_PROVIDED, MAPPING_CACHED };
enum mapping_place { PLACE_NONE, PLACE_RUN, PLACE_DIRECT, PLACE_PARENT };

struct mapping {
	_Atomic uint64_t refs; /* [S1] to [S3] */
	_Atomic uint32_t generation; /* [S4] */
	uint32_t out; /* at its owner's end: stretches that are out of the maps already, and their pages */
	uint64_t out_pages;
	/* Constant while readers may see it: */
	uint64_t cookie; /* 0: none */
	uint64_t size;
	char *vaddr;
	uint16_t owner; /* number */
	uint8_t attributes;
	/* Under the lock, and after its end the limbo's: */
	uint8_t kind;
	uint8_t place;
	atomic_bool guarded;
	bool changing; /* MAPPING_RANGE: pages are leaving, without the lock */
	uint32_t extents;
	uint32_t previous, next; /* of the owner's mappings; next: also in the limbo, and of unused ones */
	uint32_t older, newer; /* in the cache; MMIO: older counts how often it was mapped */
	union {
		struct extent one; /* extents == 1 */
		struct extent *many;
		_Atomic uint64_t *range; /* MAPPING_RANGE: what is in each page (range.c) */
	};
	union {
		struct run
		        run; /* PLACE_RUN; PLACE_PARENT: first is the slot of the one whose pages these are (mmio.c) */
		struct backing *direct; /* PLACE_DIRECT: in memory that the caller mapped */
	};
};

struct space {
	/* The manager's, set before anybody knows it. */
	struct pamap *by_paddr, *by_vaddr;
	const struct ist_view *carve_out;
	struct ist_client_pool *client;
	/* Client memory of owners that lies elsewhere (provider/region.c): frees some; false when there is no more. */
	bool (*free_elsewhere)(void *elsewhere, uint32_t owner, uint64_t *progress);
	void *elsewhere;
	pthread_mutex_t *elsewhere_lock; /* nests inside space.lock; for fork */

	atomic_bool open; /* set once, with release: then all below is there */
	pthread_mutex_t lock;
	bool used; /* too late to configure */
	struct ist_mapping_config config;
	struct window window;
	struct slots slots;
	struct index index; /* by cookie; in it under keys of their own, cached and MMIO mappings */
	uint32_t unused; /* slots */
	uint32_t stuck; /* slots that could not leave the maps yet */
	uint32_t dying; /* owners whose end has begun, and which still have their ids */
	uint32_t finished, last_finished; /* owners that wait for readers, oldest first: a list */
	uint32_t owed; /* owners that have something to be put, when the lock is given back: a list */
	struct ranges backings, protections;
	struct owner_table owners;
	struct limbo limbo;
	struct {
		uint32_t oldest, newest;
		uint64_t count, bytes, hits, misses;
	} cache;
	uint64_t mappings, pages, refused;
	_Atomic uint64_t referenced;
	_Atomic uint64_t extent_bytes;
	struct space *following, **link; /* the list of all, for fork */
};

/* Nothing is allocated until the first call of the control path. */
void space_init(struct space *space);
/* -EBUSY while a mapping is registered or referenced. Nobody else is using it. */
int space_close(struct space *space);

/* The space of a manager; in src/manager, above. */
struct space *space_of(struct ist_manager *manager);

/*
 * Before and after a call of the control path: takes the lock. -EINVAL null, -EDEADLK in a read section, -ENOMEM. In between
 * nothing waits for readers or calls anybody, and the thread is not cancelled.
 */
int space_enter(struct space *space);
void space_leave(struct space *space);
/* Also the window. -ENOMEM */
int space_use(struct space *space);

static inline bool space_is_open(struct space *space)
{
	return space && atomic_load_explicit(&space->open, memory_order_acquire);
}

static inline struct mapping *mapping_at(struct space *space, uint32_t slot)
{
	return slots_at(&space->slots, slot);
}

static inline uint64_t mapping_pages(const struct mapping *mapping)
{
	return ((uint64_t)((uintptr_t)mapping->vaddr % IST_PAGE_SIZE) + mapping->size + (IST_PAGE_SIZE - 1)) /
	       IST_PAGE_SIZE;
}

static inline const struct extent *mapping_extents(const struct mapping *mapping)
{
	return mapping->extents == 1 ? &mapping->one : mapping->many;
}

static inline struct owner *mapping_owner(struct space *space, const struct mapping *mapping)
{
	return owner_at(&space->owners, mapping->owner);
}

/* An unused slot; 0: no memory. */
uint32_t space_take_slot(struct space *space);

/* In and out of the owner's list. */
void space_link(struct space *space, uint32_t slot);
void space_unlink(struct space *space, uint32_t slot);

/* Describe it; in a read section, or with a reference, or under the lock. */
void space_describe(struct space *space, uint32_t slot, struct ist_mapping *out);

/* What is registered (publish.c): into both maps; on an error, it is out of them or in the list of stuck ones. */
int publish(struct space *space, uint32_t slot, bool strict);
/* Out of both maps; may be called again after an error. */
int retract(struct space *space, uint32_t slot);
/* Some of its stretches, of a mapping that is hidden: then there is less to do for retract. *budget is what is left of it. */
int retract_some(struct space *space, uint32_t slot, uint32_t *budget);
/* Try again with those that are stuck. */
void retract_stuck(struct space *space);

/* The index, by cookie and by other keys of two words. */
enum index_kind { KEY_COOKIE, KEY_CACHED, KEY_MMIO };
uint32_t space_hash(const struct space *space, enum index_kind kind, uint32_t owner, uint64_t a, uint64_t b);

/* A search by cookie: `matches`, an index_match, is given one of these, and says what else must be so. */
struct cookie_query {
	struct space *space;
	uint64_t cookie;
	uint32_t owner;
};

static inline bool space_has_cookie(const struct cookie_query *query, uint32_t slot)
{
	struct mapping *mapping = mapping_at(query->space, slot);

	return mapping->cookie == query->cookie && mapping_owner(query->space, mapping)->id == query->owner;
}

/* In a read section, or under the lock. 0: none. */
static inline uint32_t space_find_cookie(struct space *space, uint32_t owner, uint64_t cookie,
                                         index_match *matches)
{
	struct cookie_query query = {space, cookie, owner};

	return index_find(&space->index, space_hash(space, KEY_COOKIE, owner, cookie, 0), matches, &query);
}

/* As pamap_translate, which has missed, of either map: what is larger than a page may still lie in a range. */
bool space_translate(struct space *space, struct pamap *map, uint64_t at, uint64_t len, uint64_t *to);

/*
 * What a registration wants, copied and checked for itself. out: a mapping that is LIVE, of the given kind. Under the lock.
 */
struct request {
	struct page_list list;
	uint64_t offset, size, cookie;
	uint32_t owner, flags;
	enum mapping_kind kind;
};
int space_register(struct space *space, const struct request *request, uint32_t *slot);
/* The same without the lock, and once more where there is room to be made. */
int space_register_and_describe(struct space *space, const struct request *request, struct ist_mapping *out);

/* Make pages accessible (place.c), at mapping->place. For a list whose backings were found by place_check. */
int place_check(struct space *space, const struct request *request, uint8_t *attributes);
int place(struct space *space, struct mapping *mapping, const struct request *request);
/* One page, at an exact place in the window. */
int place_page(struct space *space, void *where, uint64_t page, bool writable);

/* For MAPPING_RANGE, in the place of place: nothing accessible yet (range.c). */
int range_reserve(struct space *space, struct mapping *mapping, uint64_t pages, unsigned flags);
/* The part of retract that is about single pages (range.c). */
int range_retract(struct space *space, uint32_t slot, uint64_t first, uint64_t count);
/*
 * Whether [at, at + len), of which the first page is in the range `slot`, lies in it at consecutive addresses of both kinds;
 * `at` is physical or (reverse) virtual. In a read section.
 */
bool range_has_page(const struct mapping *mapping, uint64_t page, uint64_t pages);
bool range_holds(struct space *space, uint32_t slot, uint64_t at, uint64_t len, bool reverse, uint64_t *to);

/*
 * End a mapping (unregister.c). Under the lock. try: -EBUSY if it is referenced. After success *last says whether it has gone
 * into the limbo (or the cache); otherwise whoever has the last reference will put it there.
 */
int space_end(struct space *space, uint32_t slot, bool try, bool *last);
/* Errors of ist_mapping_unregister_one. Takes the lock. */
int space_unregister_handle(struct space *space, const struct ist_mapping *handle, enum mapping_kind kind,
                            unsigned flags);
/* After the compare-exchange that ended it [S3]. */
void space_ended(struct space *space, uint32_t slot);
/* Give back a hold. Takes limbo.lock if it was the last of an unregistered mapping. */
void space_drop_hold(struct space *space, uint32_t slot);
/* The same under the lock, where nobody may be called: space_leave puts what the owner is owed. */
void space_drop_hold_inside(struct space *space, uint32_t slot);
void space_owe(struct space *space, struct owner *owner);

/*
 * Whether something that is no longer found, or was hidden with its owner, may still reach a page of these: a mapping with
 * references, of a dying owner, or stuck (held.c). What has ended is not asked: limbo_drain waits for it. `but`: a slot that does not count,
 * or 0. Under the lock.
 */
bool space_is_held(struct space *space, uint64_t page, uint64_t pages, uint32_t but);

/* Without the lock, after -ENOSPC or -ENOMEM: true if something was given back since, so that it is worth another try. */
bool space_make_room(struct space *space);

/* The cache (cache.c). Under the lock. */
bool cache_take(struct space *space, const struct request *request, uint16_t owner, uint8_t attributes,
                struct mapping *to);
bool cache_keep(struct space *space, uint32_t slot); /* false: it does not belong there */
void cache_drop(struct space *space, uint32_t slot);
void cache_shrink(struct space *space, uint64_t bytes); /* until no more than that are in it */

/* A list page of the wire format into a private copy (wire.c). */
int wire_read(struct space *space, uint64_t list, struct request *request);

#endif
