/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The run allocator under two or three threads: what buddy.h promises as [buddy.G1] to [buddy.G3], and bound.h as [buddy.I1]. */
#include <errno.h>
#include <string.h>

#include "buddy/buddy.h"
#include "model.h"

enum { CHUNKS = 9, GRANULES = CHUNKS * BUDDY_CHUNK }; /* three levels of bounds */

static _Alignas(CACHE_LINE) unsigned char memory[4096];
static struct buddy buddy;
static size_t got[MODEL_THREADS];
static int result[MODEL_THREADS];

static void fresh(size_t granules)
{
	memset(memory, 0, sizeof(memory));
	buddy_init(&buddy, memory, granules);
	for (int i = 0; i < MODEL_THREADS; i++)
		result[i] = 1; /* has not run */
}

static bool serves(size_t count)
{
	size_t start;

	if (buddy_alloc(&buddy, count, BUDDY_ANYWHERE, &start))
		return false;
	buddy_free(&buddy, start, count);
	return true;
}

/* All in use; every bound lowered to 0, as a failing request leaves them. */
static void set_up_full(size_t granules)
{
	size_t start;

	fresh(granules);
	MODEL_ASSERT(buddy_alloc(&buddy, granules, BUDDY_ANYWHERE, &start) == 0);
	MODEL_ASSERT(!serves(1));
}

/* 1. Neighbours are freed at once, across a chunk's end, while somebody wants both together and lowers bounds. */
static void merge_set_up(void)
{
	set_up_full(GRANULES);
	buddy_free(&buddy, 3, 1); /* something for the searcher to find and lower */
}

static void merge_free_low(void)
{
	buddy_free(&buddy, BUDDY_CHUNK - 5, 5);
}

static void merge_free_high(void)
{
	buddy_free(&buddy, BUDDY_CHUNK, 5);
}

static void merge_search(void)
{
	result[2] = buddy_alloc(&buddy, 10, BUDDY_ANYWHERE, &got[2]);
}

static void merge_check(void)
{
	if (result[2] == 0)
		MODEL_ASSERT(got[2] == BUDDY_CHUNK - 5 && !serves(10));
	else
		MODEL_ASSERT(serves(10)); /* it came too early, but now nothing may be lost */
}

/* 2. The same inside one chunk. */
static void merge_inside_low(void)
{
	buddy_free(&buddy, 40, 5);
}

static void merge_inside_high(void)
{
	buddy_free(&buddy, 45, 5);
}

static void merge_inside_check(void)
{
	if (result[2] == 0)
		MODEL_ASSERT(got[2] == 40 && !serves(10));
	else
		MODEL_ASSERT(serves(10));
}

/* 3. The free granule moves: at every instant one is free, so nobody may be told that there is none. */
static void moving_set_up(void)
{
	set_up_full(GRANULES);
	buddy_free(&buddy, 20, 1);
}

static void moving_mover(void)
{
	size_t start;

	buddy_free(&buddy, GRANULES - 1, 1);
	MODEL_ASSERT(buddy_alloc(&buddy, 1, BUDDY_ANYWHERE, &start) == 0);
}

static void moving_taker(void)
{
	result[1] = buddy_alloc(&buddy, 1, BUDDY_ANYWHERE, &got[1]);
	MODEL_ASSERT(result[1] == 0);
}

static void moving_check(void)
{
	MODEL_ASSERT(!serves(1));
}

/* 4. Two releases in one chunk, the second one's length below the first one's, while a third thread searches. */
static void nested_free_long(void)
{
	buddy_free(&buddy, 10, 8);
}

static void nested_free_short(void)
{
	buddy_free(&buddy, 30, 4);
	result[1] = buddy_alloc(&buddy, 4, BUDDY_ANYWHERE,
	                        &got[1]); /* its own release is complete: there is room */
	MODEL_ASSERT(result[1] == 0);
}

static void nested_search(void)
{
	result[2] = buddy_alloc(&buddy, 6, BUDDY_ANYWHERE, &got[2]);
}

static void nested_check(void)
{
	MODEL_ASSERT(serves(4) == (buddy_largest(&buddy) >= 4));
	MODEL_ASSERT(serves(1) == (buddy_largest(&buddy) >= 1));
	MODEL_ASSERT(!serves(buddy_largest(&buddy) + 1));
	MODEL_ASSERT(serves(buddy_largest(&buddy)));
}

/* 5. All want the same run, which lies over two words; then the losers' claims must be undone to the bit. */
static void same_set_up(void)
{
	set_up_full(GRANULES);
	buddy_free(&buddy, BUDDY_CHUNK - 6, 12);
}

static void same_low(void)
{
	result[0] = buddy_alloc_at(&buddy, BUDDY_CHUNK - 6, 12);
}

static void same_high(void)
{
	result[1] = buddy_alloc_at(&buddy, BUDDY_CHUNK + 2, 4);
}

static void same_search(void)
{
	result[2] = buddy_alloc(&buddy, 7, BUDDY_ANYWHERE, &got[2]);
}

