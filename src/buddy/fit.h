/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which chunk fits a request best: the one whose longest free run is the smallest that suffices. Using up such runs
 * keeps the longer ones whole, whole chunks most of all.
 *
 * Everything in here is an estimate, written with relaxed operations by whoever last worked on a chunk. A wrong one
 * costs a look at the wrong chunk, or a fit that is not the best; it can neither hide a run (the bounds find what
 * this does not, bound.h) nor hand one out (only the bitmap can). So there is nothing to order and nothing to prove.
 *
 * A byte pair a chunk holds its longest run, measured inside the chunk. Lengths fall into classes: each its own up to
 * 16, then eight to a doubling. For every class a set of chunks, with a bit for each 64 above it, and a word of
 * the classes that have any. A chunk enters the set of its class at once, and leaves an old one only when a search
 * meets it there: with lengths that come and go, no shared word is written.
 * All zeroes means that every chunk is free.
 */
#ifndef BUDDY_FIT_H
#define BUDDY_FIT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct fit_map {
	size_t chunks, words, summaries;
	_Atomic uint16_t *missing; /* of each chunk: its granules less its longest run */
	_Atomic uint64_t *present; /* [words][class]: a bit a chunk */
	_Atomic uint64_t *summary; /* [class][summaries]: a bit a word */
	_Atomic uint64_t classes; /* a bit a class */
};

/* Bytes of zeroed memory, aligned to CACHE_LINE, for `chunks` >= 1. */
size_t fit_bytes(size_t chunks);
void fit_init(struct fit_map *map, void *zeroed_memory, size_t chunks);

/* The longest run of the chunk, by the last note of it. */
size_t fit_longest(const struct fit_map *map, size_t chunk);

/* Take note of the longest run of a chunk. */
void fit_note(struct fit_map *map, size_t chunk, size_t longest);

/*
 * A chunk that probably has a run of `count` >= 1, with no much longer one than needed; FIT_NONE if none is known. Among
 * chunks that fit alike, it is the first from `near` on, a place between 0 (the start of the map) and 2^32 (its end):
 * CPUs that begin at places of their own seldom write to the same lines.
 */
#define FIT_NONE SIZE_MAX
size_t fit_find(struct fit_map *map, size_t count, uint32_t near);

#endif
