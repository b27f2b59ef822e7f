/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/fit.h"

#include "base/bits.h"
#include "buddy/chunk.h"

#define EXACT_CLASSES 16u
#define FREE_CLASS (EXACT_CLASSES + (BUDDY_CHUNK_POWER - 4) * 8) /* of a chunk that is free: the last class */
#define CLASSES (FREE_CLASS + 1)

/* 1 <= length <= BUDDY_CHUNK */
static unsigned class_of(size_t length)
{
	unsigned power;

	if (length <= EXACT_CLASSES)
		return (unsigned)length - 1;
	power = bits_highest(length);
	return EXACT_CLASSES + (power - 4) * 8 + (unsigned)(length >> (power - 3) & 7);
}

/* The shortest length of a class. */
static size_t class_lowest(unsigned class)
{
	unsigned above = class - EXACT_CLASSES;

	return class < EXACT_CLASSES ? class + 1 : (size_t)(8 + above % 8) << (above / 8 + 1);
}

static size_t missing_bytes(size_t chunks)
{
	return bits_round_up(chunks * sizeof(uint16_t), CACHE_LINE);
}

static size_t sets_bytes(size_t words)
{
	return bits_round_up(CLASSES * words * sizeof(uint64_t), CACHE_LINE);
}

size_t fit_bytes(size_t chunks)
{
	size_t words = bits_ceil_div(chunks, 64);

	return missing_bytes(chunks) + sets_bytes(words) + sets_bytes(bits_ceil_div(words, 64));
}

void fit_init(struct fit_map *map, void *zeroed_memory, size_t chunks)
{
	char *at = zeroed_memory;

	map->chunks = chunks;
	map->words = bits_ceil_div(chunks, 64);
	map->summaries = bits_ceil_div(map->words, 64);
	map->missing = (_Atomic uint16_t *)(void *)at;
	at += missing_bytes(chunks);
	map->present = (_Atomic uint64_t *)(void *)at;
	at += sets_bytes(map->words);
	map->summary = (_Atomic uint64_t *)(void *)at;
	atomic_init(&map->classes, 0);
}

size_t fit_longest(const struct fit_map *map, size_t chunk)
{
	return BUDDY_CHUNK - atomic_load_explicit(&map->missing[chunk], memory_order_relaxed);
}

/* The sets of FREE_CLASS are stored inverted: all chunks are in it at first, in a map of zeroes. */
static uint64_t inversion(unsigned class)
{
	return class == FREE_CLASS ? ~UINT64_C(0) : 0;
}

static uint64_t set_load(_Atomic uint64_t *set, uint64_t invert)
{
	return atomic_load_explicit(set, memory_order_relaxed) ^ invert;
}

