/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The run allocator alone: every short sequence on a tiny pool, random ones on larger pools, the tree of bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buddy/buddy.h"
#include "support/support.h"

struct pool {
	struct buddy buddy;
	void *memory;
	unsigned char *owner;
	size_t granules;
};

static struct pool pool_make(size_t granules)
{
	struct pool pool = {.granules = granules};
	size_t bytes = bits_round_up(buddy_bytes(granules), CACHE_LINE);

	pool.memory = aligned_alloc(CACHE_LINE, bytes);
	pool.owner = calloc(granules, 1);
	assert_non_null(pool.memory);
	assert_non_null(pool.owner);
	memset(pool.memory, 0, bytes);
	buddy_init(&pool.buddy, pool.memory, granules);
	return pool;
}

static void pool_drop(struct pool *pool)
{
	free(pool->memory);
	free(pool->owner);
}

static size_t longest_aligned(const struct pool *pool, size_t align)
{
	size_t longest = 0;

	for (size_t start = 0; start < pool->granules; start += align) {
		size_t end = start;

		while (end < pool->granules && !pool->owner[end])
			end++;
		longest = bits_max(longest, end - start);
		if (align == 1 && end > start)
			start = end - 1;
	}
	return longest;
}

static void take(struct pool *pool, size_t start, size_t count)
{
	assert_true(start < pool->granules && count <= pool->granules - start);
	for (size_t g = start; g < start + count; g++) {
		assert_int_equal(pool->owner[g], 0);
		pool->owner[g] = 1;
	}
}

static bool alloc(struct pool *pool, size_t count, size_t align, size_t *start)
{
	int result = buddy_alloc(&pool->buddy, count, (struct buddy_alignment){align, 0}, start);

	if (result) {
		assert_int_equal(result, -ENOSPC);
		assert_true(longest_aligned(pool, align) < count);
		return false;
	}
	assert_int_equal(*start % align, 0);
	take(pool, *start, count);
	return true;
}

static bool alloc_at(struct pool *pool, size_t start, size_t count)
{
	bool is_free = true;
	int result = buddy_alloc_at(&pool->buddy, start, count);

	for (size_t g = start; g < start + count; g++)
		is_free = is_free && !pool->owner[g];
	assert_int_equal(result, is_free ? 0 : -EBUSY);
	if (is_free)
		take(pool, start, count);
	return is_free;
}

static void release(struct pool *pool, size_t start, size_t count)
{
	for (size_t g = start; g < start + count; g++) {
		assert_int_equal(pool->owner[g], 1);
		pool->owner[g] = 0;
	}
	buddy_free(&pool->buddy, start, count);
}

/* The map says of every granule what the model says. */
static void check_map(struct pool *pool)
{
	for (size_t g = 0; g < pool->granules; g++) {
		bool used = bitmap_next_used(pool->buddy.map, g, g + 1) == g;

		assert_int_equal(used, pool->owner[g]);
	}
	assert_int_equal(buddy_largest(&pool->buddy), longest_aligned(pool, 1));
}

static void bad_arguments(void **state)
{
	struct pool pool = pool_make(100);
	size_t start = 77;

	(void)state;
	assert_int_equal(buddy_alloc(&pool.buddy, 0, (struct buddy_alignment){1, 0}, &start), -EINVAL);
	assert_int_equal(buddy_alloc(&pool.buddy, 1, (struct buddy_alignment){0, 0}, &start), -EINVAL);
	assert_int_equal(buddy_alloc(&pool.buddy, 1, (struct buddy_alignment){3, 0}, &start), -EINVAL);
	assert_int_equal(buddy_alloc(&pool.buddy, 101, (struct buddy_alignment){1, 0}, &start), -ENOSPC);
	assert_int_equal(buddy_alloc(&pool.buddy, SIZE_MAX, (struct buddy_alignment){1, 0}, &start), -ENOSPC);
	assert_int_equal(buddy_alloc_at(&pool.buddy, 0, 0), -EINVAL);
	assert_int_equal(buddy_alloc_at(&pool.buddy, 100, 1), -EINVAL);
	assert_int_equal(buddy_alloc_at(&pool.buddy, 99, 2), -EINVAL);
	assert_int_equal(buddy_alloc_at(&pool.buddy, SIZE_MAX, 2), -EINVAL);
	assert_int_equal(buddy_alloc_at(&pool.buddy, 1, SIZE_MAX), -EINVAL);
	assert_int_equal(start, 77);
	check_map(&pool);
	pool_drop(&pool);
}

