/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/scan.h"

#include "buddy/chunk.h"

#define CHUNK_WORDS (BUDDY_CHUNK / 64)

/* The free granules of a chunk as ones; a zero word behind them ends the last run. */
struct snapshot {
	uint64_t free[CHUNK_WORDS + 1];
};

/* First free granule at or above `at`; BUDDY_CHUNK if none. */
static size_t snapshot_next_free(const struct snapshot *snap, size_t at)
{
	while (at < BUDDY_CHUNK) {
		uint64_t rest = snap->free[at / 64] >> (at % 64);

		if (rest)
			return at + bits_lowest(rest);
		at = (at / 64 + 1) * 64;
	}
	return BUDDY_CHUNK;
}

/* End of the run that the free granule `at` lies in. */
static size_t snapshot_run_end(const struct snapshot *snap, size_t at)
{
	for (;;) {
		uint64_t used = ~snap->free[at / 64] >> (at % 64);

		if (used)
			return at + bits_lowest(used);
		at = (at / 64 + 1) * 64;
	}
}

/* How far a run that reaches the end of the chunk goes on in the next one. */
static size_t continuation(bitmap_word *map, size_t chunk, size_t chunks)
{
	size_t next = (chunk + 1) * BUDDY_CHUNK;

	return chunk + 1 < chunks ? bitmap_next_used(map, next, next + BUDDY_CHUNK) - next : 0;
}

/*
 * Where runs begin and end, in turn. Written without a branch that depends on where that is, but for words with many
 * edges: what a processor guesses wrong costs more than all the rest.
 */
struct edges {
	unsigned count;
	uint16_t at[BUDDY_CHUNK + 4]; /* and room for what is written in advance */
};

static unsigned count_ones(uint64_t word)
{
	word -= word >> 1 & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned)(word * UINT64_C(0x0101010101010101) >> 56);
}

static void find_edges(const struct snapshot *snap, struct edges *edges)
{
	uint64_t before = 0; /* the highest bit of the word below */

	edges->count = 0;
	for (unsigned i = 0; i <= CHUNK_WORDS; i++) {
		uint64_t left = snap->free[i] ^ (snap->free[i] << 1 | before);
		uint16_t *at = &edges->at[edges->count];

		before = snap->free[i] >> 63;
		if (left == 0) /* the rule where little is in use */
			continue;
		edges->count += count_ones(left);
		for (int k = 0; k < 4; k++) {
			/* Of nothing left it is anything; the next word overwrites that. */
			at[k] = (uint16_t)(i * 64 + bits_lowest(left | UINT64_C(1) << 63));
			left &= left - 1;
		}
		for (at += 4; __builtin_expect(left != 0, 0); left &= left - 1)
			*at++ = (uint16_t)(i * 64 + bits_lowest(left));
	}
}

/* A copy of the chunk's words, as free bits. Whether anything is in use. Relaxed: a guess that the claim checks. */
static bool take_snapshot(bitmap_word *map, size_t chunk, struct snapshot *snap)
{
	uint64_t used = 0;

	for (size_t i = 0; i < CHUNK_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&map[chunk * CHUNK_WORDS + i], memory_order_relaxed);

		snap->free[i] = ~word;
		used |= word;
	}
	snap->free[CHUNK_WORDS] = 0;
	return used != 0;
}

/* Of the runs between the edges: the two longest, and the shortest that holds `count`. */
struct runs {
	size_t longest, second;
	size_t best, start; /* its length, SIZE_MAX if there is none, and where it begins in the chunk */
};

static struct runs find_runs(const struct edges *edges, size_t count)
{
	struct runs runs = {.best = SIZE_MAX};

	for (unsigned i = 0; i < edges->count; i += 2) {
		size_t length = edges->at[i + 1] - (size_t)edges->at[i];
		bool better = length >= count && length < runs.best;

		runs.second = bits_max(runs.second, bits_min(length, runs.longest));
		runs.longest = bits_max(runs.longest, length);
		runs.start = better ? edges->at[i] : runs.start;
		runs.best = better ? length : runs.best;
	}
	return runs;
}

void scan_best_fit(bitmap_word *map, size_t chunk, size_t chunks, size_t count, struct scan *out)
{
	size_t first = chunk * BUDDY_CHUNK, last = 0, end = 0;
	struct snapshot snap;
	struct edges edges;
	struct runs runs;

	if (!take_snapshot(map, chunk, &snap)) {
		*out = (struct scan){true, first, BUDDY_CHUNK, BUDDY_CHUNK, BUDDY_CHUNK - count};
		return;
	}
	find_edges(&snap, &edges);
	runs = find_runs(&edges, count);
	out->longest = runs.longest;
	out->found = runs.best != SIZE_MAX;
	if (out->found) {
		out->start = first + runs.start;
		out->length = runs.best;
		out->remaining =
		        runs.best == runs.longest ? bits_max(runs.second, runs.best - count) : runs.longest;
		return;
	}
	/* None lies within the chunk: the last run may be long enough with what follows in the next one. */
	if (edges.count > 0) {
		last = edges.at[edges.count - 2];
		end = edges.at[edges.count - 1];
	}
	if (end == BUDDY_CHUNK && end - last + continuation(map, chunk, chunks) >= count) {
		out->found = true;
		out->start = first + last;
		out->length = end - last;
		out->remaining = end - last == runs.longest ? runs.second : runs.longest;
	}
}

size_t scan_longest(bitmap_word *map, size_t chunk, size_t chunks)
{
	size_t longest = 0, at = 0;
	struct snapshot snap;

	for (size_t i = 0; i < CHUNK_WORDS; i++)
		snap.free[i] = ~atomic_load_explicit(&map[chunk * CHUNK_WORDS + i], memory_order_seq_cst);
	snap.free[CHUNK_WORDS] = 0;

	while ((at = snapshot_next_free(&snap, at)) < BUDDY_CHUNK) {
		size_t end = snapshot_run_end(&snap, at), length = end - at;

		if (end == BUDDY_CHUNK)
			length += continuation(map, chunk, chunks);
		longest = bits_max(longest, length);
		at = end;
	}
	return longest;
}
