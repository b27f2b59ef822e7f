/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_PLACE_H
#define MAPPING_PLACE_H

#include "mapping/request.h"
#include "space/space.h"

/*
 * What a request comes to (place.c), once its pages were checked: how many segments, and how they are to be mapped. Without the
 * lock only in a read section, and where nothing is protected.
 */
struct placing {
	uint64_t segments;
	uint64_t protections; /* space.protections_changed as it was before the look [space.E1] */
	uint8_t attributes;
	bool in_views;
	bool needs_lock; /* its seams are not known yet (backing/seams.h): they are found out under space.lock */
};
/* In a read section or under the lock. */
int place_check(struct space *space, const struct request *request, struct placing *plan);
/* Write the segments: they have room in the mapping. */
void place_segments(struct space *space, struct mapping *mapping, const struct request *request);
/* The two of them, and room for them. -ENOMEM */
int space_make_segments(struct space *space, uint32_t slot, const struct request *request,
                        const struct placing *plan);
/* Make pages accessible, at mapping->place. The segments are there, and their backings stay: under the lock, or pinned. */
int place(struct space *space, uint32_t slot, const struct request *request, const struct placing *plan);
/* One page, at an exact place in the window. */
int place_page(struct space *space, void *where, uint64_t page, bool writable);

#endif
