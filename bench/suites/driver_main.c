/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The driver pool beside general allocators and beside its own floor, the bare push and pop of a per-CPU magazine:
 * pairs, bursts, from one thread to another, and many threads on few CPUs.
 *
 * usage: bench-driver [--quick] OUT_DIR
 */
#include <isthmus/isthmus.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/cpu.h"
#include "lib/machine.h"
#include "peers/malloc_peers.h"
#include "percpu/percpu.h"
#include "lib/rounds.h"

enum { SUBJECTS = MALLOC_PEERS + 1, THREADS = 8, RING = 1024 };
#define LIVE 1000u

/* isthmus (a pool) or a peer. The loops are compiled once for either, so that neither pays for the choice. */
struct subject {
	struct ist_driver_pool *pool;
	const struct malloc_peer *peer;
	size_t size;
	struct percpu *floor;
};

union object {
	struct ist_shm shm;
	void *memory;
};

static int rounds = 9;

/* As a program would; and the compiler must not see that nobody reads it. */
static inline void touch(void *memory)
{
	atomic_store_explicit((_Atomic char *)memory, 1, memory_order_relaxed);
}

static inline __attribute__((always_inline)) void get(const struct subject *subject, bool ours, size_t size,
                                                      union object *object)
{
	if (ours) {
		if (ist_driver_pool_alloc(subject->pool, size, &object->shm))
			abort();
		touch(object->shm.view.vaddr);
	} else {
		object->memory = subject->peer->alloc(size);
		if (!object->memory)
			abort();
		touch(object->memory);
	}
}

static inline __attribute__((always_inline)) void put(const struct subject *subject, bool ours,
                                                      union object *object)
{
	if (!ours)
		subject->peer->free(object->memory);
	else if (ist_shm_free(&object->shm))
		abort();
}

static uint32_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

/* --- pairs ------------------------------------------------------------------------------------------------ */

enum { PAIRS = 1000000 };

static inline __attribute__((always_inline)) double pairs(const struct subject *subject, bool ours)
{
	union object object;
	double begin = clock_seconds();

	for (int i = 0; i < PAIRS; i++) {
		get(subject, ours, subject->size, &object);
		put(subject, ours, &object);
	}
	return (clock_seconds() - begin) * 1e9 / PAIRS;
}

static double pairs_of_ours(void *context)
{
	return pairs(context, true);
}

static double pairs_of_peer(void *context)
{
	return pairs(context, false);
}

static double pairs_of_floor(void *context)
{
	struct percpu *percpu = ((struct subject *)context)->floor;
	uint32_t value = 7;
	double begin = clock_seconds();

	for (int i = 0; i < PAIRS; i++) {
		if (!percpu_push(percpu, PERCPU_AT(0), value) || !percpu_pop(percpu, PERCPU_AT(0), &value))
			percpu_put(percpu, 0, &value, 1, true);
	}
	return (clock_seconds() - begin) * 1e9 / PAIRS;
}

/* The floor of a pool that tells double frees for certain: one compare-exchange more. */
static double pairs_of_exact_floor(void *context)
{
	struct percpu *percpu = ((struct subject *)context)->floor;
	static _Atomic uint8_t state = 1;
	uint32_t value = 7;
	double begin = clock_seconds();

	for (int i = 0; i < PAIRS; i++) {
		uint8_t live = 1;

		if (!atomic_compare_exchange_strong_explicit(&state, &live, 0, memory_order_acquire,
		                                             memory_order_relaxed) ||
		    !percpu_push(percpu, PERCPU_AT(0), value) || !percpu_pop(percpu, PERCPU_AT(0), &value))
			percpu_put(percpu, 0, &value, 1, true);
		atomic_store_explicit(&state, 1, memory_order_release);
	}
	return (clock_seconds() - begin) * 1e9 / PAIRS;
}

