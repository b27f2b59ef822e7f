/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The run allocator in the memory model of C11, as small as can be: one chunk or two of 64 granules. A run that is claimed
 * comes with what was done to it before its release, also across a chunk's border [buddy.G1]; a release that is complete is
 * found, whatever bounds are lowered meanwhile [buddy.I1].
 */
#include "support.h"

#include "../../src/buddy/bitmap.c"
#include "../../src/buddy/bound.c"
#include "../../src/buddy/buddy.c"
#include "../../src/buddy/fit.c"
#include "../../src/buddy/scan.c"
#include "../model.h"

static _Alignas(CACHE_LINE) uint64_t memory[128];
static struct buddy buddy;
static int contents; /* plain: of the run, for its owner alone */
static int result[MODEL_THREADS];
static size_t got[MODEL_THREADS];

static void set_up(size_t granules)
{
	buddy_init(&buddy, memory, granules);
	MODEL_ASSERT(buddy_alloc_at(&buddy, 0, granules) == 0);
	contents = 1;
	for (int i = 0; i < MODEL_THREADS; i++)
		result[i] = -ENOSPC;
}

static void one_chunk(void)
{
	set_up(BUDDY_CHUNK);
}

static void two_chunks(void)
{
	set_up(2 * BUDDY_CHUNK);
}

/* A run of two, one granule in each chunk. */
static void release_across(void)
{
	contents = 2;
	buddy_free(&buddy, BUDDY_CHUNK - 1, 2);
}

static void claim_across(void)
{
	result[1] = buddy_alloc_at(&buddy, BUDDY_CHUNK - 1, 2);
	if (result[1] == 0)
		MODEL_ASSERT(contents == 2);
}

static void claim_the_high_one(void)
{
	result[2] = buddy_alloc_at(&buddy, BUDDY_CHUNK, 1);
	if (result[2] == 0)
		MODEL_ASSERT(contents == 2);
}

/* Either has it, or nobody, and then it can be had. */
static void check_across(void)
{
	MODEL_ASSERT(result[1] != 0 || result[2] != 0);
	if (result[1] == 0)
		return;
	if (result[2] == 0)
		buddy_free(&buddy, BUDDY_CHUNK, 1);
	MODEL_ASSERT(buddy_alloc(&buddy, 2, BUDDY_ANYWHERE, &got[0]) == 0 && got[0] == BUDDY_CHUNK - 1);
}

static void release_one(void)
{
	contents = 2;
	buddy_free(&buddy, 5, 1);
}

static void search_one(void)
{
	result[1] = buddy_alloc(&buddy, 1, BUDDY_ANYWHERE, &got[1]);
	if (result[1] == 0)
		MODEL_ASSERT(got[1] == 5 && contents == 2);
}

/* What the searcher did to the bounds does not hide it. */
static void check_one(void)
{
	if (result[1])
		MODEL_ASSERT(buddy_alloc(&buddy, 1, BUDDY_ANYWHERE, &got[0]) == 0);
}

/* The same of all of a chunk, whose word is claimed and released as a whole. */
static void release_whole(void)
{
	contents = 2;
	buddy_free(&buddy, 0, BUDDY_CHUNK);
}

static void claim_whole_chunk(void)
{
	result[1] = buddy_alloc_at(&buddy, 0, BUDDY_CHUNK);
	if (result[1] == 0)
		MODEL_ASSERT(contents == 2);
}

static void check_whole(void)
{
	MODEL_ASSERT(result[1] == 0 || buddy_alloc_at(&buddy, 0, BUDDY_CHUNK) == 0);
}

static bool serves(size_t count)
{
	size_t start;

	if (buddy_alloc(&buddy, count, BUDDY_ANYWHERE, &start))
		return false;
	buddy_free(&buddy, start, count);
	return true;
}

/* The bounds are as low as they should be. */
static void two_chunks_lowered(void)
{
	two_chunks();
	MODEL_ASSERT(!serves(1));
}

static void one_free_at_the_border(void)
{
	two_chunks_lowered();
	buddy_free(&buddy, BUDDY_CHUNK - 1, 1);
}

/* The second granule is in use: what was claimed of the first chunk goes back. */
static void claim_in_vain(void)
{
	MODEL_ASSERT(buddy_alloc_at(&buddy, BUDDY_CHUNK - 1, 2) == -EBUSY);
}

static void search_any(void)
{
	result[1] = buddy_alloc(&buddy, 1, BUDDY_ANYWHERE, &got[1]);
}

static void check_rollback(void)
{
	MODEL_ASSERT(result[1] == 0 || serves(1));
}

static void release_low(void)
{
	buddy_free(&buddy, 5, 1);
}

static void release_high(void)
{
	buddy_free(&buddy, 6, 1);
}

static void check_neighbours(void)
{
	MODEL_ASSERT(bound_find(&buddy.bounds, 0, 2) != BOUND_NONE);
}

/* What a search goes by: none is refused that asks for so much. */
static bool is_bounded(size_t count)
{
	return bound_find(&buddy.bounds, 0, count) != BOUND_NONE;
}

/* Its own release is complete, so there is room. */
static void release_and_look(void)
{
	buddy_free(&buddy, 9, 1);
	MODEL_ASSERT(is_bounded(1));
}

static void check_one_left(void)
{
	MODEL_ASSERT(serves(1));
}

/* The last granule of a chunk is free, and the bounds are higher. */
static void bounds_too_high(void)
{
	two_chunks();
	buddy_free(&buddy, BUDDY_CHUNK - 1, 1);
}

static void release_next(void)
{
	buddy_free(&buddy, BUDDY_CHUNK, 1);
}

/* Lowers the bound of the first chunk to what it sees, of the next one too. */
static void search_two(void)
{
	result[1] = buddy_alloc(&buddy, 2, BUDDY_ANYWHERE, &got[1]);
}

static void check_seam(void)
{
	MODEL_ASSERT(result[1] == 0 || is_bounded(2));
}

const struct model_scenario model_scenarios[] = {
        {"released and claimed across a border",
         two_chunks,
         {release_across, claim_across, NULL},
         check_across},
        {"released and searched for", one_chunk, {release_one, search_one, NULL}, check_one},
        {"released, claimed across and in part",
         two_chunks,
         {release_across, claim_across, claim_the_high_one},
         check_across},
        {"a claim in vain", one_free_at_the_border, {claim_in_vain, search_any, NULL}, check_rollback},
        {"neighbours released", two_chunks_lowered, {release_low, release_high, NULL}, check_neighbours},
        {"two releases in a chunk",
         two_chunks_lowered,
         {release_low, release_and_look, NULL},
         check_one_left},
        {"the first of the next chunk is released",
         bounds_too_high,
         {release_next, search_two, NULL},
         check_seam},
        {"a whole chunk, released and claimed",
         one_chunk,
         {release_whole, claim_whole_chunk, NULL},
         check_whole},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
