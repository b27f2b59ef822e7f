/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "measure.h"

#include "lib/median.h"
#include "lib/progress.h"

#include <stdlib.h>

/* A pool with less traffic than this is not worth a search. */
#define SEARCH_MIN 16u

/* One kind of one peer, all repetitions. */
typedef double samples[FIGURE_COUNT][REPEAT_MAX];

struct series {
	samples kinds[STEP_KIND_COUNT];
};

static const double fractions[FIGURE_COUNT] = {
        [FIGURE_P50] = 0.5,
        [FIGURE_P90] = 0.9,
        [FIGURE_P99] = 0.99,
        [FIGURE_P999] = 0.999,
};

const char *mode_name(enum mode mode)
{
	return mode == MODE_SINGLE ? "one thread" : "a thread for each recorded CPU";
}

const char *figure_name(enum figure figure)
{
	static const char *const names[FIGURE_COUNT] = {
	        [FIGURE_MEAN] = "mean", [FIGURE_P50] = "p50",    [FIGURE_P90] = "p90",
	        [FIGURE_P99] = "p99",   [FIGURE_P999] = "p99.9", [FIGURE_MAX] = "max",
	};

	return names[figure];
}

static struct spread spread_of(double *values, uint32_t count)
{
	struct spread spread;

	spread.median = median_sort(values, count); /* and the lowest comes first */
	spread.low = values[0];
	spread.high = values[count - 1];
	return spread;
}

/* In ns, without what reading the clock took. */
static double figure_of(const struct histogram *histogram, enum figure figure,
                        const struct clock_scale *scale)
{
	double ticks, overhead = scale->overhead_median;

	switch (figure) {
	case FIGURE_MEAN:
		ticks = histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
		overhead = scale->overhead_mean;
		break;
	case FIGURE_MAX:
		ticks = (double)histogram->max;
		break;
	default:
		ticks = (double)histogram_percentile(histogram, fractions[figure]);
		break;
	}
	return clock_nanoseconds(scale, ticks, overhead);
}

static void note(struct mode_report *report, struct series *series, uint32_t repetition,
                 const struct replay_result *result, const struct clock_scale *scale)
{
	uint32_t kind, figure, pool;

	for (kind = 0; kind < STEP_KIND_COUNT; kind++) {
		report->kinds[kind].count = result->kinds[kind].count;
		for (figure = 0; figure < FIGURE_COUNT; figure++)
			series->kinds[kind][figure][repetition] =
			        figure_of(&result->kinds[kind], figure, scale);
	}
	for (pool = 0; pool < POOL_COUNT; pool++)
		if (result->refused[pool] > report->refused[pool])
			report->refused[pool] = result->refused[pool];
	if (result->left_out > report->left_out)
		report->left_out = result->left_out;
	if (repetition == 0 || result->attempts_served < report->attempts_served)
		report->attempts_served = result->attempts_served;
	report->attempts_impossible = result->attempts_impossible;
}

static void sum_up(struct mode_report *report, struct series *series, uint32_t repeat)
{
	uint32_t kind, figure;

	for (kind = 0; kind < STEP_KIND_COUNT; kind++)
		for (figure = 0; figure < FIGURE_COUNT; figure++)
			report->kinds[kind].figures[figure] = spread_of(series->kinds[kind][figure], repeat);
}

static struct replay_setup setup_of(const struct trace_report *report, uint32_t peer, enum mode mode)
{
	return (struct replay_setup){
	        .peer = report->peers[peer].peer,
	        .plan = &report->plan,
	        .region = report->region,
	        .multi = mode == MODE_MULTI,
	};
}

static int measure_mode(const struct measure_config *config, struct trace_report *report, enum mode mode,
                        struct replay_fault *fault)
{
	struct series *series = calloc(report->peer_count, sizeof(*series));
	struct replay_result *result = malloc(sizeof(*result));
	uint32_t repetition, turn;
	int error = series && result ? 0 : -1;

	if (error)
		*fault = (struct replay_fault){"no memory for the measurements"};
	for (repetition = 0; repetition < config->repeat && !error; repetition++) {
		for (turn = 0; turn < report->peer_count && !error; turn++) {
			/* Another one goes first each time, so that no peer always runs behind the same one. */
			uint32_t peer = (repetition + turn) % report->peer_count;
			struct replay_setup setup = setup_of(report, peer, mode);

			progress_step("%s: %s, repetition %u, %s", report->name, mode_name(mode),
			              repetition + 1, setup.peer->name);
			error = replay_timed(&setup, result, fault);
			if (!error)
				note(&report->peers[peer].modes[mode], &series[peer], repetition, result,
				     &config->scale);
		}
	}
	for (turn = 0; turn < report->peer_count && !error; turn++)
		sum_up(&report->peers[turn].modes[mode], &series[turn], config->repeat);
	free(series);
	free(result);
	return error;
}

static int search(struct trace_report *report, uint32_t peer, struct replay_fault *fault)
{
	struct replay_setup setup = setup_of(report, peer, MODE_SINGLE);
	enum pool pool;

	progress_step("%s: smallest pools, %s", report->name, setup.peer->name);
	for (pool = 0; pool < POOL_COUNT; pool++)
		if (report->searched[pool] &&
		    replay_smallest(&setup, pool, &report->peers[peer].smallest[pool], fault))
			return -1;
	return 0;
}

uint32_t measure_steps(const struct measure_config *config, uint32_t peers)
{
	uint32_t modes = (uint32_t)config->modes[MODE_SINGLE] + (uint32_t)config->modes[MODE_MULTI];

	return peers * (2 + modes * config->repeat);
}

int measure_trace(const struct measure_config *config, struct trace_report *report,
                  struct replay_fault *fault)
{
	const uint64_t *kinds = report->plan.kinds;
	uint32_t peer, mode;

	report->searched[POOL_DRIVER] = kinds[STEP_DRIVER_ALLOC] + kinds[STEP_MSG_GET] >= SEARCH_MIN;
	report->searched[POOL_CLIENT] = kinds[STEP_CLIENT_ALLOC] >= SEARCH_MIN;
	for (peer = 0; peer < report->peer_count; peer++) {
		struct replay_setup setup = setup_of(report, peer, MODE_SINGLE);

		progress_step("%s: checked replay, %s", report->name, setup.peer->name);
		if (replay_checked(&setup, &report->peers[peer].timeline, fault))
			return -1;
	}
	for (mode = 0; mode < MODE_COUNT; mode++)
		if (config->modes[mode] && measure_mode(config, report, mode, fault))
			return -1;
	for (peer = 0; peer < report->peer_count; peer++)
		if (search(report, peer, fault))
			return -1;
	return 0;
}