/* Every sequence of up to DEPTH operations on 8 granules, with full comparison after each. */
enum { SMALL = 8, DEPTH = 4 };

static void explore(struct pool *pool, int depth)
{
	size_t start;

	check_map(pool);
	if (depth == 0)
		return;
	for (size_t count = 1; count <= SMALL; count++) {
		for (size_t align = 1; align <= 4; align *= 2) {
			if (alloc(pool, count, align, &start)) {
				explore(pool, depth - 1);
				release(pool, start, count);
			}
		}
	}
	for (start = 0; start < SMALL; start++) {
		for (size_t count = 1; start + count <= SMALL; count++) {
			bool all_used = true;

			for (size_t g = start; g < start + count; g++)
				all_used = all_used && pool->owner[g];
			if (all_used) { /* any part of what is allocated may go */
				release(pool, start, count);
				explore(pool, depth - 1);
				assert_true(alloc_at(pool, start, count));
			} else if (alloc_at(pool, start, count)) {
				explore(pool, depth - 1);
				release(pool, start, count);
			}
		}
	}
}

static void every_short_sequence(void **state)
{
	struct pool pool = pool_make(SMALL);

	(void)state;
	explore(&pool, scaled(100) < 50 ? DEPTH - 1 : DEPTH);
	check_map(&pool);
	pool_drop(&pool);
}

struct live {
	size_t start, count;
};

/* Every sequence of up to six allocations and frees (whole, or the first half) on the same granules. */
static void explore_deeper(struct pool *pool, struct live *live, int lives, int depth)
{
	size_t start;

	if (depth == 0)
		return;
	for (size_t count = 1; count <= SMALL; count++) {
		if (!alloc(pool, count, 1, &start))
			break; /* nor anything longer */
		live[lives] = (struct live){start, count};
		explore_deeper(pool, live, lives + 1, depth - 1);
		release(pool, start, count);
	}
	for (int i = 0; i < lives; i++) {
		struct live whole = live[i];

		for (size_t part = whole.count; part > 0;
		     part = part > 1 && part == whole.count ? part / 2 : 0) {
			release(pool, whole.start, part);
			live[i] = (struct live){whole.start + part, whole.count - part};
			if (part == whole.count)
				live[i] = live[lives - 1];
			explore_deeper(pool, live, part == whole.count ? lives - 1 : lives, depth - 1);
			if (part == whole.count)
				live[lives - 1] = live[i];
			live[i] = whole;
			assert_true(alloc_at(pool, whole.start, part));
		}
	}
	check_map(pool);
}

static void every_sequence_of_six(void **state)
{
	struct pool pool = pool_make(SMALL);
	struct live live[8];

	(void)state;
	explore_deeper(&pool, live, 0, scaled(100) < 50 ? 5 : 6);
	check_map(&pool);
	pool_drop(&pool);
}

