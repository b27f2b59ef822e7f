/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What is measured, in the order of the table. */
#ifndef BENCH_PAMAP_ROWS_H
#define BENCH_PAMAP_ROWS_H

#include "pamap.h"

struct row {
	const char *name, *unit;
	double goal;
	bool at_least;
	struct samples samples;
};

struct rows {
	size_t repeats; /* as asked for */
	bool large;     /* with 10 million mappings */
	size_t count, note_count;
	struct row row[40], note[40]; /* notes have no goal */
};

void rows_measure(struct rows *rows);

/* Each adds to its rows: one repeat. Rows are found by name, and made when they are new. */
void rows_add(struct rows *rows, const char *name, const char *unit, double goal, bool at_least, double value);
void rows_note(struct rows *rows, const char *name, const char *unit, double value);

/* CPU time of the calling thread: where two must run at once, other processes would otherwise count. */
double thread_seconds(void);

/* In pamap_updates.c: what changes the map. */
void measure_disturbed(struct rows *rows, struct set *set);
void measure_updates(struct rows *rows, struct set *set);
void measure_owner(struct rows *rows);
void measure_memory(struct rows *rows, const struct set *set, const char *name, double goal);

#endif
