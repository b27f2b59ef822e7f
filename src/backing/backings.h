/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef BACKING_BACKINGS_H
#define BACKING_BACKINGS_H

#include "space/space.h"

/* As the functions of isthmus/backing.h. */
int space_add_backing(struct space *space, const struct ist_backing *from);
int space_remove_backing(struct space *space, uint64_t paddr);
int space_find_whole_backing(struct space *space, uint64_t paddr, struct ist_backing *out);

/* Whether anything of these pages is in use, found or not. Not what has ended: limbo_drain waits for it. */
bool backings_are_used(struct space *space, const struct range *range);
/* What it has, but for its record. */
void backing_empty(struct backing *backing);

#endif
