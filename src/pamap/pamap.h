/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The PA map: which range of pages lies where on the other side. One instance maps physical to virtual addresses,
 * another one the other way round. Granularity: pages of 4 KiB, whatever the host's; who needs exact bounds inside a
 * page keeps them behind the handle.
 *
 * Mappings may overlap. A lookup answers with the oldest mapping that covers all of the range asked for (of one
 * owner, if it asks for that), whatever else covers parts of it; when that one goes, with the next oldest.
 *
 * Guarantees
 *   [pamap.A1] Lookups are wait-free: a number of steps bounded by the height of the tree and the number of mappings of
 *        one page, no retry, no store but the read section's own. They never meet a lock (a thread's first section
 *        registers it, see rcu/rcu.h; a map that was never written needs no section).
 *   [pamap.A2] Updates are one after the other (a mutex a map) and never wait for readers. Each page changes at one instant,
 *        from all that covered it before to all that covers it after: its linearization point is the store of the
 *        pointer to the new leaf, of the word of one page in a block, or of an emptied word. A mapping of which all
 *        pages lie in one leaf (or are one page) appears, goes and is replaced as a whole at one instant; others page
 *        by page, from the lowest up. A page that is mapped before and after is mapped in between.
 *   [pamap.A3] An update that fails has changed nothing.
 *   [pamap.A4] What a lookup returned is about the moment of the lookup. Inside a read section what the value names is kept
 *        by whoever waits for readers (rcu_wait, rcu_defer) between pamap_remove and its release.
 *   [pamap.A5] A thread that stops in a lookup holds back reclamation. Memory that waits for readers is bounded by the
 *        backlog limit plus what one update replaces; at the limit updates wait 100 ms, then fail with -EAGAIN.
 *        Removal of a mapping of one page or leaf that overlaps no other takes nothing from the backlog, and works on.
 *        A thread that stops in an update holds the map's mutex: updates are control path; readers do not notice.
 *
 * One writer at a time is enough: an insert or remove at a million mappings costs a few hundred nanoseconds, half of
 * it cache misses, against more than a microsecond for the system call that made the mapping (see bench/run pamap).
 */
#ifndef PAMAP_PAMAP_H
#define PAMAP_PAMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAMAP_PAGE_SHIFT 12u
#define PAMAP_PAGE_SIZE (UINT64_C(1) << PAMAP_PAGE_SHIFT)
#define PAMAP_PAGES_MAX (UINT64_C(1) << 40) /* of one mapping: 4 PiB, all that an x86-64 can address */
#define PAMAP_OVERLAP_MAX 1024u /* mappings of one page */

struct pamap;

/* A mapping: pages [page, page + pages) lie at [to, to + pages) on the other side (numbers of pages, not addresses). */
struct pamap_entry {
	uint64_t page, pages, to;
	uint32_t handle; /* whatever the caller wants to find; below 2^24 costs no extra memory */
	uint16_t owner;
	uint8_t attributes;
};

/* What a lookup finds. */
struct pamap_value {
	uint64_t to; /* address on the other side of the first byte looked up */
	uint32_t handle;
	uint16_t owner;
	uint8_t attributes;
	bool found;
};

struct pamap_stats {
	uint64_t mappings;
	uint64_t bytes; /* of bookkeeping, with what waits for readers and what is kept for reuse */
	uint64_t backlog_bytes; /* of it, waiting for readers, or until it is worth waiting for them */
	uint64_t backlog_limit;
	uint64_t refused; /* updates that failed with -EAGAIN */
};

/* Control path. -ENOMEM. A map that is destroyed must not be in use; waits for reclamation that is under way. */
int pamap_create(struct pamap **out);
void pamap_destroy(struct pamap *map);

#ifdef ISTHMUS_TEST_HOOKS
/* In bytes; 64 MiB at first. */
void pamap_set_backlog_limit(struct pamap *map, uint64_t bytes);
#endif

/*
 * Updates. Control path: all may block on the mutex. All return 0, or
 *   -EINVAL   no pages, or a range past the top of the 64-bit address space on either side;
 *   -EFBIG    more than PAMAP_PAGES_MAX pages;
 *   -ENOMEM   no memory for bookkeeping;
 *   -EAGAIN   too much waits for readers [pamap.A5];
 *   -EDEADLK  called inside a read section;
 * and what stands beside them.
 */

/* Overlap with others is allowed, also with an equal one. */
#define PAMAP_EXCLUSIVE 1u /* -EEXIST if any page is mapped already */
/* -EBUSY: the owner is being removed; -EMLINK: more than PAMAP_OVERLAP_MAX mappings of a page. */
int pamap_insert(struct pamap *map, const struct pamap_entry *entry, unsigned flags);
/* Remove the (oldest) mapping that is equal in every member. -ENOENT: none is. Readers may still be using it. */
int pamap_remove(struct pamap *map, const struct pamap_entry *entry);
/* Put `with` in the place, and age, of the oldest mapping equal to `entry`; same page and pages, or -EINVAL. -ENOENT */
int pamap_replace(struct pamap *map, const struct pamap_entry *entry, const struct pamap_entry *with);

/*
 * Remove all mappings of an owner: hide makes them invisible at once (its linearization point is one store), to every
 * lookup that begins after it returned; reap then removes some of them and returns 1 while there are more, 0 when all
 * are gone and no reader can have one any more: then the owner may have mappings again. Each call of reap visits at
 * most `budget` leaves or blocks and holds the mutex for no longer; the last one waits for readers. It reads the whole
 * map up to the owner's last mapping: whoever has a list of few mappings removes them one by one for less.
 * hide: -EBUSY if it is hidden. reap: -ENOENT if it is not.
 */
struct pamap_reap {
	uint16_t owner;
	uint64_t at; /* where the next step begins */
};

int pamap_owner_hide(struct pamap *map, uint16_t owner, struct pamap_reap *out);
int pamap_owner_reap(struct pamap *map, struct pamap_reap *reap, unsigned budget);
/* In the place of reap, for who has removed all mappings of a hidden owner himself and a grace period ago. */
void pamap_owner_show(struct pamap *map, uint16_t owner);

/* Whether [at, at + len) lies in a mapping, and where. len is not 0, and the range does not wrap. Wait-free. */
bool pamap_lookup(struct pamap *map, uint64_t at, uint64_t len, struct pamap_value *out);
bool pamap_lookup_owner(struct pamap *map, uint16_t owner, uint64_t at, uint64_t len,
                        struct pamap_value *out);
/* The same, for who wants only the address: touches one cache line less. */
bool pamap_translate(struct pamap *map, uint64_t at, uint64_t len, uint64_t *to);
/* The same for `count` single bytes; overlaps the cache misses. Returns how many were found. */
size_t pamap_lookup_many(struct pamap *map, const uint64_t *at, size_t count, struct pamap_value *out);

/*
 * Every visible mapping that begins in pages [first, last], lowest page first, oldest first among those of one page;
 * each call of `visit` inside one read section, until one returns false. Mappings that come or go meanwhile may or may
 * not be visited; every other one is, once.
 */
typedef bool pamap_visit(void *context, const struct pamap_entry *entry);
void pamap_for_each(struct pamap *map, uint64_t first, uint64_t last, pamap_visit *visit, void *context);
/* The oldest of those that begin at the first such page. */
bool pamap_next(struct pamap *map, uint64_t first, struct pamap_entry *out);

void pamap_get_stats(struct pamap *map, struct pamap_stats *out);

#endif
