/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/bound.h"

#include "base/bits.h"
#include "base/mutant.h"

/* Mutants: what a test must find. */
#define MUTANT_FIRM_AT_ONCE 101 /* step (2) of lowering left out */
#define MUTANT_STOP_EARLY 102 /* raising ends where a bound is high enough */

/* {version 53, tentative 1, BOUND_MAX - bound 10}: see the header for why 0 is the highest bound. */
#define BOUND_BITS 10
#define TENTATIVE (UINT64_C(1) << BOUND_BITS)
#define VERSION_ONE (TENTATIVE << 1)

static size_t word_bound(uint64_t word)
{
	return BOUND_MAX - (word & BOUND_MAX);
}

static bool word_is_tentative(uint64_t word)
{
	return (word & TENTATIVE) != 0;
}

static bool word_may_hold(uint64_t word, size_t length)
{
	return word_bound(word) >= length || word_is_tentative(word);
}

/* The word that follows `old`: the next version with this bound and this state. */
static uint64_t word_next(uint64_t old, size_t bound, bool tentative)
{
	uint64_t version = old & ~(VERSION_ONE - 1);

	return (version + VERSION_ONE) | (tentative ? TENTATIVE : 0) | (BOUND_MAX - bound);
}

/* Every load of a word is part of [buddy.D1] or of a search that ends in a verdict by [buddy.I1]. */
static uint64_t word_load(bound_word *word)
{
	return atomic_load_explicit(word, memory_order_seq_cst);
}

static bool word_change(bound_word *word, uint64_t *seen, uint64_t to)
{
	/* seq_cst: steps (1) and (3) and the raise of [buddy.D1]. */
	return atomic_compare_exchange_strong_explicit(word, seen, to, memory_order_seq_cst,
	                                               memory_order_seq_cst);
}

static size_t level_count(size_t below)
{
	return bits_ceil_div(below, BOUND_FANOUT);
}

static size_t level_bytes(size_t count)
{
	return bits_round_up(count * sizeof(bound_word), CACHE_LINE);
}

size_t bound_bytes(size_t chunks)
{
	size_t bytes = level_bytes(chunks);

	while (chunks > 1) {
		chunks = level_count(chunks);
		bytes += level_bytes(chunks);
	}
	return bytes;
}

void bound_init(struct bound_tree *tree, void *zeroed_memory, size_t chunks)
{
	char *at = zeroed_memory;

	tree->levels = 0;
	for (size_t count = chunks;; count = level_count(count)) {
		tree->count[tree->levels] = count;
		tree->level[tree->levels] = (bound_word *)(void *)at;
		tree->levels++;
		at += level_bytes(count);
		if (count == 1)
			return;
	}
}

size_t bound_of(struct bound_tree *tree, size_t chunk)
{
	return word_bound(word_load(&tree->level[0][chunk]));
}

/* False if the bound was high enough already. */
static bool raise_word(bound_word *word, size_t length)
{
	uint64_t seen = word_load(word);

	/* A tentative word stays tentative: whoever looked before this raise may have missed others. */
	while (word_bound(seen) < length) {
		if (word_change(word, &seen, word_next(seen, length, word_is_tentative(seen))))
			return true;
	}
	return false;
}

void bound_raise(struct bound_tree *tree, size_t chunk, size_t length)
{
	size_t index = chunk;

	length = bits_min(length, BOUND_MAX);
	for (unsigned level = 0; level < tree->levels; level++) {
		if (!raise_word(&tree->level[level][index], length) && IS_MUTANT(MUTANT_STOP_EARLY))
			return;
		index /= BOUND_FANOUT;
	}
}

/* The three steps of lowering, for a word whose `look` gives what is below now, or SIZE_MAX for "cannot tell". */
static void settle_word(bound_word *word, bound_look *look, void *context, size_t index)
{
	uint64_t seen = word_load(word);
	size_t now = look(context, index);

	while (now != SIZE_MAX) {
		size_t bound = bits_min(now, BOUND_MAX);

		if (!word_is_tentative(seen) && word_bound(seen) <= bound)
			return;
		uint64_t mine = word_next(seen, bound, true);
		if (!word_change(word, &seen, mine)) /* (1) */
			return; /* somebody raised or lowered it: the search decides anew */
		now = look(context, index); /* (2) */
		if (now != SIZE_MAX &&
		    (bits_min(now, BOUND_MAX) <= bound || IS_MUTANT(MUTANT_FIRM_AT_ONCE))) {
			word_change(word, &mine, word_next(mine, bound, false)); /* (3) */
			return;
		}
		seen = mine;
	}
}

void bound_settle(struct bound_tree *tree, size_t chunk, bound_look *look, void *context)
{
	settle_word(&tree->level[0][chunk], look, context, chunk);
}

struct inner {
	struct bound_tree *tree;
	unsigned level; /* of the word that is being brought up to date; >= 1 */
};

static size_t look_at_children(void *context, size_t index)
{
	const struct inner *inner = context;
	size_t first = index * BOUND_FANOUT;
	size_t end = bits_min(first + BOUND_FANOUT, inner->tree->count[inner->level - 1]);
	size_t highest = 0;

	for (size_t child = first; child < end; child++) {
		uint64_t word = word_load(&inner->tree->level[inner->level - 1][child]);

		if (word_is_tentative(word))
			return SIZE_MAX;
		highest = bits_max(highest, word_bound(word));
	}
	return highest;
}

static size_t first_child_that_may(struct bound_tree *tree, unsigned level, size_t from, size_t end,
                                   size_t length)
{
	for (size_t child = from; child < end; child++) {
		if (word_may_hold(word_load(&tree->level[level][child]), length))
			return child;
	}
	return BOUND_NONE;
}

/* From a node that may hold the length down to a chunk; BOUND_NONE when a bound on the way proved stale. */
static size_t descend(struct bound_tree *tree, unsigned level, size_t index, size_t length)
{
	while (level > 0) {
		size_t first = index * BOUND_FANOUT;
		size_t end = bits_min(first + BOUND_FANOUT, tree->count[level - 1]);
		size_t child = first_child_that_may(tree, level - 1, first, end, length);

		if (child == BOUND_NONE) {
			struct inner inner = {tree, level};

			settle_word(&tree->level[level][index], look_at_children, &inner, index);
			return BOUND_NONE;
		}
		index = child;
		level--;
	}
	return index;
}

/* The lowest node right of `from`'s left neighbours, at any level, that may hold the length; false if none. */
static bool climb(struct bound_tree *tree, size_t from, size_t length, unsigned *at_level, size_t *at_index)
{
	size_t index = from;

	for (unsigned level = 0; level < tree->levels && index < tree->count[level]; level++) {
		size_t end = bits_min((index / BOUND_FANOUT + 1) * BOUND_FANOUT, tree->count[level]);
		size_t found = first_child_that_may(tree, level, index, end, length);

		if (found != BOUND_NONE) {
			*at_level = level;
			*at_index = found;
			return true;
		}
		index = index / BOUND_FANOUT + 1;
	}
	return false;
}

size_t bound_find(struct bound_tree *tree, size_t from, size_t length)
{
	for (;;) {
		unsigned level = tree->levels - 1;
		size_t index = 0;

		if (from == 0) {
			if (!word_may_hold(word_load(&tree->level[level][0]), length))
				return BOUND_NONE;
		} else if (!climb(tree, from, length, &level, &index)) {
			return BOUND_NONE;
		}
		size_t chunk = descend(tree, level, index, length);
		if (chunk != BOUND_NONE)
			return chunk;
	}
}
