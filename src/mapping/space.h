/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The dynamic part of a manager's memory: what mappings there are, and how each is found, kept and unmapped.
 *
 * A mapping is a record in a slot. It is found by cookie (table/index.h); by physical address, through the PA map, which has the
 * backings, and the tree of the backing's pages (cover.h); and by virtual address, through the other map, which has the backings that are
 * mapped as a whole, or the owners of the window's runs (window.h). The record says whether it is alive:
 *
 *   refs = {LIVE 1, ENDED 1, holds 31, references 31}
 *
 * References are what users have; holds are the library's own: of an unregister under way, of ranges that lie in the pages of
 * this one (mmio.c), of who has it mapped side by side (contiguous.c), of a range that is being changed. A put takes back a reference and never a hold.
 *
 *   [mapping.S1] Registration makes everything ready, enters the indexes, and stores LIVE with release last: its linearization
 *        point for lookups by cookie and for references. Lookups by address do not ask for LIVE and see each stretch from
 *        the moment it is in its nodes until it is out; it is accessible by then and until a grace period later.
 *   [mapping.S2] Unregistering begins with the compare-exchange that clears LIVE and takes a hold: its linearization
 *        point. From then on no reference is given. It leaves the indexes and puts its hold.
 *   [mapping.S3] A reference is given by a compare-exchange that finds LIVE (acquire: with the record behind it), and put by one with
 *        release. Who brings a mapping without LIVE to 0 references and holds (acquire: after all that others did with it) has ended
 *        it, alone: it goes into the limbo.
 *   [mapping.S4] A grace period after it came there, what it had mapped is unmapped and the slot may be used again, with the next
 *        generation. So inside a read section a record that an index led to stays the same mapping, its address stays
 *        mapped, and no handle is mistaken (generations have 32 bits; a stale handle is mistaken only for the use of the
 *        same slot 2^32 uses later, at a million a second for one slot after more than an hour of nothing else).
 *   [mapping.S5] Nothing of ours lies in shared memory; whatever is read there is copied once (wire.c).
 *
 * A thread that stops:
 *   in a lookup: holds back the limbo, by its read section; nothing else;
 *   with a reference: keeps that mapping's pages, and an owner that is being destroyed keeps its id;
 *   between clearing LIVE and the end of unregister, in register or any other update: it holds the lock of the owner, or of the
 *     space. Lookups, references and translations go on, and see the mapping there or not, page by page;
 *   in the last put, between its compare-exchange and the limbo: the pages of that mapping stay mapped, its owner's counters
 *     stay as they are; nobody waits for it but who unregisters that mapping.
 *
 * What is used where its backings are mapped comes and goes under the lock of its owner alone: his cookies, his list, his quota,
 * his slots. Everything else of the control path is under space.lock, and takes the owner's for what is his. So from the moment an
 * owner is DYING, which is set under both, all of his is under space.lock. What is protected or `leaving` is marked under space.lock;
 * who has the owner's alone looks for marks after its links are in their nodes (register.c), and if there is one asks again
 * under space.lock.
 *
 * Locks, in the order in which they nest: space.lock (control path; never taken inside a read section), pamap's, owners' (never
 * two), space.making (a few instructions), those of
 * sharing.c (log n of a node's links, also by the last put), those of stocks, limbo.working (the reclaimer, while it unmaps), limbo.lock
 * (a few instructions, also by the last put), the reclaimer's own.
 *
 * Whoever holds space.lock or an owner's does not wait for readers (but for the 100 ms of pamap.h [pamap.A5], when backings come and go and
 * too much waits for them), for references or for foreign pages, and calls nobody outside the library. What needs such a wait has two halves: what it takes
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
#include "mapping/ranges.h"
#include "mapping/resting.h"
#include "mapping/segment.h"
#include "mapping/window.h"
#include "owner/owner.h"
#include "pamap/pamap.h"
#include "table/index.h"
#include "table/slots.h"
#include "table/stock.h"

#define REFS_LIVE (UINT64_C(1) << 63)
#define REFS_ENDED (UINT64_C(1) << 62)
#define REFS_HOLD (UINT64_C(1) << 31) /* one of them */
#define REFS_COUNT (REFS_HOLD - 1)
#define REFS_ANY (REFS_ENDED - 1) /* references and holds */
#define REFS_HOLDS (REFS_ANY & ~REFS_COUNT)

/* AGAIN: the pages of another one, side by side (contiguous.c). */
enum mapping_kind { MAPPING_PAGES, MAPPING_MMIO, MAPPING_RANGE, MAPPING_PROVIDED, MAPPING_AGAIN };
/* Where its pages are: nowhere; in a run of the window; in the views of their backings; in the run of another one (mmio.c). */
enum mapping_place { PLACE_NONE, PLACE_RUN, PLACE_VIEW, PLACE_PARENT };

