/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Looking for free runs inside one chunk of a buddy's bitmap, over a snapshot of its cache line. */
#ifndef BUDDY_SCAN_H
#define BUDDY_SCAN_H

#include "buddy/bitmap.h"

/*
 * A run belongs to the chunk that it starts in and is measured into the next chunk, no further. A run that began
 * in an earlier chunk counts from this chunk's first granule on.
 */

/* The start of the smallest run of at least `count` in the chunk, the lowest of equals. A guess: nothing is claimed. */
bool scan_best_fit(bitmap_word *map, size_t chunk, size_t chunks, size_t count, size_t *start);

/* The length of the longest run of the chunk, by strict loads (bound.h [D1]). */
size_t scan_longest(bitmap_word *map, size_t chunk, size_t chunks);

#endif
