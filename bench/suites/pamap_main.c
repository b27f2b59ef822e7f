/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The table of the PA map: each measure, its goal, and the median of repeats that take turns. See bench/run --help. */
#include "pamap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pamap_rows.h"
#include "lib/progress.h"

static void print_row(struct row *row)
{
	double value = median(&row->samples);
	bool good = row->at_least ? value >= row->goal : value <= row->goal;

	printf("  %-58s %s %8.2f  %10.2f %-11s %s\n", row->name, row->at_least ? ">=" : "<=", row->goal, value, row->unit,
	       good ? "reached" : "missed");
}

static void print_report(struct rows *rows)
{
	printf("\nPA map: medians of %zu interleaved repeats; chase = dependent loads over 16 bytes a mapping\n\n", rows->repeats);
	printf("  %-58s %11s  %10s\n", "measure", "goal", "measured");
	for (size_t i = 0; i < rows->count; i++)
		print_row(&rows->row[i]);
	printf("\nbeside\n");
	for (size_t i = 0; i < rows->note_count; i++)
		printf("  %-58s %10.2f %s\n", rows->note[i].name, median(&rows->note[i].samples),
		       rows->note[i].unit);
}

int main(int argc, char **argv)
{
	static struct rows rows;

	rows.repeats = 9;
	rows.large = true;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			rows.repeats = 1;
			rows.large = false;
		} else if (argv[i][0] == '-') { /* bench/run also names the folder for plots: there are none */
			fprintf(stderr, "usage: bench-pamap [--quick]\n");
			return 2;
		}
	}
	rows_measure(&rows);
	progress_clear();
	print_report(&rows);
	return 0;
}
