/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The benchmark of the PA map. Latencies are those of dependent accesses: the answer to a lookup is the address of the
 * next one, on a random cycle through all mappings. All are translations (an address in, an address out). The floor beside is a chase over 16 bytes for each mapping,
 * on a random cycle too, in the same process, in turn with what it is compared with.
 */
#ifndef BENCH_PAMAP_H
#define BENCH_PAMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pamap/pamap.h"

enum layout { RANDOM, CONTIGUOUS, MIXED };

struct link {
	uint64_t next, pad;
};

struct set {
	enum layout layout;
	size_t count;
	struct pamap_entry *entry; /* in a random order, or ascending if contiguous */
	struct pamap *map;
	struct link *chase;
	uint64_t at;   /* where the cycle through the map is */
	uint64_t link; /* where the chase is */
};

uint64_t bench_random(void);

/* Exits with a message when memory is short. */
void set_make(struct set *set, enum layout layout, size_t count);
void set_drop(struct set *set);

/* Nanoseconds for one of `steps` dependent steps. */
double set_chase(struct set *set, size_t steps);
double set_follow(struct set *set, size_t steps);

/* Independent lookups of mappings drawn at random: nanoseconds for each. */
struct peer_map {
	const char *name;
	void *(*make)(const struct set *set);
	double (*lookups)(void *made, const uint64_t *at, size_t count);
	void (*drop)(void *made);
};
extern const struct peer_map peer_isthmus, peer_tree, peer_hash;

/* Begin and end of a read section by flavour, inlined or called: nanoseconds for each pair. */
enum flavour { BP_INLINED, BP_CALLED, MEMB_INLINED, QSBR_INLINED, FLAVOURS };
double flavour_pair(enum flavour flavour, size_t count);
extern const char *const flavour_names[FLAVOURS];

/* Keeps a result from being optimised away. */
void bench_use(uint64_t value);

/* Everything is measured this many times, in turn; medians count. */
struct samples {
	size_t count;
	double value[128];
};
void sample(struct samples *samples, double value);
double median(struct samples *samples);

#endif
