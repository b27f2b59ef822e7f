/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Recorded traffic through isthmus and the replay's other peers: the whole recording each time, over the same memory.
 *
 * An iteration is one allocation or free of the recording, each timed by itself (replay.h), so neither the replay's own
 * work nor waiting for another thread is in it; and translations are not, which not every peer can do. They and the two
 * pools apart are counters.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "replay/recording.h"
#include "replay/replay.h"
#include "suites.h"

#define OPERATIONS 50000u /* at least so many in a repetition */

struct subject {
	const struct peer *peer;
	struct recording *recording;
	bool checked; /* once: its answers are right, and its pages are present */
};

static struct clock_scale scale;
static struct region region;

/* What all replays of a run add up to. */
struct total {
	struct histogram driver, client, translations;
	uint64_t replays, refused;
};

static void add_result(struct total *total, const struct replay_result *result)
{
	for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
		bool translates = kind == STEP_TO_PHYS || kind == STEP_TO_VIRT;

		histogram_merge(translates                                       ? &total->translations
		                : step_pool((enum step_kind)kind) == POOL_DRIVER ? &total->driver
		                                                                 : &total->client,
		                &result->kinds[kind]);
	}
	total->replays++;
	/* Requests larger than the pool are refused by all, and rightly. */
	total->refused += result->refused[POOL_DRIVER] + result->refused[POOL_CLIENT] +
	                  result->attempts_refused - result->attempts_impossible;
}

static double nanoseconds(const struct histogram *histogram)
{
	return clock_nanoseconds(&scale, (double)histogram->sum,
	                         scale.overhead_mean * (double)histogram->count);
}

static void report_mean(struct gbench_state *state, const char *name, const struct histogram *histogram)
{
	if (histogram->count)
		gbench_set_counter(state, name, nanoseconds(histogram) / (double)histogram->count);
}

static void report(struct gbench_state *state, const struct total *total)
{
	report_mean(state, "driver pool", &total->driver);
	report_mean(state, "client pool", &total->client);
	report_mean(state, "translation", &total->translations);
	gbench_set_counter(state, "refused", (double)total->refused / (double)total->replays);
}

static uint64_t operations(const struct plan *plan)
{
	uint64_t count = 0;

	for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
		if (step_allocates((enum step_kind)kind) || step_frees((enum step_kind)kind))
			count += plan->kinds[kind];
	}
	return count;
}

/* Of what was served: what was refused, and not freed therefore, is left out as if it had taken as long as the rest. */
static double seconds_each(const struct replay_result *result)
{
	struct total one = {.replays = 0};
	uint64_t served;

	add_result(&one, result);
	served = one.driver.count + one.client.count;
	return served ? (nanoseconds(&one.driver) + nanoseconds(&one.client)) * 1e-9 / (double)served : 0;
}

static bool check(struct subject *subject, const struct replay_setup *setup, struct replay_fault *fault)
{
	static struct timeline timeline;

	if (!subject->checked)
		subject->checked = replay_checked(setup, &timeline, fault) == 0;
	return subject->checked;
}

static void replay(struct gbench_state *state, void *context)
{
	struct subject *subject = context;
	const struct plan *plan = &subject->recording->plan;
	struct replay_setup setup = {
	        .peer = subject->peer, .plan = plan, .region = region, .multi = gbench_argument(state) > 1};
	static struct replay_result result;
	static struct total total;
	struct replay_fault fault;

	if (!check(subject, &setup, &fault)) {
		gbench_skip(state, fault.text);
		return;
	}
	total = (struct total){.replays = 0};
	while (gbench_keep_running_batch(state, (int64_t)operations(plan))) {
		if (replay_timed(&setup, &result, &fault)) {
			gbench_skip(state, fault.text);
			return;
		}
		add_result(&total, &result);
		gbench_set_iteration_seconds(state, seconds_each(&result) * (double)operations(plan));
	}
	report(state, &total);
}

static void add(struct recording *recording, const struct peer *peer)
{
	uint64_t once = operations(&recording->plan);
	struct subject *subject = must_allocate(1, sizeof(*subject)); /* for as long as the program runs */
	struct gbench *b;

	if (!once)
		return; /* nothing but registrations: there is nothing to compare */
	*subject = (struct subject){.peer = peer, .recording = recording};
	b = gbench_register(replay, subject, "replay/%s/%s", recording->name, peer->name);
	gbench_arguments(b, "workers", (const int64_t[]){1, recording->plan.worker_count},
	                 recording->plan.worker_count > 1 ? 2 : 1);
	gbench_use_manual_time(b);
	/* The same for all. Until a least time is reached would be minutes where each refusal takes milliseconds. */
	gbench_iterations(b, (int64_t)(OPERATIONS / once + 1) * (int64_t)once);
}

static void add_file(const char *path, bool with_jemalloc)
{
	struct recording *recording = must_allocate(1, sizeof(*recording));
	struct trace_error error;

	if (recording_load(path, recording, &error)) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	suite_tee_replay_register(recording);
	add(recording, &peer_isthmus);
	add(recording, &peer_bestfit);
	if (with_jemalloc)
		add(recording, &peer_jemalloc);
}

void suite_replay_register(const char *directory, bool with_jemalloc)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.istrace", directory);
	if (glob(pattern, 0, NULL, &found)) {
		fprintf(stderr, "%s: no recordings there\n", directory);
		exit(1);
	}
	scale = clock_calibrate();
	region = recording_region(
	        mmap(NULL, RECORDED_POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	        RECORDED_POOL, RECORDED_DRIVER_POOL);
	if ((void *)region.vaddr == MAP_FAILED)
		exit(1);
	for (size_t i = 0; i < found.gl_pathc; i++)
		add_file(found.gl_pathv[i], with_jemalloc);
	globfree(&found);
}
