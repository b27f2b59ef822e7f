/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "options.h"

#include "replay/recording.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAX ((size_t)1 << 36)

static const struct argp_option known[] = {
        {"threads", 't', "single|multi", 0,
         "one thread for all events, or one for each recorded CPU; default: both in turn", 0},
        {"repeat", 'r', "N", 0, "repetitions of each measurement, peers interleaved, 1 to 99; default 5", 0},
        {"quick", 'q', NULL, 0, "one repetition: shows that all works, its times mean little", 0},
        {"pool", 'p', "SIZE", 0, "the carve-out, bytes or with K, M or G; default 2M, as recorded", 0},
        {"driver-pool", 'd', "SIZE", 0, "its driver pool; default 16K", 0},
        {"out", 'o', "DIR", 0, "write the figures (JSON) into DIR", 0},
        {0},
};

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

static bool parse_repeat(const char *text, uint32_t *repeat)
{
	uint64_t value;
	char *end;

	if (!parse_number(text, &value, &end) || *end || value < 1 || value > REPEAT_MAX)
		return false;
	*repeat = (uint32_t)value;
	return true;
}

static bool parse_threads(const char *word, bool modes[MODE_COUNT])
{
	modes[MODE_SINGLE] = !strcmp(word, "single");
	modes[MODE_MULTI] = !strcmp(word, "multi");
	return modes[MODE_SINGLE] || modes[MODE_MULTI];
}

static void check(struct argp_state *state, bool good, const char *word, const char *wanted)
{
	if (!good)
		argp_error(state, "%s: wanted %s", word, wanted);
}

static error_t parse(int key, char *word, struct argp_state *state)
{
	static const char pages[] = "whole pages of 4 KiB up to 64G";
	struct options *options = state->input;

	switch (key) {
	case 't':
		check(state, parse_threads(word, options->modes), word, "single or multi");
		return 0;
	case 'r':
		check(state, parse_repeat(word, &options->repeat), word, "a number from 1 to 99");
		return 0;
	case 'q':
		options->repeat = 1;
		return 0;
	case 'p':
		check(state, parse_size(word, &options->pool), word, pages);
		return 0;
	case 'd':
		check(state, parse_size(word, &options->driver_pool), word, pages);
		return 0;
	case 'o':
		options->out = word;
		return 0;
	case ARGP_KEY_ARGS:
		options->files = state->argv + state->next;
		options->file_count = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no trace given");
		return 0;
	case ARGP_KEY_END:
		if (options->driver_pool > options->pool / 2)
			argp_error(state, "the driver pool must not be more than half of the carve-out");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void options_parse(int argc, char **argv, struct options *options)
{
	static const struct argp argp = {
	        .options = known,
	        .parser = parse,
	        .args_doc = "FILE...",
	        .doc = "Replays recorded shared-memory traffic through isthmus, a mutexed best-fit region list and "
	               "jemalloc, and prints what each operation took, what was refused, and the smallest pool that "
	               "would have been enough.",
	};

	*options = (struct options){.modes = {true, true},
	                            .repeat = 5,
	                            .pool = RECORDED_POOL,
	                            .driver_pool = RECORDED_DRIVER_POOL};
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, options);
}