static void random_run(size_t granules, uint64_t seed, long steps, size_t typical)
{
	enum { OBJECTS = 300 };
	static struct live live[OBJECTS];
	struct pool pool = pool_make(granules);
	size_t start;

	memset(live, 0, sizeof(live));
	for (long i = 0; i < steps; i++) {
		struct live *object = &live[random_below(&seed, OBJECTS)];
		size_t count = 1 + random_below(&seed, random_below(&seed, 8) ? typical : granules);

		if (object->count == 0) {
			size_t align = random_below(&seed, 4) ? 1 : (size_t)1 << random_below(&seed, 11);

			if (random_below(&seed, 6) == 0) {
				start = random_below(&seed, granules);
				count = bits_min(count, granules - start);
				if (alloc_at(&pool, start, count))
					*object = (struct live){start, count};
			} else if (alloc(&pool, count, align, &start)) {
				*object = (struct live){start, count};
			}
		} else if (random_below(&seed, 3) == 0) {
			/* Give back a part: head, tail, or the middle (then the tail is kept by nobody: free it too). */
			size_t from = random_below(&seed, object->count);
			size_t part = 1 + random_below(&seed, object->count - from);

			release(&pool, object->start + from, part);
			if (from + part < object->count)
				release(&pool, object->start + from + part, object->count - from - part);
			object->count = from;
		} else {
			release(&pool, object->start, object->count);
			object->count = 0;
		}
		if (i % 64 == 0)
			check_map(&pool);
	}
	for (int i = 0; i < OBJECTS; i++) {
		if (live[i].count)
			release(&pool, live[i].start, live[i].count);
	}
	check_map(&pool);
	assert_true(alloc(&pool, granules, 1, &start)); /* all of it merged */
	pool_drop(&pool);
}

static void random_sequences(void **state)
{
	const size_t sizes[] = {1, 63, 64, 65, 511, 512, 513, 1024, 1500, 5000, 40000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (uint64_t seed = 1; seed <= 3; seed++)
			random_run(sizes[i], seed, scaled(3000), 1 + sizes[i] / 20);
	}
}

/* Counts that divide no power of two: all of the pool but the last incomplete run serves them. */
static void odd_counts_use_everything(void **state)
{
	(void)state;
	for (size_t granules = 2000; granules < 5000; granules += 999) {
		for (size_t count = 3; count <= 700; count = count * 2 + 1) {
			struct pool pool = pool_make(granules);
			size_t start, n = 0;

			while (alloc(&pool, count, 1, &start))
				n++;
			assert_int_equal(n, granules / count);
			pool_drop(&pool);
		}
	}
}

/* LLFree's fault: after a large request failed, what it met was handed out twice. */
static void a_failed_large_request_undoes_what_it_claimed(void **state)
{
	struct pool pool = pool_make(4096);
	size_t start;

	(void)state;
	assert_true(alloc_at(&pool, 512, 512));
	assert_false(alloc_at(&pool, 0, 1024));
	assert_false(alloc_at(&pool, 512, 1024));
	assert_false(alloc_at(&pool, 512, 512));
	assert_false(alloc_at(&pool, 0, 4096));
	check_map(&pool);
	assert_false(alloc(&pool, 4096, 1, &start));
	assert_true(alloc(&pool, 3072, 1, &start));
	assert_int_equal(start, 1024);
	assert_true(alloc_at(&pool, 0, 512));
	check_map(&pool);
	pool_drop(&pool);
}

/* Half of 2^20 single granules freed at random: then every failing search must end quickly, and all must merge. */
static void a_large_pool_merges(void **state)
{
	size_t granules = (size_t)1 << 20, start;
	struct pool pool = pool_make(granules);
	uint64_t seed = 5;

	(void)state;
	for (size_t g = 0; g < granules; g++)
		assert_int_equal(buddy_alloc(&pool.buddy, 1, (struct buddy_alignment){1, 0}, &start), 0);
	assert_int_equal(buddy_alloc(&pool.buddy, 1, (struct buddy_alignment){1, 0}, &start), -ENOSPC);
	memset(pool.owner, 1, granules);
	for (size_t g = 0; g < granules; g++) {
		if (random_below(&seed, 2))
			release(&pool, g, 1);
	}
	for (long i = 0; i < scaled(100000); i++)
		assert_int_equal(buddy_alloc(&pool.buddy, 300, (struct buddy_alignment){1, 0}, &start),
		                 -ENOSPC);
	for (size_t g = 0; g < granules; g++) {
		if (pool.owner[g])
			release(&pool, g, 1);
	}
	for (size_t block = 0; block < granules / 512; block++)
		assert_true(alloc(&pool, 512, 512, &start));
	assert_int_equal(buddy_alloc(&pool.buddy, 1, (struct buddy_alignment){1, 0}, &start), -ENOSPC);
	pool_drop(&pool);
}