/* --- bursts ----------------------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) double burst(const struct subject *subject, bool ours)
{
	static union object objects[LIVE];
	static uint16_t order[LIVE];
	const int times = 200;
	uint64_t random = 1;
	double begin;

	for (unsigned i = 0; i < LIVE; i++)
		order[i] = (uint16_t)i;
	for (unsigned i = LIVE - 1; i > 0; i--) {
		unsigned j = random_next(&random) % (i + 1);
		uint16_t swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	begin = clock_seconds();
	for (int t = 0; t < times; t++) {
		for (unsigned i = 0; i < LIVE; i++)
			get(subject, ours, subject->size, &objects[i]);
		for (unsigned i = 0; i < LIVE; i++)
			put(subject, ours, &objects[order[i]]);
	}
	return (clock_seconds() - begin) * 1e9 / (LIVE * (double)times);
}

static double burst_of_ours(void *context)
{
	return burst(context, true);
}

static double burst_of_peer(void *context)
{
	return burst(context, false);
}

/* --- one thread allocates, another frees -------------------------------------------------------------------- */

enum { PASSED = 400000 };

static struct {
	_Alignas(128) _Atomic uint32_t head;
	_Alignas(128) _Atomic uint32_t tail;
	_Alignas(128) union object slot[RING];
} ring;

/* A consumer that is off its CPU must not be waited for with all we have. */
static void wait_a_little(unsigned *spins)
{
	if (++*spins % 256 == 0)
		sched_yield();
}

static inline __attribute__((always_inline)) void consume(const struct subject *subject, bool ours)
{
	unsigned spins = 0;

	cpu_pin_nth(1);
	for (uint32_t tail = 0; tail < PASSED;) {
		uint32_t head = atomic_load_explicit(&ring.head, memory_order_acquire);

		if (head == tail)
			wait_a_little(&spins);
		for (; tail < head; tail++)
			put(subject, ours, &ring.slot[tail % RING]);
		atomic_store_explicit(&ring.tail, tail, memory_order_release);
	}
}

static void *consume_ours(void *context)
{
	consume(context, true);
	return NULL;
}

static void *consume_peer(void *context)
{
	consume(context, false);
	return NULL;
}

static inline __attribute__((always_inline)) void produce(const struct subject *subject, bool ours)
{
	unsigned spins = 0;
	uint32_t tail = 0;

	for (uint32_t head = 0; head < PASSED;) {
		while (head - tail >= RING) {
			tail = atomic_load_explicit(&ring.tail, memory_order_acquire);
			if (head - tail >= RING)
				wait_a_little(&spins);
		}
		get(subject, ours, subject->size, &ring.slot[head % RING]);
		if (++head % 16 == 0 || head == PASSED)
			atomic_store_explicit(&ring.head, head, memory_order_release);
	}
}

static inline __attribute__((always_inline)) double pass(struct subject *subject, bool ours)
{
	cpu_set_t before;
	pthread_t consumer;
	double begin;

	atomic_store_explicit(&ring.head, 0, memory_order_relaxed);
	atomic_store_explicit(&ring.tail, 0, memory_order_relaxed);
	if (pthread_create(&consumer, NULL, ours ? consume_ours : consume_peer, subject))
		abort();
	sched_getaffinity(0, sizeof(before), &before);
	cpu_pin_nth(0);
	begin = clock_seconds();
	produce(subject, ours);
	pthread_join(consumer, NULL);
	begin = clock_seconds() - begin;
	sched_setaffinity(0, sizeof(before), &before);
	return begin * 1e9 / PASSED;
}

static double pass_ours(void *context)
{
	return pass(context, true);
}

static double pass_peer(void *context)
{
	return pass(context, false);
}

/* --- more threads than CPUs ------------------------------------------------------------------------------- */

struct worker {
	const struct subject *subject;
	uint64_t seed;
	double seconds; /* of CPU time */
};

static pthread_barrier_t barrier;

static double thread_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

enum { SWAPS = 100000 };

