/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the measurements of dynamic mappings share: guest RAM behind a manager, and rows with goals. */
#ifndef BENCH_MAPPING_H
#define BENCH_MAPPING_H

#include <isthmus/isthmus.h>

#include "lib/rounds.h"

#define RAM_PADDR UINT64_C(0x100000000)
#define RAM_BYTES ((size_t)64 << 20)

struct bench_space {
	struct ist_manager *manager;
	char *carve_out;
	char *ram; /* RAM_BYTES, shared, also reached through fd */
	int fd;
};

/* A manager with RAM at RAM_PADDR: behind the file, or (mapped) as memory that the caller has mapped. */
struct bench_space bench_space_make(bool mapped, uint64_t cache_bytes);
void bench_space_drop(struct bench_space *space);

/* A measurement in a line. */
void print_ns(const struct round_values *values);

/* Prints a goal and whether it was reached. */
void goal_most(const char *what, double value, double most, const char *unit);
void goal_least(const char *what, double value, double least, const char *unit);

void must(int error, const char *what);
double now_ns(void);

/* The parts of the report; rounds: of each measurement. */
void bench_pairs(int rounds); /* register and unregister, beside mmap and munmap */
void bench_segments(int rounds); /* scattered pages */
void bench_growth(bool large); /* costs as there is more, and beside a hostile guest */
void bench_many(int rounds, bool large); /* a million live mappings */
void bench_trace(const char *path); /* the recorded registrations */

#endif
