/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Messages of 64 bytes by pointer, in bulk, as who fills rings wants them: beside handles, general allocators and DPDK's
 * mempool. A program of its own, for DPDK settles in the process that starts it.
 *
 * usage: bench-bulk [--quick] OUT_DIR
 */
#include <isthmus/isthmus.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/clock.h"
#include "lib/machine.h"
#include "peers/malloc_peers.h"
#include "peers/mempool.h"
#include "lib/rounds.h"

enum { SIZE = 64, MOST = 64, MESSAGES = 1 << 20, SUBJECTS = MALLOC_PEERS + 2 + MEMPOOL_KINDS };

struct subject {
	struct ist_driver_pool *pool;
	const struct malloc_peer *peer;
	enum mempool_kind kind;
	unsigned count; /* in a bulk */
};

static int rounds = 15;
static bool has_mempool;

/* As a program would, which writes to what it gets. */
static inline __attribute__((always_inline)) void touch(void *const *messages, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		atomic_store_explicit((_Atomic char *)messages[i], 1, memory_order_relaxed);
}

static double pointers(void *context)
{
	const struct subject *subject = context;
	void *messages[MOST];
	double begin = clock_seconds();

	for (unsigned i = 0; i < MESSAGES; i += subject->count) {
		if (ist_driver_pool_alloc_bulk(subject->pool, SIZE, subject->count, messages))
			abort();
		touch(messages, subject->count);
		if (ist_driver_pool_free_bulk(subject->pool, messages, subject->count))
			abort();
	}
	return (clock_seconds() - begin) * 1e9 / MESSAGES;
}

static double handles(void *context)
{
	const struct subject *subject = context;
	struct ist_shm messages[MOST];
	double begin = clock_seconds();

	for (unsigned i = 0; i < MESSAGES; i += subject->count) {
		for (unsigned m = 0; m < subject->count; m++) {
			if (ist_driver_pool_alloc(subject->pool, SIZE, &messages[m]))
				abort();
			touch(&messages[m].view.vaddr, 1);
		}
		for (unsigned m = 0; m < subject->count; m++)
			ist_shm_free(&messages[m]);
	}
	return (clock_seconds() - begin) * 1e9 / MESSAGES;
}

static double general(void *context)
{
	const struct subject *subject = context;
	void *messages[MOST];
	double begin = clock_seconds();

	for (unsigned i = 0; i < MESSAGES; i += subject->count) {
		for (unsigned m = 0; m < subject->count; m++) {
			messages[m] = subject->peer->alloc(SIZE);
			if (!messages[m])
				abort();
		}
		touch(messages, subject->count);
		for (unsigned m = 0; m < subject->count; m++)
			subject->peer->free(messages[m]);
	}
	return (clock_seconds() - begin) * 1e9 / MESSAGES;
}

#ifdef HAVE_DPDK
static double mempool(void *context)
{
	const struct subject *subject = context;
	void *messages[MOST];
	double begin = clock_seconds();

	for (unsigned i = 0; i < MESSAGES; i += subject->count) {
		if (!mempool_get(subject->kind, messages, subject->count))
			abort();
		touch(messages, subject->count);
		mempool_put(subject->kind, messages, subject->count);
	}
	return (clock_seconds() - begin) * 1e9 / MESSAGES;
}
#endif

/*
 * Two threads that do the same at the same time, each on a CPU of its own: the time that a message takes each. (On one CPU the ring makes whoever comes
 * wait for a thread that was preempted inside, for as long as that takes.)
 */
static double (*twice_measure)(void *);
static cpu_set_t cpus; /* before DPDK pinned this thread */

static void *run_once(void *context)
{
	(void)twice_measure(context);
	return NULL;
}

/* The CPU number `which` of those that there are. */
static void start_on(pthread_t *thread, unsigned which, void *context)
{
	pthread_attr_t attributes;
	cpu_set_t one;

	CPU_ZERO(&one);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus) && which-- == 0)
			CPU_SET(cpu, &one);
	}
	pthread_attr_init(&attributes);
	pthread_attr_setaffinity_np(&attributes, sizeof(one), &one);
	if (pthread_create(thread, &attributes, run_once, context))
		abort();
	pthread_attr_destroy(&attributes);
}

static double twice(void *context)
{
	pthread_t thread[2];
	double begin = clock_seconds();

	for (unsigned i = 0; i < 2; i++)
		start_on(&thread[i], i, context);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return (clock_seconds() - begin) * 1e9 / MESSAGES;
}