static void set_change(_Atomic uint64_t *set, uint64_t bit, bool in, uint64_t invert)
{
	if (in != (invert != 0))
		atomic_fetch_or_explicit(set, bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(set, ~bit, memory_order_relaxed);
}

static void set_add(_Atomic uint64_t *set, size_t member, uint64_t invert)
{
	uint64_t bit = UINT64_C(1) << member;

	if (!(set_load(set, invert) & bit))
		set_change(set, bit, true, invert);
}

/* The sets of a word's chunks lie together: who works in one part of the map writes to lines of its own. */
static _Atomic uint64_t *present(const struct fit_map *map, unsigned class, size_t word)
{
	return &map->present[word * CLASSES + class];
}

static uint64_t classes_load(struct fit_map *map)
{
	return set_load(&map->classes, UINT64_C(1) << FREE_CLASS);
}

static void classes_change(struct fit_map *map, unsigned class, bool in)
{
	set_change(&map->classes, UINT64_C(1) << class, in, inversion(class));
}

void fit_note(struct fit_map *map, size_t chunk, size_t longest)
{
	size_t before = fit_longest(map, chunk);
	uint64_t invert;
	unsigned class;

	if (longest == before)
		return;
	atomic_store_explicit(&map->missing[chunk], (uint16_t)(BUDDY_CHUNK - longest), memory_order_relaxed);
	if (longest == 0)
		return;
	class = class_of(longest);
	invert = inversion(class);
	set_add(present(map, class, chunk / 64), chunk % 64, invert);
	set_add(&map->summary[class * map->summaries + chunk / 64 / 64], chunk / 64 % 64, invert);
	if (!(classes_load(map) >> class & 1))
		classes_change(map, class, true);
}

/* Chunks of a class that are looked at before the best so far is taken. */
#define LOOKS 4
/*
 * Chunks that have moved on from a class, but are left in its set, by one search. A chunk that comes and goes between two
 * lengths would otherwise be taken out by every search and put back by every note.
 */
#define LEFT_ALONE 1

struct search {
	struct fit_map *map;
	unsigned class;
	size_t count;
	size_t lowest, highest; /* of the class */
	size_t sufficient; /* in this class: a run of this length fits as well as any can */
	int looks_left;
	int *leave_alone;
	size_t best; /* chunk, or FIT_NONE */
	size_t best_longest;
};

/* The chunks of one word of the class's set. False when the search is over. */
static bool search_word(struct search *search, size_t index)
{
	uint64_t invert = inversion(search->class);
	_Atomic uint64_t *set = present(search->map, search->class, index);

	for (uint64_t left = set_load(set, invert); left; left &= left - 1) {
		size_t chunk = index * 64 + bits_lowest(left);
		size_t longest = chunk < search->map->chunks ? fit_longest(search->map, chunk) : 0;

		if (longest < search->lowest || longest > search->highest) {
			if (--*search->leave_alone < 0)
				set_change(set, left & -left, false, invert); /* it has moved on */
			continue;
		}
		if (longest >= search->count && longest < search->best_longest) {
			search->best_longest = longest;
			search->best = chunk;
		}
		if (longest == search->sufficient || --search->looks_left == 0)
			return false;
	}
	return true;
}

/* The words that one summary names, of those in `mask`. False when the search is over. */
static bool search_summary(struct search *search, size_t index, uint64_t mask, bool *any)
{
	struct fit_map *map = search->map;
	uint64_t invert = inversion(search->class);
	_Atomic uint64_t *summary = &map->summary[search->class * map->summaries + index];

	for (uint64_t left = set_load(summary, invert) & mask; left; left &= left - 1) {
		size_t word = index * 64 + bits_lowest(left);

		*any = true;
		if (word < map->words && !search_word(search, word))
			return false;
		if (word >= map->words || !set_load(present(map, search->class, word), invert))
			set_change(summary, left & -left, false, invert);
	}
	return true;
}

/* From the word `first` to the end, and from the beginning to it. */
static size_t search_class(struct search *search, size_t first)
{
	struct fit_map *map = search->map;
	uint64_t above = ~UINT64_C(0) << first % 64;
	bool any = false;

	if (!search_summary(search, first / 64, above, &any))
		return search->best;
	for (size_t i = first / 64 + 1; i < map->summaries; i++) {
		if (!search_summary(search, i, ~UINT64_C(0), &any))
			return search->best;
	}
	for (size_t i = 0; i < first / 64; i++) {
		if (!search_summary(search, i, ~UINT64_C(0), &any))
			return search->best;
	}
	if (!search_summary(search, first / 64, ~above, &any))
		return search->best;
	if (!any) /* nobody is in it */
		classes_change(map, search->class, false);
	return search->best;
}

static size_t find(struct fit_map *map, size_t count, uint32_t near, int leave_alone)
{
	size_t word = (size_t)((uint64_t)near * map->words >> 32);
	unsigned first = class_of(count);

	for (uint64_t left = classes_load(map) >> first << first; left; left &= left - 1) {
		unsigned class = bits_lowest(left);
		size_t lowest = class_lowest(class), chunk;
		struct search search = {
		        .map = map,
		        .class = class,
		        .count = count,
		        .lowest = lowest,
		        .highest = class_lowest(class + 1) - 1,
		        .sufficient = bits_max(lowest, count),
		        .looks_left = LOOKS,
		        .leave_alone = &leave_alone,
		        .best = FIT_NONE,
		        .best_longest = SIZE_MAX,
		};

		chunk = search_class(&search, word);
		if (chunk != FIT_NONE)
			return chunk;
	}
	return FIT_NONE;
}

size_t fit_find(struct fit_map *map, size_t count, uint32_t near)
{
	size_t chunk = find(map, count, near, LEFT_ALONE);

	/* When nothing is there, what was left alone is cleared away, so that the next search is short. */
	if (chunk == FIT_NONE && classes_load(map) >> class_of(count))
		chunk = find(map, count, near, 0);
	return chunk;
}
