/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Looking for free runs inside one chunk of a buddy's bitmap, over a snapshot of its cache line. */
#ifndef BUDDY_SCAN_H
#define BUDDY_SCAN_H

#include "buddy/bitmap.h"

/*
 * What a request of `count` finds in a chunk. A guess: nothing is claimed, and others may be at work.
 * Runs are measured inside the chunk, but the one that reaches its end may serve with what it has in the next chunk.
 */
struct scan {
	bool found;
	size_t start; /* of the smallest sufficient run, the lowest of equals */
	size_t length; /* of that run, inside the chunk */
	size_t longest; /* run of the chunk */
	size_t remaining; /* what `longest` would be once the request is served there */
};

void scan_best_fit(bitmap_word *map, size_t chunk, size_t chunks, size_t count, struct scan *out);

/*
 * The length of the longest run that starts in the chunk, by strict loads, measured into the next chunk, no further
 * (bound.h [buddy.D1]). A run that began in an earlier chunk counts from this chunk's first granule on.
 */
size_t scan_longest(bitmap_word *map, size_t chunk, size_t chunks);

#endif
