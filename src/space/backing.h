/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Backings: records in slots, found by physical and by virtual address in the PA maps, which have the slot's number as their handle.
 * They are looked at in a read section, or under space.lock. A record is used again a grace period after it left the maps.
 */
#ifndef SPACE_BACKING_H
#define SPACE_BACKING_H

#include <isthmus/backing.h>

#include <stdatomic.h>
#include <stdint.h>

#include "base/fence.h"
#include "pamap/pamap.h"
#include "space/nodes.h"
#include "table/slots.h"

#define BACKING_MAX ((UINT32_C(1) << 24) - 1) /* of them: what pamap.h has room for, and struct segment */

struct backing {
	uint64_t page, pages;
	char *view; /* where its pages are mapped, in their order; null: nowhere as a whole */
	uint32_t number;
	uint32_t attributes;
	int fd; /* ours; -1: memory of the caller's */
	bool ours; /* the view */
	bool large; /* a file of larger pages than the host's: no piece of it can be mapped */
	atomic_bool leaving; /* it is being removed: nothing new */
	/* Under space.lock: */
	bool listed; /* in the maps */
	atomic_bool seams_known; /* with release: from then on they are constant */
	uint64_t *
	        seam; /* of the caller's memory (backing/seams.c): addresses where another file begins, ascending */
	size_t seams;
	uint64_t offset;
	uint32_t next; /* of unused or abandoned ones */
	_Atomic uint64_t uses; /* who reads a list there, or maps its pages, without a lock */
	struct page_tree tree;
};

struct backings {
	struct slots slots;
	uint32_t unused;
	uint32_t
	        abandoned; /* adding failed, and what had been done could not be undone yet (backing/backings.c) */
	uint64_t count; /* in the maps, but for the abandoned */
};

static inline struct backing *backing_at(struct backings *backings, uint32_t number)
{
	return slots_at(&backings->slots, number);
}

static inline bool backing_is_leaving(const struct backing *backing)
{
	return atomic_load_explicit(&backing->leaving, memory_order_relaxed);
}

static inline bool backing_needs_lock(const struct backing *backing)
{
	return backing->view && !backing->ours &&
	       !atomic_load_explicit(&backing->seams_known, memory_order_acquire);
}

/* In a read section: keep it in the maps until it is unpinned. False: it is being removed. */
static inline bool backing_pin(struct backing *backing)
{
	atomic_fetch_add_explicit(&backing->uses, 1, memory_order_relaxed);
	fence_full(); /* pairs with that of backings_are_used in backing/backings.c, between `leaving` and the reading of `uses` */
	if (!backing_is_leaving(backing))
		return true;
	atomic_fetch_sub_explicit(&backing->uses, 1, memory_order_release);
	return false;
}

static inline void backing_unpin(struct backing *backing)
{
	atomic_fetch_sub_explicit(&backing->uses, 1, memory_order_release); /* finish_removal */
}

#endif
