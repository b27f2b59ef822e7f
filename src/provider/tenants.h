/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which regions an owner may have memory in, so that his end costs what he has: a stay for each owner and region, from the first
 * allocation until the region is closed or the owner's end has been there. All under the provider's lock.
 */
#ifndef PROVIDER_TENANTS_H
#define PROVIDER_TENANTS_H

#include <stdint.h>

#include "table/index.h"
#include "table/slots.h"

struct grown_region;

struct stay {
	uint32_t owner;
	uint32_t next_here, before_here; /* of the region; next: of unused ones */
	uint32_t earlier, later; /* of the owner */
	uint64_t serial; /* in the order in which they began */
	uint64_t page; /* how far the owner's end has come */
	struct grown_region *region;
};

/* An owner with stays. */
struct tenant {
	uint32_t owner;
	uint32_t first, last; /* of his stays, by serial */
	uint32_t next_unused;
};

struct tenants {
	struct slots stays, owners;
	struct index by_region, by_owner; /* of stays; of tenants */
	uint32_t unused_stay, unused_owner;
	uint64_t serial;
};

void tenants_init(struct tenants *tenants);
void tenants_drop(struct tenants *tenants);

/* The owner is about to get memory there. -ENOMEM, and nothing has changed. */
int tenants_note(struct tenants *tenants, uint32_t owner, struct grown_region *region);
/* The region is closed. */
void tenants_forget(struct tenants *tenants, struct grown_region *region);

/* The owner's earliest stay, if it is no later than `until`; null: none. Then, when nothing of his is there any more: */
struct stay *tenants_first(struct tenants *tenants, uint32_t owner, uint64_t until);
void tenants_end(struct tenants *tenants, struct stay *stay);

#endif
