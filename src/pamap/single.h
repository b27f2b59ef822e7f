/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Updates of a mapping that is one packed word: no overlap, one leaf or block. Most updates are. */
#ifndef PAMAP_SINGLE_H
#define PAMAP_SINGLE_H

#include "pamap/map.h"

/* What these return beside errors: done, or not such a case (nothing has changed: see plan.h). */
enum { SINGLE_DONE = 0, SINGLE_NOT = 1 };

int single_insert(struct pamap *map, const struct pamap_entry *entry);
/* Needs no memory. */
int single_remove(struct pamap *map, const struct pamap_entry *entry);

#endif
