/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Maps of many mappings to measure the PA map with. Latencies are those of dependent accesses: the answer to a look-up is the address
 * of the next one, on a random cycle through all mappings. All are translations (an address in, an address out). The floor is a chase
 * over 16 bytes for each mapping, on a random cycle too.
 */
#ifndef BENCH_PAMAP_H
#define BENCH_PAMAP_H

#include "pamap/pamap.h"
#include "suites.h"

enum layout { RANDOM, CONTIGUOUS, MIXED }; /* mixed: of 1, 2, 4 ... 128 pages */

struct link {
	uint64_t next, pad;
};

struct set {
	const char *name;
	enum layout layout;
	size_t count;
	struct pamap *map; /* null: not yet made */
	struct pamap_entry *entry; /* in a random order, or ascending if contiguous */
	struct link *chase;
	double bytes; /* that the map keeps for a mapping, when all that waited for readers was given back */
};

enum { SET_SMALL, SET_RANDOM, SET_CONTIGUOUS, SET_MIXED, SET_LARGE, SETS };
extern struct set sets[SETS];

/* Made when it is first asked for; it stays. Any thread. */
struct set *set_get(int which);

/* Wait until nothing waits for readers any more. */
void pamap_settle(struct pamap *map);

/* `steps` dependent steps from `at` on, an address or the number of a link: where they end. */
uint64_t set_follow(const struct set *set, uint64_t at, size_t steps);
uint64_t set_chase(const struct set *set, uint64_t at, size_t steps);
static inline uint64_t set_start(const struct set *set)
{
	return set->entry[0].page << PAMAP_PAGE_SHIFT;
}

/* Keeps a result from being optimised away. */
void bench_use(uint64_t value);

void suite_pamap_updates_register(void);
void suite_pamap_flavours_register(void);

#endif
