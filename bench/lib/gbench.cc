/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <cstdarg>
#include <cstdio>
#include <deque>

struct gbench {
	benchmark::internal::Benchmark *benchmark;
};

struct gbench_state {
	benchmark::State &state;
};

static std::deque<gbench> all; /* a deque: addresses stay */

struct gbench *gbench_register(gbench_function *function, void *context, const char *format, ...)
{
	char name[192];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	all.push_back({benchmark::RegisterBenchmark(name, [function, context](benchmark::State &state) {
		gbench_state wrapped = {state};

		function(&wrapped, context);
	})});
	return &all.back();
}

void gbench_arguments(struct gbench *b, const char *name, const int64_t *values, size_t count)
{
	b->benchmark->ArgName(name);
	for (size_t i = 0; i < count; i++)
		b->benchmark->Arg(values[i]);
}

void gbench_threads(struct gbench *b, int threads)
{
	b->benchmark->Threads(threads);
}

void gbench_thread_range(struct gbench *b, int from, int to)
{
	b->benchmark->ThreadRange(from, to);
}

void gbench_use_real_time(struct gbench *b)
{
	b->benchmark->UseRealTime();
}

void gbench_use_manual_time(struct gbench *b)
{
	b->benchmark->UseManualTime();
}

void gbench_iterations(struct gbench *b, int64_t iterations)
{
	b->benchmark->Iterations(iterations);
}

void gbench_complexity(struct gbench *b)
{
	b->benchmark->Complexity();
}

bool gbench_keep_running(struct gbench_state *state)
{
	return state->state.KeepRunning();
}

bool gbench_keep_running_batch(struct gbench_state *state, int64_t iterations)
{
	return state->state.KeepRunningBatch(iterations);
}

int64_t gbench_argument(const struct gbench_state *state)
{
	return state->state.range(0);
}

int gbench_thread_index(const struct gbench_state *state)
{
	return state->state.thread_index();
}

int gbench_thread_count(const struct gbench_state *state)
{
	return state->state.threads();
}

void gbench_set_iteration_seconds(struct gbench_state *state, double seconds)
{
	state->state.SetIterationTime(seconds);
}

void gbench_set_complexity_n(struct gbench_state *state, int64_t n)
{
	state->state.SetComplexityN(n);
}

void gbench_set_label(struct gbench_state *state, const char *label)
{
	state->state.SetLabel(label);
}

void gbench_skip(struct gbench_state *state, const char *reason)
{
	state->state.SkipWithError(reason);
}

void gbench_set_counter(struct gbench_state *state, const char *name, double value)
{
	state->state.counters[name] = benchmark::Counter(value, benchmark::Counter::kAvgThreads);
}

void gbench_add_context(const char *key, const char *value)
{
	benchmark::AddCustomContext(key, value);
}

int gbench_run(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}
