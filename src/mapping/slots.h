/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The slots that records of mappings lie in: from owner to owner, and from one life to the next. */
#ifndef MAPPING_SLOTS_H
#define MAPPING_SLOTS_H

#include "space/space.h"

/* An unused slot, under the owner's lock; 0: no memory. */
uint32_t space_take_slot(struct space *space, struct owner *owner);
/* All that an owner has of them, when he is gone. */
void space_give_slots(struct space *space, struct owner *owner);

#endif