struct mapping {
	_Atomic uint64_t refs; /* [mapping.S1] to [mapping.S3] */
	_Atomic uint32_t generation; /* [mapping.S4] */
	/* What the slot keeps for its next use: */
	uint32_t room; /* segments, at `many` */
	struct segment *many;
	uint32_t links; /* a list of links, of which `linked` are in use */
	uint32_t
	        dead; /* groups of links that went with this mapping: a list, for use again when nobody knows it */
	/* Constant while readers may see it: */
	uint32_t segments;
	uint64_t serial; /* the older, the smaller */
	uint64_t cookie; /* 0: none */
	uint64_t size;
	char *vaddr; /* of the first byte; null: they lie in several places */
	uint16_t owner; /* number */
	uint16_t offset; /* of the first byte in its page */
	uint8_t attributes;
	uint8_t kind;
	uint8_t place;
	atomic_bool guarded;
	atomic_bool held; /* unregistered, but referenced: its links stay [mapping.C3] */
	/* Under the lock, and after its end the limbo's: */
	bool cached; /* unregistered, in the cache */
	bool rested; /* ended, and its generation is still to change: resting.h */
	bool changing; /* MAPPING_RANGE: pages are leaving, without the lock */
	uint32_t linked;
	uint32_t left, out, out_link; /* links to withdraw, from this segment and link on */
	uint32_t previous, next; /* of the owner's mappings; next: also in the limbo, and of unused ones */
	/*
	 * In the cache. Otherwise older counts how often it was mapped (mmio.c, contiguous.c), or is the slot of the first one: of
	 * AGAIN, and constant then.
	 */
	uint32_t older, newer;
	uint64_t pages;
	uint32_t stretches; /* as they were asked for: a part of the owner's quota */
	union {
		struct segment one; /* segments == 1 */
		struct {
			_Atomic uint64_t
			        *range; /* MAPPING_RANGE: what is in each page, and its link (range.c) */
			uint32_t *range_link;
		};
	};
	/* Under the lock. PLACE_RUN: none any more if its count is 0; PLACE_PARENT: first is the slot of the one whose pages these
	 * are (mmio.c); PLACE_VIEW: it is that of AGAIN, if there is one. */
	struct run run;
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
	struct stock links, groups; /* cover.h, sharing.c */
	pthread_mutex_t sharing[SPACE_SHARING]; /* by the backing's number: sharing.c */
	uint64_t secret; /* for trees of links */
	_Atomic uint64_t serial;
	_Atomic uint64_t protections_changed; /* how often something was protected [mapping.E1] */
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

/* Whether any page of these is protected. In a read section or under the lock. Acquire: [mapping.E1]. */
static inline bool space_is_protected(struct space *space, uint64_t page, uint64_t pages)
{
	return ranges_overlap(atomic_load_explicit(&space->protections, memory_order_acquire), page, pages);
}

/* Nothing is allocated until the first call of the control path. */
void space_init(struct space *space);
/* At its end, when nobody else is using it: -EBUSY while a mapping is registered or referenced. Then, once that answered 0: */
int space_settle(struct space *space);
void space_drop(struct space *space);

/*
 * Before and after a call of the control path: takes the lock. -EINVAL null, -EDEADLK in a read section, -ENOMEM. In between
 * nothing waits for readers or calls anybody, and the thread is not cancelled.
 */
int space_enter(struct space *space);
void space_leave(struct space *space);
/*
 * Owners in the order of their numbers, for statistics: up to `room` from *number on, which is then where to go on; 0: no more.
 * Takes the lock.
 */
struct space_owner {
	uint32_t id;
	struct ist_owner_stats stats;
};
uint32_t space_next_owners(struct space *space, uint32_t *number, struct space_owner *out, uint32_t room);
/* As ist_owner_create and ist_owner_stats. */
int space_create_owner(struct space *space, const struct ist_owner_config *config);
int space_owner_stats(struct space *space, uint32_t id, struct ist_owner_stats *out);
/* Clear away the owners of whom nothing is left; each is looked at once, and once more when readers have gone by. Under the lock. */
void space_sweep_owners(struct space *space);
/* Around a fork, in the middle of which nothing of the space changes. In the child nobody waits any more for what others did. */
void space_lock_all(struct space *space);
void space_unlock_all(struct space *space);
void space_unlock_all_in_child(struct space *space);
/* Also the window. -ENOMEM */
int space_use(struct space *space);

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

static inline enum link_kind mapping_link_kind(const struct mapping *mapping)
{
	return mapping->kind == MAPPING_RANGE ? LINK_IN_RANGE
	       : mapping->place == PLACE_VIEW ? LINK_IN_VIEW
	                                      : LINK_ELSEWHERE;
}

static inline const struct segment *mapping_segments(const struct mapping *mapping)
{
	return mapping->segments == 1 ? &mapping->one : mapping->many;
}

/* How many pages the segment has. */
static inline uint64_t segment_pages(const struct mapping *mapping, uint32_t segment)
{
	const struct segment *all = mapping_segments(mapping);

	return (segment + 1 < mapping->segments ? all[segment + 1].at : mapping->pages) - all[segment].at;
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

static inline bool mapping_has_run(const struct mapping *mapping)
{
	return mapping->place == PLACE_RUN && mapping->run.count != 0;
}

/* One mapping more of an owner's, or one less. Under his lock, so that nobody else changes them. */
void space_count(struct owner *owner, const struct mapping *mapping, bool more);

static inline struct owner *mapping_owner(struct space *space, const struct mapping *mapping)
{
	return owner_at(&space->owners, mapping->owner);
}

/* An unused slot, under the owner's lock; 0: no memory. */
uint32_t space_take_slot(struct space *space, struct owner *owner);
/* All that an owner has of them, when he is gone. */
void space_give_slots(struct space *space, struct owner *owner);

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

/*
 * Lookups by address (find.c), in a read section. One byte at least, and no wrap. `of`: only what this owner has.
 */
struct found {
	uint32_t slot;
	uint64_t to;
};
bool find_by_paddr(struct space *space, uint64_t paddr, uint64_t len, const struct owner *of,
                   struct found *out);
/* The same, for who wants but the address, in whatever section. */
bool translate_paddr(struct space *space, uint64_t paddr, uint64_t len, uint64_t *to);
bool translate_vaddr(struct space *space, uint64_t vaddr, uint64_t len, uint64_t *to);
/* Whether an owner's mappings are found, by a lookup that read `hiding` when it began. */
bool owner_is_shown(struct space *space, uint32_t number, uint64_t hiding);

/*
 * What a registration wants, copied and checked for itself. out: a mapping that is LIVE, of the given kind. Under the lock.
 */
struct request {
	struct page_list list;
	uint64_t offset, size, cookie;
	uint32_t owner, flags;
	enum mapping_kind kind;
	uint32_t of; /* AGAIN: the slot of the first one */
};
int space_register(struct space *space, const struct request *request, uint32_t *slot);
/* The same without the lock, and once more where there is room to be made. */
int space_register_and_describe(struct space *space, const struct request *request, struct ist_mapping *out);

/*
 * What a request comes to (place.c), once its pages were checked: how many segments, and how they are to be mapped. Without the
 * lock only in a read section, and where nothing is protected.
 */
struct placing {
	uint64_t segments;
	uint64_t protections; /* their number when it was looked for protected pages [mapping.E1] */
	uint8_t attributes;
	bool in_views;
	bool needs_lock; /* to be mapped again: what is not known yet of a backing is found out under space.lock */
};
/* In a read section or under the lock. */
int place_check(struct space *space, const struct request *request, struct placing *plan);
/* Write the segments: they have room in the mapping. */
void place_segments(struct space *space, struct mapping *mapping, const struct request *request);
/* The two of them, and room for them. -ENOMEM */
int space_make_segments(struct space *space, uint32_t slot, const struct request *request,
                        const struct placing *plan);
/* Make pages accessible, at mapping->place. The segments are there, and their backings stay: under the lock, or pinned. */
int place(struct space *space, uint32_t slot, const struct request *request, const struct placing *plan);
/* One page, at an exact place in the window. */
int place_page(struct space *space, void *where, uint64_t page, bool writable);

/* For MAPPING_RANGE, in the place of place: nothing accessible yet (range.c). */
int range_reserve(struct space *space, uint32_t slot, unsigned flags);
/* Its pages out of their nodes, some of them, as cover_withdraw (range.c). */
void range_withdraw(struct space *space, uint32_t slot, uint32_t *budget);
/* When nobody can know it any more: its arrays. */
void range_drop(struct space *space, struct mapping *mapping);
/* Whether page `at` of a range is physical page `first`, and so on to `last`. In a read section, or under the lock. */
bool range_holds(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last);
/* The same, also of what is leaving. */
bool range_held(const struct mapping *mapping, uint64_t at, uint64_t first, uint64_t last);
/* The physical address of that page; false: there is none. */
bool range_page(const struct mapping *mapping, uint64_t at, uint64_t *page);

/* A reference to what the handle names, and back (lookup.c). False: it is gone; nobody has one. */
bool space_get(struct space *space, const struct ist_mapping *handle);
bool space_put(struct space *space, const struct ist_mapping *handle);
/* A hold; space_drop_hold gives it back. */
bool space_hold(struct space *space, const struct ist_mapping *handle);

/*
 * End a mapping (unregister.c). Under the lock, and not its owner's. try: -EBUSY if it is referenced. After success *last says whether it has gone
 * into the limbo (or the cache); otherwise whoever has the last reference will put it there.
 */
int space_end(struct space *space, uint32_t slot, bool try, bool *last);
/* The same of an owner who is being destroyed, in steps: *budget is what is left of so many stretches. */
void space_end_some(struct space *space, uint32_t slot, uint32_t *budget);
/* Errors of ist_mapping_unregister_one. Takes the lock. */
int space_unregister_handle(struct space *space, const struct ist_mapping *handle, enum mapping_kind kind,
                            unsigned flags);

/* As the functions of isthmus/backing.h. */
int space_add_backing(struct space *space, const struct ist_backing *from);
int space_remove_backing(struct space *space, uint64_t paddr);
int space_find_whole_backing(struct space *space, uint64_t paddr, struct ist_backing *out);
int space_protect(struct space *space, uint64_t paddr, uint64_t size);
int space_unprotect(struct space *space, uint64_t paddr, uint64_t size);

/* As the functions of isthmus/mapping.h. */
int space_configure(struct space *space, const struct ist_mapping_config *config);
int space_register_pages(struct space *space, const struct ist_registration *registration,
                         struct ist_mapping *out);
int space_register_list(struct space *space, uint64_t list, const struct ist_registration *registration,
                        struct ist_mapping *out);
int space_unregister(struct space *space, uint32_t owner, uint64_t cookie, unsigned flags);
int space_find(struct space *space, uint32_t owner, uint64_t cookie, struct ist_mapping *out);
int space_find_get(struct space *space, uint32_t owner, uint64_t cookie, struct ist_mapping *out);
int space_find_paddr(struct space *space, uint64_t paddr, size_t len, struct ist_mapping *out, void **vaddr);
int space_find_paddr_of(struct space *space, uint32_t owner, uint64_t paddr, size_t len,
                        struct ist_mapping *out, void **vaddr);
int space_list_segments(struct space *space, const struct ist_mapping *handle, uint64_t offset, size_t len,
                        struct iovec *out, size_t room, size_t *count);
int space_paddr(struct space *space, const struct ist_mapping *handle, uint64_t offset, uint64_t granule,
                uint64_t *out);
int space_map(struct space *space, const struct ist_mapping *handle, void **vaddr);
int space_unmap(struct space *space, const struct ist_mapping *handle);
int space_unguard(struct space *space, const struct ist_mapping *handle);
int space_flush(struct space *space);
int space_drain(struct space *space);
void space_stats(struct space *space, struct ist_mapping_stats *out);

/* As the functions of isthmus/mmio.h and isthmus/range.h. */
int space_mmio_map(struct space *space, uint64_t paddr, size_t len, void **vaddr);
int space_mmio_unmap(struct space *space, const void *vaddr, size_t len);
int space_range_reserve(struct space *space, uint64_t pages, uint32_t owner, uint64_t cookie, unsigned flags,
                        struct ist_mapping *out);
int space_range_map(struct space *space, const struct ist_mapping *range, uint64_t first,
                    const uint64_t *pages, uint64_t count);
int space_range_unmap(struct space *space, const struct ist_mapping *range, uint64_t first, uint64_t count);
/* After the compare-exchange that ended it [mapping.S3]. */
void space_ended(struct space *space, uint32_t slot);
/* Give back a hold. Takes limbo.lock if it was the last of an unregistered mapping. */
void space_drop_hold(struct space *space, uint32_t slot);
/* The same under the lock, where nobody may be called: space_leave puts what the owner is owed. */
void space_drop_hold_inside(struct space *space, uint32_t slot);
void space_owe(struct space *space, struct owner *owner);
/* Nobody has it, and what of it is still in nodes comes out: into the limbo. */
void space_bury(struct space *space, uint32_t slot);

/* Without the lock, after -ENOSPC or -ENOMEM: true if something was given back since, so that it is worth another try. */
bool space_make_room(struct space *space);

/* The cache (cache.c). Under the lock. */
bool cache_take(struct space *space, const struct request *request, uint32_t to);
bool cache_keep(struct space *space, uint32_t slot); /* false: it does not belong there */
void cache_drop(struct space *space, uint32_t slot);
void cache_shrink(struct space *space, uint64_t bytes); /* until no more than that are in it */

/* A list page of the wire format into a private copy (wire.c). */
int wire_read(struct space *space, uint64_t list, struct request *request);

#endif
