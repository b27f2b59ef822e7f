/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The command line of the replay program. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "replay/measure.h"

struct options {
	bool modes[MODE_COUNT];
	uint32_t repeat;
	size_t pool, driver_pool; /* bytes of the whole carve-out, and of the driver pool in it */
	const char *out; /* null: no figures for plots */
	char **files;
	int file_count;
};

/* Ends the program, after --help with status 0, after a message about what is wrong with 2. */
void options_parse(int argc, char **argv, struct options *options);

#endif