static void same_check(void)
{
	size_t used = 0;

	/* Whoever was served gives back exactly what he got; a granule with two owners would be missed here. */
	MODEL_ASSERT(!(result[0] == 0 && (result[1] == 0 || result[2] == 0)));
	for (size_t g = BUDDY_CHUNK - 6; g < BUDDY_CHUNK + 6; g++)
		used += bitmap_next_used(buddy.map, g, g + 1) == g;
	MODEL_ASSERT(used == (result[0] == 0 ? 12u : (result[1] == 0 ? 4u : 0) + (result[2] == 0 ? 7u : 0)));
	if (result[0] == 0)
		buddy_free(&buddy, BUDDY_CHUNK - 6, 12);
	if (result[1] == 0)
		buddy_free(&buddy, BUDDY_CHUNK + 2, 4);
	if (result[2] == 0)
		buddy_free(&buddy, got[2], 7);
	MODEL_ASSERT(serves(12));
}

/*
 * 6. As 3, with aligned tiles longer than a chunk: there the change sequence gives the verdict. The free tile moves to where the
 * searcher has just been, up and down.
 */
enum { TILE = 2 * BUDDY_CHUNK };

static void tiles_set_up(void)
{
	set_up_full(2 * TILE);
	buddy_free(&buddy, TILE, TILE);
}

static void tiles_mover(void)
{
	for (int i = 0; i < 3; i++) {
		size_t from = i % 2 ? TILE : 0;

		buddy_free(&buddy, from, TILE);
		if (buddy_alloc_at(&buddy, TILE - from, TILE))
			return; /* the other one has it */
	}
}

static void tiles_taker(void)
{
	result[1] = buddy_alloc(&buddy, TILE, (struct buddy_alignment){TILE, 0}, &got[1]);
	MODEL_ASSERT(result[1] == 0);
}

static void tiles_check(void)
{
	buddy_free(&buddy, got[1], TILE);
	MODEL_ASSERT(buddy_largest(&buddy) >= TILE);
}

/*
 * 7. The last granule of a chunk is free and its bound is higher; somebody lowers that while the first of the next chunk is freed:
 * what he has seen of the next one counts.
 */
static void seam_set_up(void)
{
	set_up_full(2 * BUDDY_CHUNK);
	buddy_free(&buddy, BUDDY_CHUNK - 1, 1);
}

static void seam_searcher(void)
{
	result[0] = buddy_alloc(&buddy, 2, BUDDY_ANYWHERE, &got[0]);
}

static void seam_releaser(void)
{
	buddy_free(&buddy, BUDDY_CHUNK, 1);
	result[1] = buddy_alloc(&buddy, 2, BUDDY_ANYWHERE, &got[1]);
}

static void seam_check(void)
{
	MODEL_ASSERT((result[0] == 0) + (result[1] == 0) == 1 && !serves(1));
	buddy_free(&buddy, BUDDY_CHUNK - 1, 2);
	MODEL_ASSERT(serves(2));
}

/* 8. Rollback: a claim over two words meets somebody in the second, and what it had taken of the first comes back. */
static void rollback_set_up(void)
{
	set_up_full(GRANULES);
	buddy_free(&buddy, BUDDY_CHUNK - 4, 4);
}

static void rollback_claimer(void)
{
	result[0] = buddy_alloc_at(&buddy, BUDDY_CHUNK - 4, 8);
	MODEL_ASSERT(result[0] == -EBUSY);
}

static void rollback_searcher(void)
{
	result[1] = buddy_alloc(&buddy, 3, BUDDY_ANYWHERE, &got[1]); /* may come while the claim stands */
}

static void rollback_check(void)
{
	MODEL_ASSERT(result[1] == 0 ? serves(1) && !serves(2) : serves(4));
}

/* 9. The bounds are higher than what is there; somebody lowers them while a granule is freed under him. */
static void stale_set_up(void)
{
	size_t start;

	fresh(2 * BUDDY_CHUNK);
	MODEL_ASSERT(buddy_alloc(&buddy, 2 * BUDDY_CHUNK, BUDDY_ANYWHERE, &start) == 0);
}

static void stale_searcher(void)
{
	result[0] = buddy_alloc(&buddy, 2, BUDDY_ANYWHERE, &got[0]);
}

static void stale_releaser(void)
{
	buddy_free(&buddy, 7, 1);
	result[1] = buddy_alloc(&buddy, 1, BUDDY_ANYWHERE,
	                        &got[1]); /* its own release is complete: there is room */
	MODEL_ASSERT(result[1] == 0);
}

static void stale_check(void)
{
	MODEL_ASSERT(result[0] == -ENOSPC && !serves(1));
	buddy_free(&buddy, got[1], 1);
	MODEL_ASSERT(serves(1));
}

const struct model_scenario model_scenarios[] = {
        {"neighbours freed across chunks",
         merge_set_up,
         {merge_free_low, merge_free_high, merge_search},
         merge_check},
        {"neighbours freed in a chunk",
         merge_set_up,
         {merge_inside_low, merge_inside_high, merge_search},
         merge_inside_check},
        {"the free granule moves", moving_set_up, {moving_mover, moving_taker, NULL}, moving_check},
        {"two releases in a chunk",
         merge_set_up,
         {nested_free_long, nested_free_short, nested_search},
         nested_check},
        {"all want the same run", same_set_up, {same_low, same_high, same_search}, same_check},
        {"the free tile moves", tiles_set_up, {tiles_mover, tiles_taker, NULL}, tiles_check},
        {"the first of the next chunk is freed",
         seam_set_up,
         {seam_searcher, seam_releaser, NULL},
         seam_check},
        {"rollback", rollback_set_up, {rollback_claimer, rollback_searcher, NULL}, rollback_check},
        {"bounds lowered under a release", stale_set_up, {stale_searcher, stale_releaser, NULL}, stale_check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};
