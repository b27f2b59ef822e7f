/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_RANGE_H
#define MAPPING_RANGE_H

#include <isthmus/range.h>

#include "space/space.h"

/* What place() is for other kinds: reserves addresses; nothing is accessible yet. */
int range_reserve(struct space *space, uint32_t slot, unsigned flags);
/* Its pages out of their nodes, some of them, as page_tree_withdraw (range.c). */
void range_withdraw(struct space *space, uint32_t slot, uint32_t *budget);

/* As the functions of isthmus/range.h. */
int space_range_reserve(struct space *space, uint64_t pages, uint32_t owner, uint64_t cookie, unsigned flags,
                        struct ist_mapping *out);
int space_range_map(struct space *space, const struct ist_mapping *range, uint64_t first,
                    const uint64_t *pages, uint64_t count);
int space_range_unmap(struct space *space, const struct ist_mapping *range, uint64_t first, uint64_t count);

#endif
