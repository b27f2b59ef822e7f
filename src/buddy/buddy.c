/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/buddy.h"

#include "base/mutant.h"
#include "buddy/scan.h"

/* Mutants: what a test must find. */
#define MUTANT_SILENT_ROLLBACK 104 /* a rollback raises no bounds */
#define MUTANT_NEVER_DISARM 105 /* a release does not disarm the sequence */
#define MUTANT_EXPOSE_ALONE 106 /* a release raises by what it released, not by the run around it */

/*
 * The change sequence, for verdicts that the bounds cannot give (aligned and long requests). {version, armed}.
 *   [buddy.W1] Who is about to answer "exhausted" arms the sequence (or finds it armed), looks through everything once more
 *        and answers only if the word is still the same. Who releases clears its bits, then loads the sequence, and
 *        disarms it if it is armed; this disarming is part of a complete release. Clearing, both loads, arming
 *        and the looks are seq_cst: a release that found the sequence unarmed cleared its bits before the look.
 *   So at the instant of the last load (the linearization point of the verdict) a free run would consist of
 *   granules that were all free through the whole look, and the look would have found it.
 */
#define CHANGES_ARMED UINT64_C(1)
#define CHANGES_VERSION_ONE UINT64_C(2)

static size_t chunk_count(size_t granules)
{
	return bits_ceil_div(granules, BUDDY_CHUNK);
}

static size_t map_bytes(size_t granules)
{
	return chunk_count(granules) * (BUDDY_CHUNK / 8);
}

size_t buddy_bytes(size_t granules)
{
	return map_bytes(granules) + bound_bytes(chunk_count(granules)) + fit_bytes(chunk_count(granules));
}

void buddy_init(struct buddy *buddy, void *zeroed_memory, size_t granules)
{
	size_t chunks = chunk_count(granules), padding = chunks * BUDDY_CHUNK - granules;
	char *at = zeroed_memory;

	buddy->map = (bitmap_word *)(void *)at;
	buddy->granules = granules;
	atomic_init(&buddy->changes, 0);
	at += map_bytes(granules);
	bound_init(&buddy->bounds, at, chunks);
	at += bound_bytes(chunks);
	fit_init(&buddy->fits, at, chunks);
	if (padding > 0) {
		bitmap_claim(buddy->map, granules, padding);
		fit_note(&buddy->fits, chunks - 1, BUDDY_CHUNK - padding);
	}
}

static size_t look_at_chunk(void *context, size_t chunk)
{
	const struct buddy *buddy = context;

	return scan_longest(buddy->map, chunk, chunk_count(buddy->granules));
}

static void changes_disarm(struct buddy *buddy)
{
	uint64_t seen = atomic_load_explicit(&buddy->changes, memory_order_seq_cst); /* [buddy.W1] */

	/* One try is enough: if it fails, somebody disarmed it after our bits were cleared. */
	if (seen & CHANGES_ARMED && !IS_MUTANT(MUTANT_NEVER_DISARM))
		atomic_compare_exchange_strong_explicit(&buddy->changes, &seen,
		                                        (seen + CHANGES_VERSION_ONE) & ~CHANGES_ARMED,
		                                        memory_order_seq_cst, memory_order_seq_cst);
}

static uint64_t changes_arm(struct buddy *buddy)
{
	uint64_t seen = atomic_load_explicit(&buddy->changes, memory_order_seq_cst); /* [buddy.W1] */

	while (!(seen & CHANGES_ARMED)) {
		if (atomic_compare_exchange_weak_explicit(&buddy->changes, &seen, seen | CHANGES_ARMED,
		                                          memory_order_seq_cst, memory_order_seq_cst))
			return seen | CHANGES_ARMED;
	}
	return seen;
}

/* The first `length` granules of `chunk` are free: what does that add to a run at the end of the chunk below? */
static void expose_below(struct buddy *buddy, size_t chunk, size_t length)
{
	size_t floor = chunk * BUDDY_CHUNK, bound = bound_of(&buddy->bounds, chunk - 1), tail;

	length = bits_min(length, BUDDY_CHUNK);
	if (bound >= bits_min(BUDDY_CHUNK + length, BOUND_MAX)) {
		/* High enough whatever the tail is; but see that it is so all the way up. */
		bound_raise(&buddy->bounds, chunk - 1, bound);
		return;
	}
	tail = bitmap_free_down(buddy->map, floor, floor - BUDDY_CHUNK);
	if (tail < floor)
		bound_raise(&buddy->bounds, chunk - 1, floor + length - tail);
}

