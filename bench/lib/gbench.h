/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Google Benchmark for programs in plain C: one function here for each thing of it that a benchmark needs, nothing
 * else. Its command line flags and output formats are all there (gbench_run gives it the arguments).
 *
 *     static void pair(struct gbench_state *state, void *context)
 *     {
 *             while (gbench_keep_running(state))
 *                     give(context, take(context, gbench_argument(state)));
 *     }
 *     ...
 *     struct gbench *b = gbench_register(pair, pool, "driver/pair/isthmus");
 *     gbench_over(b, "bytes", 8, 64, 256);
 *     gbench_threads(b, 2);
 *     return gbench_run(argc, argv);
 *
 * A benchmark function runs in each of its threads; what its state functions do and when they may be called is as in
 * Google Benchmark's own documentation of the member of the same name.
 */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench; /* a registered benchmark; lives until the program ends */
struct gbench_state; /* one run of it in one thread */

typedef void gbench_function(struct gbench_state *state, void *context);

/* `context` goes to the function. The name is made as by printf. */
struct gbench *gbench_register(gbench_function *function, void *context, const char *name, ...)
        __attribute__((format(printf, 3, 4)));

/* A run with each of the values of one argument: gbench_over(b, "bytes", 8, 64, 256). */
#define gbench_over(benchmark, name, ...)                                                                    \
	gbench_arguments(benchmark, name, (const int64_t[]){__VA_ARGS__},                                    \
	                 sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
void gbench_arguments(struct gbench *benchmark, const char *name, const int64_t *values, size_t count);
void gbench_threads(struct gbench *benchmark, int threads); /* may be called for several numbers */
void gbench_thread_range(struct gbench *benchmark, int from, int to); /* powers of two and `to` */
void gbench_use_real_time(struct gbench *benchmark);
void gbench_use_manual_time(struct gbench *benchmark);
void gbench_iterations(struct gbench *benchmark, int64_t iterations);

void gbench_complexity(struct gbench *benchmark); /* is reported, of gbench_set_complexity_n */

/* In a benchmark function. */
bool gbench_keep_running(struct gbench_state *state);
bool gbench_keep_running_batch(struct gbench_state *state,
                               int64_t iterations); /* cheap loops: do so many at once */
int64_t gbench_argument(const struct gbench_state *state);
int gbench_thread_index(const struct gbench_state *state);
int gbench_thread_count(const struct gbench_state *state);
void gbench_set_iteration_seconds(struct gbench_state *state,
                                  double seconds); /* with gbench_use_manual_time */
void gbench_set_complexity_n(struct gbench_state *state, int64_t n);
void gbench_set_label(struct gbench_state *state, const char *label);
void gbench_skip(struct gbench_state *state, const char *reason); /* this run is reported as failed */

/* Its mean over the threads is reported. */
void gbench_set_counter(struct gbench_state *state, const char *name, double value);

/* What is printed and written with the results, beside what Google Benchmark finds out itself. Before gbench_run. */
void gbench_add_context(const char *key, const char *value);

/* Run what the command line asks for. Returns the exit status; complains about flags that it does not know. */
int gbench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
