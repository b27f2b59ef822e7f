/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* From the records of one process to a trace in the text format that bench/run replays (bench/traces/README.md). */
#ifndef TOOLS_MERGE_H
#define TOOLS_MERGE_H

#include <stddef.h>
#include <stdio.h>

#include "trace/spool.h"

struct merged {
	uint64_t events, objects;
	/* Ends that nobody recorded, seen by the next birth at the same place or by the end of an owner. */
	uint64_t implied;
	uint64_t unknown; /* ends of what was not born here, or was refused */
	uint64_t alive; /* at the end */
};

/* Sorts the records. 0, or -1: no memory, or the file cannot be written. */
int merge(struct spool_record *records, size_t count, FILE *out, struct merged *result);

#endif