/*
 * After [from, end) was cleared, of which some is in `chunk`: raise the bound of the free run that starts there, and of one chunk
 * below, if none of that was cleared. What has been cleared counts as free; if somebody has taken it since, the bound is
 * higher than it need be, and whoever finds out lowers it.
 */
static void expose_in_chunk(struct buddy *buddy, size_t chunk, size_t from, size_t end)
{
	size_t floor = chunk * BUDDY_CHUNK, top = floor + BUDDY_CHUNK;
	size_t limit = chunk + 1 < chunk_count(buddy->granules) ? top + BUDDY_CHUNK : top;
	size_t low = bits_max(from, floor), inside;
	size_t high = bitmap_next_used(buddy->map, bits_min(end, limit), limit);

	if (!IS_MUTANT(MUTANT_EXPOSE_ALONE))
		low = bitmap_free_down(buddy->map, low, floor);
	inside = bits_min(high, top) - low;
	bound_raise(&buddy->bounds, chunk, high - low);
	if (inside > fit_longest(&buddy->fits, chunk))
		fit_note(&buddy->fits, chunk, inside);
	if (low == floor && chunk > 0 && from >= floor)
		expose_below(buddy, chunk, high - floor);
}

void buddy_free(struct buddy *buddy, size_t start, size_t count)
{
	size_t end = start + count;

	bitmap_release(buddy->map, start, count);
	for (size_t chunk = start / BUDDY_CHUNK; chunk * BUDDY_CHUNK < end; chunk++)
		expose_in_chunk(buddy, chunk, start, end);
	changes_disarm(buddy);
}

static bool claim(struct buddy *buddy, size_t start, size_t count)
{
	size_t claimed = bitmap_claim(buddy->map, start, count);

	if (claimed == count)
		return true;
	if (claimed > 0 && IS_MUTANT(MUTANT_SILENT_ROLLBACK))
		bitmap_release(buddy->map, start, claimed);
	else if (claimed > 0)
		buddy_free(buddy, start, claimed); /* a rollback is a release like any other [buddy.G2] */
	return false;
}

/*
 * Where in the run that was found. The low end, except for a run that began in the chunk below: there the high end,
 * so that the rest stays in one piece; or, if it fills this chunk, its true beginning, which uses up what the chunk
 * below has left.
 */
static size_t place_in_run(struct buddy *buddy, size_t chunk, size_t count, const struct scan *scan)
{
	size_t floor = chunk * BUDDY_CHUNK;

	if (scan->start != floor || chunk == 0 || bitmap_next_used(buddy->map, floor - 1, floor) < floor)
		return scan->start;
	if (count <= scan->length && scan->length < BUDDY_CHUNK)
		return floor + scan->length - count;
	return bitmap_free_down(buddy->map, floor, floor - BUDDY_CHUNK);
}

/* Try to serve a short request from one chunk; what was seen there is noted. */
static bool alloc_in_chunk(struct buddy *buddy, size_t chunk, size_t count, size_t *start)
{
	struct scan scan;
	size_t place;

	do {
		scan_best_fit(buddy->map, chunk, chunk_count(buddy->granules), count, &scan);
		if (!scan.found) {
			fit_note(&buddy->fits, chunk, scan.longest);
			return false;
		}
		place = place_in_run(buddy, chunk, count, &scan);
	} while (!claim(buddy, place, count)); /* somebody else succeeded there: look again */
	fit_note(&buddy->fits, chunk, scan.remaining);
	*start = place;
	return true;
}

/* How often an estimate may prove wrong before the bounds are asked. Models of the bounds alone take 0. */
#ifndef BUDDY_FIT_TRIES
#define BUDDY_FIT_TRIES 4
#endif

/* Up to a chunk, unaligned: the estimates lead to a good chunk; if not, the bounds lead to one or prove that there is none. */
static int alloc_short(struct buddy *buddy, size_t count, uint32_t near, size_t *start)
{
	for (int i = 0; i < BUDDY_FIT_TRIES; i++) {
		size_t chunk = fit_find(&buddy->fits, count, near);

		if (chunk == FIT_NONE)
			break;
		if (alloc_in_chunk(buddy, chunk, count, start))
			return 0;
	}
	for (;;) {
		size_t chunk = bound_find(&buddy->bounds, 0, count);

		if (chunk == BOUND_NONE)
			return -ENOSPC;
		if (alloc_in_chunk(buddy, chunk, count, start))
			return 0;
		bound_settle(&buddy->bounds, chunk, look_at_chunk, buddy);
	}
}

