/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Everything that is measured of one trace: all peers, interleaved, repeated. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "replay.h"

#define PEERS_MAX 3u
#define REPEAT_MAX 99u

enum mode {
	MODE_SINGLE,
	MODE_MULTI,
	MODE_COUNT,
};

/* Columns of a latency line, in ns. */
enum figure {
	FIGURE_MEAN,
	FIGURE_P50,
	FIGURE_P90,
	FIGURE_P99,
	FIGURE_P999,
	FIGURE_MAX,
	FIGURE_COUNT,
};

struct spread {
	double median, low, high; /* over the repetitions */
};

struct latency {
	uint64_t count; /* operations in one repetition; 0: the peer cannot do it, or the trace does not */
	struct spread figures[FIGURE_COUNT];
};

struct mode_report {
	struct latency kinds[STEP_KIND_COUNT];
	uint64_t refused[POOL_COUNT]; /* most in any repetition */
	uint64_t left_out; /* most in any repetition */
	uint64_t attempts_served; /* fewest in any repetition */
	uint64_t attempts_impossible;
};

struct peer_report {
	const struct peer *peer;
	struct mode_report modes[MODE_COUNT];
	size_t smallest[POOL_COUNT]; /* bytes; 0: not looked for, or not found */
	struct timeline timeline;
};

struct trace_report {
	const char *name;
	struct plan plan;
	uint32_t events, objects;
	struct region region;
	bool searched
	        [POOL_COUNT]; /* whether the trace has enough traffic of that pool to ask for the smallest */
	uint32_t peer_count;
	struct peer_report peers[PEERS_MAX];
};

struct measure_config {
	bool modes[MODE_COUNT];
	uint32_t repeat;
	struct clock_scale scale;
};

/* How many progress steps measure_trace makes. */
uint32_t measure_steps(const struct measure_config *config, uint32_t peers);

/*
 * Measure. The caller has set name, plan, events, objects, region and the peers of `report`. The region must be the
 * start of a mapping with room for sixteen times its size. Returns 0, or -1 with *fault set.
 */
int measure_trace(const struct measure_config *config, struct trace_report *report,
                  struct replay_fault *fault);

const char *mode_name(enum mode mode);
const char *figure_name(enum figure figure);

#endif
