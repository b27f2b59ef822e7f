/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * How long single operations take: median, tails and the longest, also while another thread is stopped in the middle
 * of one, or is on another CPU and frees what this one allocates.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/cpu.h"
#include "lib/histogram.h"
#include "suites.h"

enum { RING = 1024 };

static struct ist_manager *manager;
static _Atomic int stop, stopped;

static void on_stop(int signal)
{
	sigset_t none;

	(void)signal;
	sigemptyset(&none);
	atomic_fetch_add_explicit(&stopped, 1, memory_order_relaxed);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		sigsuspend(&none); /* until the next signal */
}

static void *keep_allocating(void *context)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(context);
	struct ist_shm shm;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		if (ist_driver_pool_alloc(pool, 5000, &shm) ==
		    0) /* no class: in the run allocator most of the time */
			ist_shm_free(&shm);
	}
	return NULL;
}

static struct clock_scale scale;

static double nanoseconds(uint64_t ticks)
{
	return clock_nanoseconds(&scale, (double)ticks, scale.overhead_median);
}

static void report(struct gbench_state *state, const struct histogram *histogram)
{
	static const struct {
		const char *name;
		double share;
	} tails[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		gbench_set_counter(state, tails[i].name,
		                   nanoseconds(histogram_percentile(histogram, tails[i].share)));
	gbench_set_counter(state, "max", nanoseconds(histogram->max));
}

static void latency(struct gbench_state *state, void *context)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(context);
	struct histogram *histogram = calloc(1, sizeof(*histogram));
	struct ist_shm shm;

	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running(state)) {
		uint64_t begin = clock_start();

		if (ist_driver_pool_alloc(pool, (size_t)gbench_argument(state), &shm))
			abort();
		ist_shm_free(&shm);
		histogram_add(histogram, clock_stop() - begin);
	}
	report(state, histogram);
	free(histogram);
}

static void latency_with_a_stopped_thread(struct gbench_state *state, void *context)
{
	struct sigaction action = {.sa_handler = on_stop};
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&stop, 0);
	atomic_store(&stopped, 0);
	pthread_create(&thread, NULL, keep_allocating, context);
	pthread_kill(thread, SIGUSR1);
	while (!atomic_load(&stopped))
		continue;
	latency(state, context);
	atomic_store(&stop, 1);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

/* --- freed elsewhere ---------------------------------------------------------------------------------------- */

static struct {
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) struct ist_shm slot[RING];
} ring;

struct consumer {
	int cpu;
};

static void *consume(void *context)
{
	const struct consumer *consumer = context;
	uint64_t tail = 0;

	cpu_pin(consumer->cpu);
	for (;;) {
		uint64_t head = atomic_load_explicit(&ring.head, memory_order_acquire);

		if (head == tail && atomic_load_explicit(&stop, memory_order_relaxed))
			return NULL;
		for (; tail < head; tail++)
			ist_shm_free(&ring.slot[tail % RING]);
		atomic_store_explicit(&ring.tail, tail, memory_order_release);
	}
}

static void freed_elsewhere(struct gbench_state *state, void *context)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(context);
	struct consumer consumer = {pin_cpu_at((enum pin_distance)gbench_argument(state))};
	static const char *const labels[] = {"same core", "same cache", "same package, other cache",
	                                     "other package"};
	uint64_t head = 0;
	pthread_t thread;

	gbench_set_label(state, labels[gbench_argument(state)]);
	if (consumer.cpu < 0) {
		gbench_skip(state, "this machine has no CPU at that distance");
		return;
	}
	atomic_store(&stop, 0);
	atomic_store(&ring.head, 0);
	atomic_store(&ring.tail, 0);
	pthread_create(&thread, NULL, consume, &consumer);
	cpu_pin(pin_first_cpu());
	while (gbench_keep_running(state)) {
		while (head - atomic_load_explicit(&ring.tail, memory_order_acquire) >= RING)
			continue;
		if (ist_driver_pool_alloc(pool, 64, &ring.slot[head % RING]))
			abort();
		atomic_store_explicit(&ring.head, ++head, memory_order_release);
	}
	atomic_store(&stop, 1);
	pthread_join(thread, NULL);
	cpu_unpin(); /* the same thread runs other benchmarks, and their threads inherit from it */
}

void suite_latency_register(void)
{
	struct gbench *b;

	scale = clock_calibrate();
	manager = suites_manager(8 << 20, 0);
	b = gbench_register(latency, manager, "latency/pair/isthmus");
	gbench_over(b, "bytes", 64);
	suites_thread_counts(b);
	gbench_use_real_time(b);
	b = gbench_register(latency_with_a_stopped_thread, manager,
	                    "latency/pair_beside_a_stopped_thread/isthmus");
	gbench_over(b, "bytes", 64, 5000);
	b = gbench_register(freed_elsewhere, manager, "latency/freed_elsewhere/isthmus");
	gbench_over(b, "distance", PIN_SAME_CORE, PIN_SAME_CACHE, PIN_SAME_PACKAGE, PIN_OTHER_PACKAGE);
	gbench_use_real_time(b);
}
