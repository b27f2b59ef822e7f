/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_UNREGISTER_H
#define MAPPING_UNREGISTER_H

#include "space/space.h"

/*
 * End a mapping. Under space.lock, without its owner's, which it takes. try: -EBUSY if it is referenced. After success *last says whether
 * it has gone into the limbo, the cache or to rest (reclaim/); otherwise whoever has the last reference will put it there.
 */
int space_end(struct space *space, uint32_t slot, bool try, bool *last);
/* The same of an owner who is being destroyed, in steps: *budget is what is left of so many stretches. */
void space_end_some(struct space *space, uint32_t slot, uint32_t *budget);
/* Errors of ist_mapping_unregister_one. Takes the lock. */
int space_unregister_handle(struct space *space, const struct ist_mapping *handle, enum mapping_kind kind,
                            unsigned flags);
/* After the compare-exchange that ended it [space.S3]. */
void space_ended(struct space *space, uint32_t slot);
/* Give back a hold. Takes limbo.lock if it was the last of an unregistered mapping. */
void space_drop_hold(struct space *space, uint32_t slot);
/* The same under the lock, where nobody may be called: space_leave puts what the owner is owed. */
void space_drop_hold_inside(struct space *space, uint32_t slot);
void space_owe(struct space *space, struct owner *owner);
/* Nobody has it, and what of it is still in nodes comes out: into the limbo. */
void space_bury(struct space *space, uint32_t slot);

/* As ist_mapping_unregister, ist_mapping_flush and ist_mapping_drain. */
int space_unregister(struct space *space, uint32_t owner, uint64_t cookie, unsigned flags);
int space_flush(struct space *space);
int space_drain(struct space *space);

#endif
