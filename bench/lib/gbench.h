/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Google Benchmark for programs in plain C: one function here for each thing of it that a benchmark needs, nothing
 * else. Its command line flags and output formats are all there (gbench_run gives it the arguments).
 *
 *     static void pair(struct gbench_state *state, void *context)
 *     {
 *             while (gbench_keep_running(state))
 *                     give(context, take(context, gbench_argument(state, 0)));
 *     }
 *     ...
 *     struct gbench *b = gbench_register("pair", pair, pool);
 *     gbench_argument_range(b, 8, 1024, 4);
 *     gbench_threads(b, 2);
 *     return gbench_run(argc, argv);
 *
 * A benchmark function runs in each of its threads; what its state functions do and when they may be called is as in
 * Google Benchmark's own documentation of the member of the same name.
 */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench; /* a registered benchmark; lives until the program ends */
struct gbench_state; /* one run of it in one thread */

typedef void gbench_function(struct gbench_state *state, void *context);
typedef void gbench_hook(void *context,
                         int threads); /* before the threads of a run start, or after they have ended */

/* `name` is copied. `context` goes to the function and the hooks. */
struct gbench *gbench_register(const char *name, gbench_function *function, void *context);

void gbench_argument_of(struct gbench *benchmark, int64_t value);
void gbench_arguments_of(struct gbench *benchmark, const int64_t *values,
                         int count); /* one run with so many */
void gbench_argument_range(struct gbench *benchmark, int64_t from, int64_t to, int multiplier);
void gbench_argument_name(struct gbench *benchmark, const char *name);
void gbench_threads(struct gbench *benchmark, int threads); /* may be called for several numbers */
void gbench_thread_range(struct gbench *benchmark, int from, int to); /* powers of two and `to` */
void gbench_hooks(struct gbench *benchmark, gbench_hook *set_up,
                  gbench_hook *tear_down); /* either may be null */
void gbench_use_real_time(struct gbench *benchmark);
void gbench_use_manual_time(struct gbench *benchmark);
void gbench_measure_process_time(struct gbench *benchmark);
void gbench_iterations(struct gbench *benchmark, int64_t iterations);
void gbench_repetitions(struct gbench *benchmark,
                        int repetitions); /* and only their statistics are reported */

enum gbench_unit { GBENCH_NANOSECONDS, GBENCH_MICROSECONDS, GBENCH_MILLISECONDS, GBENCH_SECONDS };
void gbench_unit(struct gbench *benchmark, enum gbench_unit unit);

enum gbench_complexity {
	GBENCH_O_AUTO,
	GBENCH_O_1,
	GBENCH_O_LOG_N,
	GBENCH_O_N,
	GBENCH_O_N_LOG_N,
	GBENCH_O_N_SQUARED
};
void gbench_complexity(struct gbench *benchmark, enum gbench_complexity complexity);

/* In a benchmark function. */
bool gbench_keep_running(struct gbench_state *state);
bool gbench_keep_running_batch(struct gbench_state *state,
                               int64_t iterations); /* cheap loops: do so many at once */
int64_t gbench_argument(const struct gbench_state *state, int index);
int gbench_thread_index(const struct gbench_state *state);
int gbench_thread_count(const struct gbench_state *state);
int64_t gbench_iterations_done(const struct gbench_state *state);
void gbench_pause(struct gbench_state *state);
void gbench_resume(struct gbench_state *state);
void gbench_set_iteration_seconds(struct gbench_state *state,
                                  double seconds); /* with gbench_use_manual_time */
void gbench_set_items(struct gbench_state *state, int64_t items);
void gbench_set_bytes(struct gbench_state *state, int64_t bytes);
void gbench_set_complexity_n(struct gbench_state *state, int64_t n);
void gbench_set_label(struct gbench_state *state, const char *label);
void gbench_skip(struct gbench_state *state, const char *reason); /* this run is reported as failed */

enum {
	GBENCH_PLAIN = 0,
	GBENCH_IS_RATE = 1,
	GBENCH_AVERAGE_THREADS = 2,
	GBENCH_AVERAGE_ITERATIONS = 4,
	GBENCH_INVERT = 8
};
void gbench_set_counter(struct gbench_state *state, const char *name, double value, int flags);

/* What is printed and written with the results, beside what Google Benchmark finds out itself. Before gbench_run. */
void gbench_add_context(const char *key, const char *value);

/* Run what the command line asks for. Returns the exit status; complains about flags that it does not know. */
int gbench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
