/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Readers look up without pause while a writer inserts, removes, replaces and overlaps. All that a lookup returns is a
 * function of {page, version}, and the version is in the handle, so any mixture of two states shows.
 *
 * Prints what was seen. These must be 0:
 *   torn    the parts of an answer do not belong together (or to the page)
 *   stale   a version older than one that was complete before the lookup began
 *   gap     a page that is always mapped was not found
 *
 * Also compiled with a fault built in (MUTANT, base/mutant.h): then the same run, in a child process, must find it,
 * by one of these counts or by a crash.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "rcu/rcu.h"
#include "support/catch.h"
#include "support/crew.h"
#include "support/pamap_model.h"
#include "support/support.h"

enum { PAGES = 6000, DENSE = 2048, READERS = 2 };

/*
 * Page numbers: the first DENSE are contiguous (blocks), the others 9 apart (leaves); a third of all is permanent.
 * done[page]: the version that the writer has completed; the next one may be visible or not.
 */
static _Atomic uint32_t done[PAGES];
static _Atomic bool stop;
static struct pamap *map;

static uint64_t page_of(uint32_t i)
{
	return i < DENSE ? 0x10000 + i : 0x80000 + UINT64_C(9) * i;
}

static bool is_permanent(uint32_t i)
{
	return i % 3 == 0;
}

static uint64_t mix(uint64_t page, uint32_t version)
{
	uint64_t x = (page << 24 ^ version) * UINT64_C(0x9e3779b97f4a7c15);

	return x ^ x >> 29;
}

static struct pamap_entry entry_of(uint32_t i, uint32_t version)
{
	uint64_t page = page_of(i), x = mix(page, version);

	return (struct pamap_entry){page, 1, x >> 28, version, (uint16_t)(x % 7), (uint8_t)(x >> 9)};
}

struct reader {
	uint64_t seed, lookups, found, torn, stale, gap;
};

/* Versions: an odd one is mapped, an even one is not; of permanent pages all are mapped. */
static void judge(struct reader *reader, uint32_t i, uint32_t before, const struct pamap_value *value)
{
	struct pamap_entry e = entry_of(i, value->handle);

	reader->lookups++;
	if (!value->found) {
		reader->gap += is_permanent(i);
		return;
	}
	reader->found++;
	if (value->to >> PAMAP_PAGE_SHIFT != e.to || value->owner != e.owner || value->attributes != e.attributes)
		reader->torn++;
	else if (value->handle < before)
		reader->stale++;
}

static void *read_on(void *argument)
{
	enum { MANY = 12 };
	struct reader *reader = argument;
	struct pamap_value value[MANY];
	uint32_t index[MANY], before[MANY];
	uint64_t at[MANY];

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (int k = 0; k < MANY; k++) {
			index[k] = (uint32_t)random_below(&reader->seed, PAGES);
			before[k] = atomic_load_explicit(&done[index[k]], memory_order_acquire);
			at[k] = page_of(index[k]) << PAMAP_PAGE_SHIFT;
		}
		if (random_next(&reader->seed) & 1) {
			pamap_lookup_many(map, at, MANY, value);
		} else {
			for (int k = 0; k < MANY; k++)
				value[k].found = pamap_lookup(map, at[k], 1, &value[k]);
		}
		for (int k = 0; k < MANY; k++)
			judge(reader, index[k], before[k], &value[k]);
	}
	return NULL;
}

static void change(uint32_t i)
{
	uint32_t version = atomic_load_explicit(&done[i], memory_order_relaxed);
	struct pamap_entry old = entry_of(i, version), new = entry_of(i, version + 1);

	if (is_permanent(i))
		MODEL_REQUIRE(pamap_replace(map, &old, &new) == 0);
	else if (version % 2 == 0)
		MODEL_REQUIRE(pamap_insert(map, &new, 0) == 0);
	else
		MODEL_REQUIRE(pamap_remove(map, &old) == 0);
	atomic_store_explicit(&done[i], version + 1, memory_order_release);
}

/* A younger mapping of a permanent page: never the answer, but each covers and uncovers it. */
static void overlap(uint64_t *seed, uint64_t *count)
{
	struct pamap_entry e = {page_of((uint32_t)random_below(seed, PAGES / 3) * 3), 1, 1, 1, 9, 1};

	MODEL_REQUIRE(pamap_insert(map, &e, 0) == 0);
	MODEL_REQUIRE(pamap_remove(map, &e) == 0);
	(*count)++;
}

static int torture(double seconds)
{
	static struct reader readers[READERS];
	uint64_t seed = 42, updates = 0, overlaps = 0;
	struct pamap_stats stats;
	struct reader sum = {0};
	struct crew crew;
	double until;

	MODEL_REQUIRE(pamap_create(&map) == 0);
	for (uint32_t i = 0; i < PAGES; i++) {
		struct pamap_entry e = entry_of(i, 0);

		if (is_permanent(i))
			MODEL_REQUIRE(pamap_insert(map, &e, 0) == 0);
	}
	for (int i = 0; i < READERS; i++)
		readers[i].seed = (uint64_t)i + 1;
	crew_start(&crew, READERS, read_on, readers, sizeof(readers[0]));
	until = seconds_now() + seconds;
	for (; updates % 256 != 0 || seconds_now() < until; updates++) {
		change((uint32_t)random_below(&seed, PAGES));
		if (updates % 32 == 0)
			overlap(&seed, &overlaps);
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	crew_join(&crew);
	for (int i = 0; i < READERS; i++) {
		sum.lookups += readers[i].lookups;
		sum.found += readers[i].found;
		sum.torn += readers[i].torn;
		sum.stale += readers[i].stale;
		sum.gap += readers[i].gap;
	}
	pamap_get_stats(map, &stats);
	printf("%llu lookups, %llu found, %llu updates, %llu overlaps, %llu bytes; torn %llu, stale %llu, gap %llu\n",
	       (unsigned long long)sum.lookups, (unsigned long long)sum.found, (unsigned long long)updates,
	       (unsigned long long)overlaps, (unsigned long long)stats.bytes, (unsigned long long)sum.torn,
	       (unsigned long long)sum.stale, (unsigned long long)sum.gap);
	if (!IS_MUTANT(0))
		return sum.torn || sum.stale || sum.gap;
	pamap_destroy(map);
	return sum.torn || sum.stale || sum.gap || sum.found == 0;
}

static int torture_a_second(void)
{
	return torture(1);
}

int main(void)
{
	return IS_MUTANT(0) ? torture((double)scaled(6000) / 1000) : catch_mutant(MUTANT, torture_a_second);
}