static double pointers_twice(void *context)
{
	twice_measure = pointers;
	return twice(context);
}

#ifdef HAVE_DPDK
static double mempool_twice(void *context)
{
	twice_measure = mempool;
	return twice(context);
}
#endif

static struct subject subjects[SUBJECTS];
static struct round_values values[SUBJECTS];
static int subject_count;

static int add(const char *name, double (*measure)(void *), const struct subject *subject)
{
	subjects[subject_count] = *subject;
	values[subject_count] =
	        (struct round_values){.name = name, .measure = measure, .context = &subjects[subject_count]};
	return subject_count++;
}

static void goal(const char *what, double ratio, double most)
{
	printf("  goal %s: %s: %.2f (goal at most %.2f)\n", ratio <= most ? "met   " : "missed", what, ratio,
	       most);
}

static void run_and_print(void)
{
	rounds_run(values, subject_count, rounds);
	for (int i = 0; i < subject_count; i++)
		printf("  %-34s %9.2f [%.2f..%.2f]\n", values[i].name, values[i].median, values[i].low,
		       values[i].high);
}

static void one_table(struct ist_driver_pool *pool, unsigned count)
{
	struct subject subject = {.pool = pool, .count = count};
	int first_peer, end_peers;
	double best = 0;

	subject_count = 0;
	add("isthmus, by pointer", pointers, &subject);
	add("isthmus, with handles", handles, &subject);
	first_peer = subject_count;
	for (int i = 0; i < MALLOC_PEERS; i++) {
		subject.peer = &malloc_peers[i];
		if (subject.peer->alloc)
			add(subject.peer->name, general, &subject);
	}
	end_peers = subject_count;
#ifdef HAVE_DPDK
	for (subject.kind = 0; has_mempool && subject.kind < MEMPOOL_KINDS; subject.kind++)
		add(mempool_name(subject.kind), mempool, &subject);
#endif
	printf("\n%u of %d bytes allocated, then freed: ns a message, medians of %d rounds [lowest..highest]\n",
	       count, SIZE, rounds);
	run_and_print();
	for (int i = first_peer; i < end_peers; i++)
		best = best == 0 || values[i].median < best ? values[i].median : best;
	if (count == 32)
		goal("by pointer, times the best general allocator", values[0].median / best, 0.3);
	if (end_peers < subject_count && (count == 1 || count == 32))
		goal("by pointer, times rte_mempool", values[0].median / values[end_peers].median,
		     count == 1 ? 1.3 : 2);
}

/* Threads that are no lcores: DPDK has no caches for them. */
static void two_threads(struct ist_driver_pool *pool, unsigned count)
{
	struct subject subject = {.pool = pool, .count = count};

	subject_count = 0;
	add("isthmus, by pointer", pointers_twice, &subject);
#ifdef HAVE_DPDK
	for (subject.kind = MEMPOOL_RING_BARE; has_mempool && subject.kind < MEMPOOL_KINDS; subject.kind++)
		add(mempool_name(subject.kind), mempool_twice, &subject);
#endif
	printf("\n%u of %d bytes, two threads at once: ns a message for each, medians of %d rounds [lowest..highest]\n",
	       count, SIZE, rounds);
	run_and_print();
}

int main(int argc, char **argv)
{
	struct ist_manager_config config = {
	        .size = 4 << 20, .driver_pool_size = 1 << 20, .paddr = UINT64_C(1) << 32};
	struct ist_manager *manager;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick"))
			rounds = 5;
	}
	sched_getaffinity(0, sizeof(cpus), &cpus);
	machine_print();
	malloc_peers_load();
	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (config.vaddr == MAP_FAILED || ist_manager_create(&config, &manager)) {
		fprintf(stderr, "no memory for a pool\n");
		return 1;
	}
#ifdef HAVE_DPDK
	has_mempool = mempool_start(8191, SIZE);
#endif
	if (!has_mempool)
		fprintf(stderr,
		        "rte_mempool: not installed (libdpdk-dev), or it did not start; without it\n");
	for (unsigned count = 1; count <= MOST; count = count == 1 ? 8 : count == 8 ? 32 : count * 2)
		one_table(ist_manager_driver_pool(manager), count);
	if (CPU_COUNT(&cpus) > 1) {
		two_threads(ist_manager_driver_pool(manager), 1);
		two_threads(ist_manager_driver_pool(manager), 32);
	}
	return ist_manager_destroy(manager) != 0;
}
