/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "buddy/fit.h"

#include "base/bits.h"
#include "buddy/chunk.h"

#define EXACT_CLASSES 16u
/* The class of a free chunk is there from the start, in a map of zeroes: sets are stored with this bit flipped. */
#define CLASS_OF_FREE_CHUNK (EXACT_CLASSES + (BUDDY_CHUNK_POWER - 4) * 8)
#define INITIAL_SET (UINT64_C(1) << CLASS_OF_FREE_CHUNK)

/* 1 <= length <= BUDDY_CHUNK */
static unsigned class_of(size_t length)
{
	unsigned power;

	if (length <= EXACT_CLASSES)
		return (unsigned)length - 1;
	power = bits_highest(length); /* 4 to 9 */
	return EXACT_CLASSES + (power - 4) * 8 + (unsigned)(length >> (power - 3) & 7);
}

/* The shortest and the longest length of a class. */
static size_t class_lowest(unsigned class)
{
	unsigned above = class - EXACT_CLASSES;

	return class < EXACT_CLASSES ? class + 1 : (size_t)(8 + above % 8) << (above / 8 + 1);
}

static size_t class_highest(unsigned class)
{
	return class_lowest(class + 1) - 1;
}

static size_t node_count(size_t below)
{
	return bits_ceil_div(below, FIT_FANOUT);
}

static size_t missing_bytes(size_t chunks)
{
	return bits_round_up(chunks * sizeof(uint16_t), CACHE_LINE);
}

static size_t set_bytes(size_t count)
{
	return bits_round_up(count * sizeof(uint64_t), CACHE_LINE);
}

size_t fit_bytes(size_t chunks)
{
	size_t bytes = missing_bytes(chunks), count = chunks;

	do {
		count = node_count(count);
		bytes += set_bytes(count);
	} while (count > 1);
	return bytes;
}

void fit_init(struct fit_map *map, void *zeroed_memory, size_t chunks)
{
	char *at = zeroed_memory;
	size_t count = chunks;

	map->chunks = chunks;
	map->missing = (_Atomic uint16_t *)(void *)at;
	at += missing_bytes(chunks);
	map->levels = 0;
	do {
		count = node_count(count);
		map->count[map->levels] = count;
		map->classes[map->levels] = (_Atomic uint64_t *)(void *)at;
		at += set_bytes(count);
		map->levels++;
	} while (count > 1);
}

static uint64_t set_load(const struct fit_map *map, unsigned level, size_t index)
{
	return atomic_load_explicit(&map->classes[level][index], memory_order_relaxed) ^ INITIAL_SET;
}

/* Adding and removing flip a bit whose stored form depends on INITIAL_SET. */
static void set_put(struct fit_map *map, unsigned level, size_t index, unsigned class, bool present)
{
	_Atomic uint64_t *set = &map->classes[level][index];
	uint64_t bit = UINT64_C(1) << class;

	if (present == (class != CLASS_OF_FREE_CHUNK))
		atomic_fetch_or_explicit(set, bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(set, ~bit, memory_order_relaxed);
}

size_t fit_longest(const struct fit_map *map, size_t chunk)
{
	return BUDDY_CHUNK - atomic_load_explicit(&map->missing[chunk], memory_order_relaxed);
}

void fit_note(struct fit_map *map, size_t chunk, size_t longest)
{
	size_t before = fit_longest(map, chunk), index = chunk;
	unsigned class;

	if (longest == before)
		return;
	atomic_store_explicit(&map->missing[chunk], (uint16_t)(BUDDY_CHUNK - longest), memory_order_relaxed);
	if (longest == 0)
		return;
	class = class_of(longest);
	if (before != 0 && class == class_of(before))
		return;
	for (unsigned level = 0; level < map->levels; level++) {
		index /= FIT_FANOUT;
		if (!(set_load(map, level, index) >> class & 1))
			set_put(map, level, index, class, true);
	}
}

/* Chunks that are looked at, eight at a time, before the best so far is taken. */
#define VISITS 4

struct search {
	struct fit_map *map;
	unsigned class;
	size_t lowest, highest; /* of the class */
	size_t sufficient;      /* in this class: a run of this length fits as well as any can */
	int visits_left;
	size_t best; /* chunk, or FIT_NONE */
	size_t best_longest;
};

/* The chunks below a node of level 0: one of this class whose longest run is the smallest that suffices? */
static void visit_chunks(struct search *search, size_t node)
{
	size_t first = node * FIT_FANOUT, end = bits_min(first + FIT_FANOUT, search->map->chunks);
	bool class_is_present = false;

	search->visits_left--;
	for (size_t chunk = first; chunk < end; chunk++) {
		size_t longest = fit_longest(search->map, chunk);

		if (longest < search->lowest || longest > search->highest)
			continue;
		class_is_present = true;
		if (longest >= search->sufficient && longest < search->best_longest) {
			search->best_longest = longest;
			search->best = chunk;
			if (longest == search->sufficient) {
				search->visits_left = 0;
				return;
			}
		}
	}
	if (!class_is_present)
		set_put(search->map, 0, node, search->class, false);
}

/* From a node down, lowest chunks first, until the visits are used up; a set that proved stale is corrected. */
static void visit_node(struct search *search, unsigned level, size_t node)
{
	size_t child, end;
	bool class_is_present = false;

	if (level == 0) {
		visit_chunks(search, node);
		return;
	}
	end = bits_min((node + 1) * FIT_FANOUT, search->map->count[level - 1]);
	for (child = node * FIT_FANOUT; child < end && search->visits_left > 0; child++) {
		if (set_load(search->map, level - 1, child) >> search->class & 1) {
			class_is_present = true;
			visit_node(search, level - 1, child);
		}
	}
	if (!class_is_present && child == end)
		set_put(search->map, level, node, search->class, false);
}

size_t fit_find(struct fit_map *map, size_t count)
{
	uint64_t left = set_load(map, map->levels - 1, 0) >> class_of(count) << class_of(count);

	for (; left; left &= left - 1) {
		unsigned class = bits_lowest(left);
		struct search search = {
			.map = map,
			.class = class,
			.lowest = class_lowest(class),
			.highest = class_highest(class),
			.sufficient = bits_max(class_lowest(class), count),
			.visits_left = VISITS,
			.best = FIT_NONE,
			.best_longest = SIZE_MAX,
		};

		visit_node(&search, map->levels - 1, 0);
		if (search.best != FIT_NONE)
			return search.best;
	}
	return FIT_NONE;
}
