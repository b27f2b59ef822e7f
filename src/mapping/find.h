/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_FIND_H
#define MAPPING_FIND_H

#include "space/space.h"

/*
 * Lookups by address (find.c), in a read section. One byte at least, and no wrap. `of`: only what this owner has.
 */
struct found {
	uint32_t slot;
	uint64_t to;
};
bool find_by_paddr(struct space *space, uint64_t paddr, uint64_t len, const struct owner *of,
                   struct found *out);
/* The same, for who wants but the address, in whatever section. */
bool translate_paddr(struct space *space, uint64_t paddr, uint64_t len, uint64_t *to);
bool translate_vaddr(struct space *space, uint64_t vaddr, uint64_t len, uint64_t *to);
/* Whether an owner's mappings are found, by a lookup that read `hiding` when it began. */
bool owner_is_shown(struct space *space, uint32_t number, uint64_t hiding);

#endif
