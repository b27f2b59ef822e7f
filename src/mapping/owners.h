/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Which owners there are: how they come, what there is to know of them, and how their records are used again. */
#ifndef MAPPING_OWNERS_H
#define MAPPING_OWNERS_H

#include "space/space.h"

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

#endif