static inline __attribute__((always_inline)) void work(struct worker *worker, bool ours)
{
	union object *objects = calloc(LIVE, sizeof(*objects));

	for (unsigned i = 0; i < LIVE; i++)
		get(worker->subject, ours, 16 + random_next(&worker->seed) % 497, &objects[i]);
	pthread_barrier_wait(&barrier);
	worker->seconds = -thread_seconds();
	for (int i = 0; i < SWAPS; i++) {
		union object *object = &objects[random_next(&worker->seed) % LIVE];

		put(worker->subject, ours, object);
		get(worker->subject, ours, 16 + random_next(&worker->seed) % 497, object);
	}
	worker->seconds += thread_seconds();
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < LIVE; i++)
		put(worker->subject, ours, &objects[i]);
	free(objects);
}

static void *work_ours(void *context)
{
	work(context, true);
	return NULL;
}

static void *work_peer(void *context)
{
	work(context, false);
	return NULL;
}

static double many(void *context, void *(*run)(void *))
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	double seconds = 0;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){context, (uint64_t)i * 977 + 1, 0};
		if (pthread_create(&threads[i], NULL, run, &workers[i]))
			abort();
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		seconds += workers[i].seconds;
	}
	pthread_barrier_destroy(&barrier);
	return seconds * 1e9 / (SWAPS * THREADS);
}

static double many_of_ours(void *context)
{
	return many(context, work_ours);
}

static double many_of_peer(void *context)
{
	return many(context, work_peer);
}

/* --- tables ----------------------------------------------------------------------------------------------- */

static struct ist_manager *make_manager(size_t driver_bytes)
{
	struct ist_manager_config config = {.driver_pool_size = driver_bytes, .paddr = UINT64_C(1) << 32};
	struct ist_manager *manager;

	config.size = driver_bytes * 2 + IST_PAGE_SIZE * 4;
	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (config.vaddr == MAP_FAILED || ist_manager_create(&config, &manager)) {
		fprintf(stderr, "no memory for a pool\n");
		exit(1);
	}
	return manager;
}

static void print_goal(const char *what, double ratio, double goal)
{
	printf("  goal %s: %s: %.2f (goal at most %.2f)\n", ratio <= goal ? "met   " : "missed", what, ratio,
	       goal);
}

struct table {
	struct round_values values[SUBJECTS + 2];
	struct subject subjects[SUBJECTS + 2];
	int count;
};

static void table_run(struct table *table, const char *title)
{
	printf("\n%s, ns, medians of %d rounds [lowest..highest]\n", title, rounds);
	rounds_run(table->values, table->count, rounds);
	for (int i = 0; i < table->count; i++)
		printf("  %-34s %9.2f [%.2f..%.2f]\n", table->values[i].name, table->values[i].median,
		       table->values[i].low, table->values[i].high);
}

/* isthmus first, then every peer that is installed; those from `peers` on only for information. */
static void table_fill(struct table *table, struct ist_driver_pool *pool, size_t size, double (*ours)(void *),
                       double (*peer)(void *))
{
	table->count = 1;
	table->subjects[0] = (struct subject){.pool = pool, .size = size};
	table->values[0] =
	        (struct round_values){.name = "isthmus", .measure = ours, .context = &table->subjects[0]};
	for (int i = 0; i < MALLOC_PEERS; i++) {
		if (!malloc_peers[i].alloc)
			continue;
		table->subjects[table->count] = (struct subject){.peer = &malloc_peers[i], .size = size};
		table->values[table->count] =
		        (struct round_values){.name = malloc_peers[i].name,
		                              .measure = peer,
		                              .context = &table->subjects[table->count]};
		table->count++;
	}
}

/* The fastest peer but glibc's, which is not among those that the goals name; without the `skip`th. 0: none there. */
static double best_peer(const struct table *table, const char *skip)
{
	double best = 0;

	for (int i = 1; i < table->count; i++) {
		const struct round_values *value = &table->values[i];

		if (!table->subjects[i].peer || !table->subjects[i].peer->library ||
		    (skip && !strncmp(value->name, skip, strlen(skip))))
			continue;
		best = best == 0 || value->median < best ? value->median : best;
	}
	return best;
}

