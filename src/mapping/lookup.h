/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Lookups and references: no lock, no waiting, but for the last put of a mapping that was unregistered meanwhile. */
#ifndef MAPPING_LOOKUP_H
#define MAPPING_LOOKUP_H

#include "space/space.h"

/* A reference to what the handle names, and back (lookup.c). False: it is gone; nobody has one. */
bool space_get(struct space *space, const struct ist_mapping *handle);
bool space_put(struct space *space, const struct ist_mapping *handle);
/* A hold; space_drop_hold gives it back. */
bool space_hold(struct space *space, const struct ist_mapping *handle);

/* As the functions of isthmus/mapping.h. */
int space_find(struct space *space, uint32_t owner, uint64_t cookie, struct ist_mapping *out);
int space_find_get(struct space *space, uint32_t owner, uint64_t cookie, struct ist_mapping *out);
int space_find_paddr(struct space *space, uint64_t paddr, size_t len, struct ist_mapping *out, void **vaddr);
int space_find_paddr_of(struct space *space, uint32_t owner, uint64_t paddr, size_t len,
                        struct ist_mapping *out, void **vaddr);
int space_unguard(struct space *space, const struct ist_mapping *handle);

#endif
