/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "options.h"

#include "replay/recording.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAX ((size_t)1 << 36)

static const char help[] =
        "usage: replay [OPTION]... FILE...\n"
        "\n"
        "Replays recorded shared-memory traffic through isthmus, a mutexed best-fit region list and jemalloc, and\n"
        "prints what each operation took, what was refused, and the smallest pool that would have been enough.\n"
        "\n"
        "  --threads single|multi  one thread for all events, or one for each recorded CPU; default: both in turn\n"
        "  --repeat N              repetitions of each measurement, peers interleaved, 1 to 99; default 5\n"
        "  --quick                 one repetition: shows that all works, its times mean little\n"
        "  --pool SIZE             the carve-out, bytes or with K, M or G; default 2M, as recorded\n"
        "  --driver-pool SIZE      its driver pool; default 16K\n"
        "  --out DIR               write plots (SVG) into DIR\n"
        "  --help                  this text\n";

static int complain(const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "replay: --%s %s: wanted %s\n", option, value, wanted);
	return 2;
}

static bool parse_number(const char *text, uint64_t *value, char **end)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return errno == 0;
}

static bool parse_size(const char *text, size_t *size)
{
	static const char units[] = "KMG";
	const char *unit;
	uint64_t value;
	char *end;

	if (!parse_number(text, &value, &end))
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return false;
	if (value == 0 || value > POOL_MAX)
		return false;
	if (unit)
		value <<= 10 * (unit - units + 1);
	if (value > POOL_MAX || value % IST_PAGE_SIZE)
		return false;
	*size = value;
	return true;
}

static int parse_threads(const char *word, struct options *options)
{
	options->modes[MODE_SINGLE] = !strcmp(word, "single");
	options->modes[MODE_MULTI] = !strcmp(word, "multi");
	if (options->modes[MODE_SINGLE] || options->modes[MODE_MULTI])
		return -1;
	return complain("threads", word, "single or multi");
}

static int parse_repeat(const char *word, struct options *options)
{
	uint64_t value;
	char *end;

	if (!parse_number(word, &value, &end) || *end || value < 1 || value > REPEAT_MAX)
		return complain("repeat", word, "a number from 1 to 99");
	options->repeat = (uint32_t)value;
	return -1;
}

static int parse_option(int option, const char *word, struct options *options)
{
	switch (option) {
	case 't':
		return parse_threads(word, options);
	case 'r':
		return parse_repeat(word, options);
	case 'q':
		options->repeat = 1;
		return -1;
	case 'p':
		return parse_size(word, &options->pool)
		               ? -1
		               : complain("pool", word, "whole pages of 4 KiB up to 64G");
	case 'd':
		return parse_size(word, &options->driver_pool)
		               ? -1
		               : complain("driver-pool", word, "whole pages of 4 KiB up to 64G");
	case 'o':
		options->out = word;
		return -1;
	case 'h':
		fputs(help, stdout);
		return 0;
	default:
		fprintf(stderr, "replay: --help says what there is\n");
		return 2;
	}
}

int options_parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
	        {"threads", required_argument, NULL, 't'},
	        {"repeat", required_argument, NULL, 'r'},
	        {"quick", no_argument, NULL, 'q'},
	        {"pool", required_argument, NULL, 'p'},
	        {"driver-pool", required_argument, NULL, 'd'},
	        {"out", required_argument, NULL, 'o'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	int option, status;

	*options = (struct options){
	        .modes = {true, true}, .repeat = 5, .pool = RECORDED_POOL, .driver_pool = RECORDED_DRIVER_POOL};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		status = parse_option(option, optarg, options);
		if (status >= 0)
			return status;
	}
	options->files = argv + optind;
	options->file_count = argc - optind;
	if (options->file_count == 0) {
		fprintf(stderr, "replay: no trace given; --help says what there is\n");
		return 2;
	}
	if (options->driver_pool > options->pool / 2) {
		fprintf(stderr, "replay: the driver pool must not be more than half of the carve-out\n");
		return 2;
	}
	return -1;
}
