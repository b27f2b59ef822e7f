/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What there is to know of a mapping, and how it comes to be found, kept and unmapped.
 *
 * A mapping is a record in a slot. It is found by cookie (table/index.h); by physical address, through the PA map, which has the
 * backings, and the tree of the backing's pages (backing/page_tree.h); and by virtual address, through the other map, which has the backings that are
 * mapped as a whole, or the owners of the window's runs (window.h). The record says whether it is alive:
 *
 *   refs = {LIVE 1, ENDED 1, holds 31, references 31}
 *
 * References are what users have; holds are the library's own: of an unregister under way, of ranges that lie in the pages of
 * this one (mapping/mmio.c), of who has it mapped side by side (mapping/contiguous.c), of a range that is being changed. A put takes back a reference and never a hold.
 *
 *   [space.S1] Registration makes everything ready, enters the indexes, and stores LIVE with release last: its linearization
 *        point for lookups by cookie and for references. Lookups by address do not ask for LIVE and see each stretch from
 *        the moment it is in its nodes until it is out; it is accessible by then and until a grace period later.
 *   [space.S2] Unregistering begins with the compare-exchange that clears LIVE and takes a hold: its linearization
 *        point. From then on no reference is given. It leaves the indexes and puts its hold.
 *   [space.S3] A reference is given by a compare-exchange that finds LIVE (acquire: with the record behind it), and put by one with
 *        release. Who brings a mapping without LIVE to 0 references and holds (acquire: after all that others did with it) has ended
 *        it, alone: it goes into the limbo.
 *   [space.S4] A grace period after it came there, what it had mapped is unmapped and the slot may be used again, with the next
 *        generation. So inside a read section a record that an index led to stays the same mapping, its address stays
 *        mapped, and no handle is mistaken (generations have 32 bits; a stale handle is mistaken only for the use of the
 *        same slot 2^32 uses later, at a million a second for one slot after more than an hour of nothing else).
 *   [space.S5] Nothing of ours lies in shared memory; whatever is read there is copied once (mapping/wire.c).
 *
 * A thread that stops:
 *   in a lookup: holds back the limbo, by its read section; nothing else;
 *   with a reference: keeps that mapping's pages, and an owner that is being destroyed keeps its id;
 *   between clearing LIVE and the end of unregister, in register or any other update: it holds the lock of the owner, or of the
 *     space. Lookups, references and translations go on, and see the mapping there or not, page by page;
 *   in the last put, between its compare-exchange and the limbo: the pages of that mapping stay mapped, its owner's counters
 *     stay as they are; nobody waits for it but who unregisters that mapping.
 */
#ifndef SPACE_RECORD_H
#define SPACE_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "space/nodes.h"
#include "space/segment.h"
#include "space/window.h"

#define REFS_LIVE (UINT64_C(1) << 63)
#define REFS_ENDED (UINT64_C(1) << 62)
#define REFS_HOLD (UINT64_C(1) << 31) /* one of them */
#define REFS_COUNT (REFS_HOLD - 1)
#define REFS_ANY (REFS_ENDED - 1) /* references and holds */
#define REFS_HOLDS (REFS_ANY & ~REFS_COUNT)

/* AGAIN: the pages of another one, side by side (mapping/contiguous.c). */
enum mapping_kind { MAPPING_PAGES, MAPPING_MMIO, MAPPING_RANGE, MAPPING_PROVIDED, MAPPING_AGAIN };
/* Where its pages are: nowhere; in a run of the window; in the views of their backings; in the run of another one (mapping/mmio.c). */
enum mapping_place { PLACE_NONE, PLACE_RUN, PLACE_VIEW, PLACE_PARENT };

struct mapping {
	_Atomic uint64_t refs; /* [space.S1] to [space.S3] */
	_Atomic uint32_t generation; /* [space.S4] */
	/* What the slot keeps for its next use: */
	uint32_t room; /* segments, at `many` */
	struct segment *many;
	uint32_t links; /* a list of links, of which `linked` are in use */
	/* Groups of links that went with this mapping: a list, for use again when nobody knows it. */
	uint32_t dead;
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
	atomic_bool held; /* unregistered, but referenced: its links stay [backing.C3] */
	/* Under the lock, and after its end the limbo's: */
	bool cached; /* unregistered, in the cache */
	bool rested; /* ended, and its generation is still to change: reclaim/resting.h */
	bool changing; /* MAPPING_RANGE: pages are leaving, without the lock */
	uint32_t linked;
	uint32_t left, out, out_link; /* links to withdraw, from this segment and link on */
	uint32_t previous, next; /* of the owner's mappings; next: also in the limbo, and of unused ones */
	/*
	 * In the cache. Otherwise older counts how often it was mapped (mapping/mmio.c, mapping/contiguous.c), or is the slot of the first one: of
	 * AGAIN, and constant then. In a slot that nobody has, the next list (mapping/slots.c).
	 */
	uint32_t older, newer;
	uint64_t pages;
	uint32_t stretches; /* as they were asked for: a part of the owner's quota */
	union {
		struct segment one; /* segments == 1 */
		struct {
			/* MAPPING_RANGE: what is in each page, and its link (range_words.h). */
			_Atomic uint64_t *range;
			uint32_t *range_link;
		};
	};
	/* Under the lock. PLACE_RUN: none any more if its count is 0; PLACE_PARENT: first is the slot of the one whose pages these
	 * are (mapping/mmio.c); PLACE_VIEW: it is that of AGAIN, if there is one. */
	struct run run;
};

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

static inline bool mapping_has_run(const struct mapping *mapping)
{
	return mapping->place == PLACE_RUN && mapping->run.count != 0;
}

#endif
