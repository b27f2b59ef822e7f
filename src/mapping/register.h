/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_REGISTER_H
#define MAPPING_REGISTER_H

#include "mapping/request.h"
#include "space/space.h"

/* *slot: a mapping that is LIVE, of the given kind. Under space.lock. */
int space_register(struct space *space, const struct request *request, uint32_t *slot);
/* The same without the lock, and once more where there is room to be made. */
int space_register_and_describe(struct space *space, const struct request *request, struct ist_mapping *out);

/* As ist_mapping_register and ist_mapping_register_list. */
int space_register_pages(struct space *space, const struct ist_registration *registration,
                         struct ist_mapping *out);
int space_register_list(struct space *space, uint64_t list, const struct ist_registration *registration,
                        struct ist_mapping *out);

/* Without the lock, after -ENOSPC or -ENOMEM: true if something was given back since, so that it is worth another try. */
bool space_make_room(struct space *space);

#endif