static void table_goal(const struct table *table, const char *what, const char *skip, double goal)
{
	double best = best_peer(table, skip);

	if (best > 0)
		print_goal(what, table->values[0].median / best, goal);
}

static double pair_tables(struct ist_driver_pool *pool)
{
	const uint16_t slots[] = {64};
	struct percpu floor = {0};
	struct table table;
	const uint32_t one = 1;

	if (percpu_create(&floor, 1, slots))
		exit(1);
	/* Two tries: the first plugs this CPU's magazine. */
	for (uint32_t block = 0; block < floor.blocks; block++) {
		percpu_set_capacity(&floor, block, 0, 64);
		percpu_put(&floor, 0, &one, 1, true);
	}
	for (size_t size = 8; size <= 1024; size = size == 8 ? 64 : size * 4) {
		char title[64];
		int last;

		table_fill(&table, pool, size, pairs_of_ours, pairs_of_peer);
		last = table.count++;
		table.subjects[last] = (struct subject){.floor = &floor};
		table.values[last] = (struct round_values){.name = "bare push and pop",
		                                           .measure = pairs_of_floor,
		                                           .context = &table.subjects[last]};
		table.subjects[table.count] = table.subjects[last];
		table.values[table.count] = (struct round_values){.name = "the same and a compare-exchange",
		                                                  .measure = pairs_of_exact_floor,
		                                                  .context = &table.subjects[table.count]};
		table.count++;
		snprintf(title, sizeof(title), "allocate and free %zu bytes", size);
		table_run(&table, title);
		table_goal(&table, "times the best peer", NULL, 0.8);
		print_goal("times the bare push and pop", table.values[0].median / table.values[last].median,
		           2.5);
	}
	percpu_destroy(&floor);
	return 0;
}

static void small_pool(struct ist_driver_pool *large)
{
	struct ist_manager *manager = make_manager(16 << 10);
	struct table table = {.count = 2};

	table.subjects[0] = (struct subject){.pool = ist_manager_driver_pool(manager), .size = 224};
	table.subjects[1] = (struct subject){.pool = large, .size = 224};
	table.values[0] = (struct round_values){
	        .name = "16 KiB pool", .measure = pairs_of_ours, .context = &table.subjects[0]};
	table.values[1] = (struct round_values){
	        .name = "large pool", .measure = pairs_of_ours, .context = &table.subjects[1]};
	table_run(&table, "allocate and free 224 bytes");
	print_goal("times the large pool's", table.values[0].median / table.values[1].median, 1.5);
	if (ist_manager_destroy(manager))
		abort();
}

int main(int argc, char **argv)
{
	struct ist_manager *manager, *wide;
	struct table table;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick"))
			rounds = 7;
	}
	machine_print();
	malloc_peers_load();
	manager = make_manager(1 << 20);
	wide = make_manager(8 << 20);
	pair_tables(ist_manager_driver_pool(manager));
	small_pool(ist_manager_driver_pool(manager));

	table_fill(&table, ist_manager_driver_pool(manager), 64, burst_of_ours, burst_of_peer);
	table_run(&table, "1000 of 64 bytes allocated, freed in random order; per object");
	table_goal(&table, "times the best peer", NULL, 1);

	table_fill(&table, ist_manager_driver_pool(manager), 64, pass_ours, pass_peer);
	table_run(&table, "allocated by one thread, freed by another, 64 bytes; per object");
	table_goal(&table, "times the best of jemalloc and mimalloc", "tcmalloc", 0.5);

	/* 8000 objects of 264 bytes on average are 2 MiB. */
	table_fill(&table, ist_manager_driver_pool(wide), 0, many_of_ours, many_of_peer);
	table_run(
	        &table,
	        "8 threads, 1000 live objects of 16 to 512 bytes each; CPU time of a free and an allocation");
	table_goal(&table, "times the best peer", NULL, 1);

	return ist_manager_destroy(manager) || ist_manager_destroy(wide);
}