static size_t look_low(void *context, size_t chunk)
{
	(void)chunk;
	return *(size_t *)context;
}

/* Bounds over a million chunks: found in any of them, never after it was lowered. */
static void the_tree_of_bounds(void **state)
{
	size_t chunks = 1000003, low = 0;
	void *memory = calloc(1, bound_bytes(chunks) + CACHE_LINE);
	struct bound_tree tree;
	uint64_t seed = 3;

	(void)state;
	assert_non_null(memory);
	bound_init(&tree, (void *)bits_round_up((uintptr_t)memory, CACHE_LINE), chunks);
	assert_int_equal(bound_find(&tree, 0, BOUND_MAX), 0);
	for (size_t chunk = 0; chunk < chunks; chunk++)
		bound_settle(&tree, chunk, look_low, &low);
	assert_int_equal(bound_find(&tree, 0, 1), BOUND_NONE);
	assert_int_equal(bound_find(&tree, 7, 1), BOUND_NONE);
	for (int i = 0; i < 1000; i++) {
		size_t a = random_below(&seed, chunks), b = random_below(&seed, chunks);

		bound_raise(&tree, a, 100);
		bound_raise(&tree, b, 50);
		assert_int_equal(bound_find(&tree, 0, 51), a);
		assert_int_equal(bound_find(&tree, 0, 50), bits_min(a, b));
		assert_int_equal(bound_find(&tree, a, 100), a);
		assert_int_equal(bound_find(&tree, a + 1, 51), BOUND_NONE);
		assert_int_equal(bound_find(&tree, a + 1, 50), b > a ? b : BOUND_NONE);
		assert_int_equal(bound_find(&tree, 0, 101), BOUND_NONE);
		bound_settle(&tree, a, look_low, &low);
		bound_settle(&tree, b, look_low, &low);
		assert_int_equal(bound_find(&tree, 0, 1), BOUND_NONE);
	}
	free(memory);
}

/* A thread that stopped between the steps of lowering leaves a word tentative: it must not hide anything. */
static void a_tentative_bound_hides_nothing(void **state)
{
	struct pool pool = pool_make(512 * 20);
	size_t start;

	(void)state;
	assert_true(alloc(&pool, 512 * 20, 1, &start));
	assert_false(alloc(&pool, 1, 1, &start)); /* lowers all bounds to 0 */
	for (unsigned level = 0; level < pool.buddy.bounds.levels; level++) {
		bound_word *word = &pool.buddy.bounds.level[level][0];

		/* Step (1) alone: tentative, with a bound of 0. */
		atomic_fetch_or_explicit(word, (uint64_t)(BOUND_MAX + 1), memory_order_seq_cst);
		assert_false(alloc(&pool, 1, 1, &start));
		atomic_fetch_or_explicit(word, (uint64_t)(BOUND_MAX + 1), memory_order_seq_cst);
		release(&pool, 100, 7);
		assert_true(alloc(&pool, 7, 1, &start));
		assert_int_equal(start, 100);
	}
	pool_drop(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bad_arguments),
	        cmocka_unit_test(every_short_sequence),
	        cmocka_unit_test(every_sequence_of_six),
	        cmocka_unit_test(random_sequences),
	        cmocka_unit_test(odd_counts_use_everything),
	        cmocka_unit_test(a_failed_large_request_undoes_what_it_claimed),
	        cmocka_unit_test(a_large_pool_merges),
	        cmocka_unit_test(the_tree_of_bounds),
	        cmocka_unit_test(a_tentative_bound_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
