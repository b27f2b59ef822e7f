/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef RECLAIM_CACHE_H
#define RECLAIM_CACHE_H

#include "space/space.h"

/* All under space.lock. may_be_there: what the slot is for has no guard pages, and is no range. */
bool cache_take(struct space *space, bool may_be_there, uint32_t to);
bool cache_keep(struct space *space, uint32_t slot); /* false: it does not belong there */
void cache_drop(struct space *space, uint32_t slot);
void cache_shrink(struct space *space, uint64_t bytes); /* until no more than that are in it */

#endif
