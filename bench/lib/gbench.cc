/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <deque>
#include <vector>

struct gbench {
	benchmark::internal::Benchmark *benchmark;
	gbench_hook *set_up, *tear_down;
	void *context;
};

struct gbench_state {
	benchmark::State &state;
};

namespace
{

std::deque<gbench> all; /* a deque: addresses stay */

/* Google Benchmark's hooks are plain functions, without a context: so ours are called from the first thread of a run. */
void run_hook(gbench_hook *hook, void *context, const benchmark::State &state)
{
	if (hook && state.thread_index() == 0)
		hook(context, state.threads());
}

} // namespace

struct gbench *gbench_register(const char *name, gbench_function *function, void *context)
{
	all.push_back({nullptr, nullptr, nullptr, context});
	gbench *entry = &all.back();

	entry->benchmark =
	        benchmark::RegisterBenchmark(name, [entry, function, context](benchmark::State &state) {
		        gbench_state wrapped = {state};

		        run_hook(entry->set_up, context, state);
		        function(&wrapped, context);
		        run_hook(entry->tear_down, context, state);
	        });
	return entry;
}

void gbench_argument_of(struct gbench *b, int64_t value)
{
	b->benchmark->Arg(value);
}

void gbench_arguments_of(struct gbench *b, const int64_t *values, int count)
{
	b->benchmark->Args(std::vector<int64_t>(values, values + count));
}

void gbench_argument_range(struct gbench *b, int64_t from, int64_t to, int multiplier)
{
	b->benchmark->RangeMultiplier(multiplier)->Range(from, to);
}

void gbench_argument_name(struct gbench *b, const char *name)
{
	b->benchmark->ArgName(name);
}

void gbench_threads(struct gbench *b, int threads)
{
	b->benchmark->Threads(threads);
}

void gbench_thread_range(struct gbench *b, int from, int to)
{
	b->benchmark->ThreadRange(from, to);
}

void gbench_hooks(struct gbench *b, gbench_hook *set_up, gbench_hook *tear_down)
{
	b->set_up = set_up;
	b->tear_down = tear_down;
}

void gbench_use_real_time(struct gbench *b)
{
	b->benchmark->UseRealTime();
}

void gbench_use_manual_time(struct gbench *b)
{
	b->benchmark->UseManualTime();
}

void gbench_measure_process_time(struct gbench *b)
{
	b->benchmark->MeasureProcessCPUTime();
}

void gbench_iterations(struct gbench *b, int64_t iterations)
{
	b->benchmark->Iterations(iterations);
}

void gbench_repetitions(struct gbench *b, int repetitions)
{
	b->benchmark->Repetitions(repetitions)->ReportAggregatesOnly(true);
}

void gbench_unit(struct gbench *b, enum gbench_unit unit)
{
	static const benchmark::TimeUnit units[] = {benchmark::kNanosecond, benchmark::kMicrosecond,
	                                            benchmark::kMillisecond, benchmark::kSecond};

	b->benchmark->Unit(units[unit]);
}

void gbench_complexity(struct gbench *b, enum gbench_complexity complexity)
{
	static const benchmark::BigO orders[] = {benchmark::oAuto, benchmark::o1,     benchmark::oLogN,
	                                         benchmark::oN,    benchmark::oNLogN, benchmark::oNSquared};

	b->benchmark->Complexity(orders[complexity]);
}

bool gbench_keep_running(struct gbench_state *state)
{
	return state->state.KeepRunning();
}

bool gbench_keep_running_batch(struct gbench_state *state, int64_t iterations)
{
	return state->state.KeepRunningBatch(iterations);
}

int64_t gbench_argument(const struct gbench_state *state, int index)
{
	return state->state.range(static_cast<std::size_t>(index));
}

int gbench_thread_index(const struct gbench_state *state)
{
	return state->state.thread_index();
}

int gbench_thread_count(const struct gbench_state *state)
{
	return state->state.threads();
}

int64_t gbench_iterations_done(const struct gbench_state *state)
{
	return static_cast<int64_t>(state->state.iterations());
}

void gbench_pause(struct gbench_state *state)
{
	state->state.PauseTiming();
}

void gbench_resume(struct gbench_state *state)
{
	state->state.ResumeTiming();
}

void gbench_set_iteration_seconds(struct gbench_state *state, double seconds)
{
	state->state.SetIterationTime(seconds);
}

void gbench_set_items(struct gbench_state *state, int64_t items)
{
	state->state.SetItemsProcessed(items);
}

void gbench_set_bytes(struct gbench_state *state, int64_t bytes)
{
	state->state.SetBytesProcessed(bytes);
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

void gbench_set_counter(struct gbench_state *state, const char *name, double value, int flags)
{
	using benchmark::Counter;
	int theirs = 0;

	if (flags & GBENCH_IS_RATE)
		theirs |= Counter::kIsRate;
	if (flags & GBENCH_AVERAGE_THREADS)
		theirs |= Counter::kAvgThreads;
	if (flags & GBENCH_AVERAGE_ITERATIONS)
		theirs |= Counter::kAvgIterations;
	if (flags & GBENCH_INVERT)
		theirs |= Counter::kInvert;
	state->state.counters[name] = Counter(value, static_cast<Counter::Flags>(theirs));
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
