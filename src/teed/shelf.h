/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A few buffers that are made beforehand, of sizes that were wanted lately: files in their places in the carve-out, of zeroes, that
 * nobody has had yet. They are marked as what SHM_ALLOC gives, and lack only an id.
 */
#ifndef TEED_SHELF_H
#define TEED_SHELF_H

#include "tee/tee.h"

#define SHELF_MOST 4u
#define SHELF_SIZE_MOST ((uint64_t)64 << 10)

/* One for a request of that many bytes: the caller's. */
bool shelf_take(const struct ist_manager *manager, uint64_t size, struct ready *out);
void shelf_put(const struct ready *ready);
/* Make one more, for the next who wants that many bytes. */
void shelf_fill(struct ist_manager *manager, uint64_t size);
/* When memory runs out: give all back. Whether there was any. */
bool shelf_empty(void);

#endif