/* The lowest acceptable run of `count` that starts in a chunk's free granules from `at` up to the chunk's end. */
static bool find_in_chunk(struct buddy *buddy, size_t at, size_t count, struct buddy_alignment alignment,
                          size_t *start)
{
	size_t top = (at / BUDDY_CHUNK + 1) * BUDDY_CHUNK;

	while ((at = bitmap_next_free(buddy->map, at, top)) < top) {
		size_t aligned = bits_round_up(at + alignment.phase, alignment.align) - alignment.phase;

		if (aligned >= buddy->granules || count > buddy->granules - aligned)
			return false;
		at = bitmap_next_used(buddy->map, at, aligned + count);
		if (at == aligned + count) {
			*start = aligned;
			return true;
		}
	}
	return false;
}

/*
 * One pass from end to end. A run of `count` in chunk c shows in c's bound: whole if it is short, and by at least
 * one granule more than a chunk if it is long.
 */
static bool alloc_pass(struct buddy *buddy, size_t count, struct buddy_alignment alignment, size_t *start)
{
	size_t telling = bits_min(count, BUDDY_CHUNK + 1);
	size_t chunk = bound_find(&buddy->bounds, 0, telling);

	while (chunk != BOUND_NONE) {
		size_t found, at = chunk * BUDDY_CHUNK;

		while (find_in_chunk(buddy, at, count, alignment, &found)) {
			if (claim(buddy, found, count)) {
				*start = found;
				return true;
			}
			/* Somebody took part of it: go on behind that granule, if it is still taken. */
			at = bitmap_next_used(buddy->map, found, found + count);
			if (at / BUDDY_CHUNK != chunk)
				break;
		}
		bound_settle(&buddy->bounds, chunk, look_at_chunk, buddy);
		chunk = bound_find(&buddy->bounds, chunk + 1, telling);
	}
	return false;
}

static int alloc_long(struct buddy *buddy, size_t count, struct buddy_alignment alignment, size_t *start)
{
	if (alloc_pass(buddy, count, alignment, start))
		return 0;
	for (;;) {
		uint64_t armed = changes_arm(buddy); /* [buddy.W1] */

		if (alloc_pass(buddy, count, alignment, start))
			return 0;
		if (atomic_load_explicit(&buddy->changes, memory_order_seq_cst) == armed)
			return -ENOSPC;
	}
}

int buddy_alloc(struct buddy *buddy, size_t count, struct buddy_alignment alignment, size_t *start)
{
	if (count == 0 || !bits_is_power_of_two(alignment.align))
		return -EINVAL;
	if (count > buddy->granules)
		return -ENOSPC;
	if (count <= BUDDY_CHUNK && alignment.align == 1)
		return alloc_short(buddy, count, 0, start);
	return alloc_long(buddy, count, alignment, start);
}

int buddy_alloc_near(struct buddy *buddy, size_t count, uint32_t near, size_t *start)
{
	if (count - 1 >= BUDDY_CHUNK || count > buddy->granules)
		return buddy_alloc(buddy, count, BUDDY_ANYWHERE, start);
	return alloc_short(buddy, count, near, start);
}

int buddy_alloc_at(struct buddy *buddy, size_t start, size_t count)
{
	if (count == 0 || start >= buddy->granules || count > buddy->granules - start)
		return -EINVAL;
	return claim(buddy, start, count) ? 0 : -EBUSY;
}

bool buddy_next_free_run(struct buddy *buddy, size_t from, size_t *start, size_t *count)
{
	size_t end = buddy->granules;

	*start = bitmap_next_free(buddy->map, from, end);
	*count = bitmap_next_used(buddy->map, *start, end) - *start;
	return *start < end;
}

size_t buddy_largest(struct buddy *buddy)
{
	size_t start = 0, count = 0, largest = 0;

	while (buddy_next_free_run(buddy, start + count, &start, &count))
		largest = bits_max(largest, count);
	return largest;
}
