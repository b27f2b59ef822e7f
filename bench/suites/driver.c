/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The driver pool beside general allocators, a list behind a mutex, and its own floor, the bare push and pop of a per-CPU magazine:
 * pairs, bursts, from one thread to another, and many threads on few CPUs.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "lib/cpu.h"
#include "lib/random.h"
#include "peers/locked_list.h"
#include "peers/malloc_peers.h"
#include "percpu/percpu.h"
#include "suites.h"

enum { BATCH = 256, LIVE = 1000, LIST_BYTES = 8 << 20, RING = 1024, PUBLISHED = 16, THREADS = 8 };
enum { PASSED = 400000, SWAPS = 400 * BATCH }; /* the same for all: the first of them take longer */

/* Whose loop it is. They are compiled once for each, so that none pays for the choice. */
enum who { OURS, PEER, LIST };
#define INLINE static inline __attribute__((always_inline))

struct subject {
	struct ist_driver_pool *pool;
	const struct malloc_peer *peer;
};

union object {
	struct ist_shm shm;
	void *memory;
};

static struct subject small, medium, wide, peers[MALLOC_PEERS], list; /* pools of 16 KiB, 1 MiB, 8 MiB */
static struct locked_list listed;
static struct percpu magazines;

/* As a program would; and the compiler must not see that nobody reads it. */
static void touch(void *memory)
{
	if (!memory)
		abort();
	atomic_store_explicit((_Atomic char *)memory, 1, memory_order_relaxed);
}

INLINE void get(const struct subject *subject, enum who who, size_t size, union object *object)
{
	if (who == OURS) {
		if (ist_driver_pool_alloc(subject->pool, size, &object->shm))
			abort();
		touch(object->shm.view.vaddr);
	} else {
		object->memory = who == PEER ? subject->peer->alloc(size) : locked_list_take(&listed, size);
		touch(object->memory);
	}
}

INLINE void put(const struct subject *subject, enum who who, size_t size, union object *object)
{
	if (who == PEER)
		subject->peer->free(object->memory);
	else if (who == LIST)
		locked_list_give(&listed, object->memory, size);
	else if (ist_shm_free(&object->shm))
		abort();
}

/* For each of those that it may run for: a function that Google Benchmark can call. */
#define FOR(measure, name, who)                                                                              \
	static void name(struct gbench_state *state, void *context)                                          \
	{                                                                                                    \
		measure(state, context, who);                                                                \
	}

/* --- allocate and free at once ------------------------------------------------------------------------------ */

INLINE void pair(struct gbench_state *state, const struct subject *subject, enum who who)
{
	size_t size = (size_t)gbench_argument(state);
	union object object;

	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			get(subject, who, size, &object);
			put(subject, who, size, &object);
		}
	}
}
FOR(pair, pair_ours, OURS)
FOR(pair, pair_peer, PEER)
FOR(pair, pair_list, LIST)

/* Exact: the floor of a pool that tells double frees for certain, one compare-exchange more. */
INLINE void floors(struct gbench_state *state, struct percpu *percpu, bool exact)
{
	static _Atomic uint8_t occupied = 1;
	uint32_t value = 1;

	pin_thread(gbench_thread_index(state));
	for (uint32_t block = 0; block < percpu->blocks; block++)
		percpu_set_capacity(percpu, block, 0, 64);
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			uint8_t live = 1;

			if ((exact && !atomic_compare_exchange_strong_explicit(&occupied, &live, 0,
			                                                       memory_order_acquire,
			                                                       memory_order_relaxed)) ||
			    !percpu_push(percpu, PERCPU_AT(0), value) ||
			    !percpu_pop(percpu, PERCPU_AT(0), &value))
				percpu_put(percpu, 0, &value, 1, true);
			if (exact)
				atomic_store_explicit(&occupied, 1, memory_order_release);
		}
	}
}
FOR(floors, bare_floor, false)
FOR(floors, exact_floor, true)

/* --- a thousand, freed in random order ------------------------------------------------------------------------ */

INLINE void burst(struct gbench_state *state, const struct subject *subject, enum who who)
{
	static union object objects[LIVE];
	size_t order[LIVE], size = (size_t)gbench_argument(state);
	uint64_t random = 1;

	random_order(&random, order, LIVE);
	while (gbench_keep_running_batch(state, LIVE)) {
		for (int i = 0; i < LIVE; i++)
			get(subject, who, size, &objects[i]);
		for (int i = 0; i < LIVE; i++)
			put(subject, who, size, &objects[order[i]]);
	}
}
FOR(burst, burst_ours, OURS)
FOR(burst, burst_peer, PEER)

/* --- one thread allocates, another frees -------------------------------------------------------------------- */

static struct {
	_Alignas(128) _Atomic uint32_t head;
	_Alignas(128) _Atomic uint32_t tail;
	_Alignas(128) union object slot[RING];
	_Atomic bool stop;
} ring;

/* A consumer that is off its CPU must not be waited for with all we have. */
static void wait_a_little(unsigned *spins)
{
	if (++*spins % 256 == 0)
		sched_yield();
}

INLINE void *consume(const struct subject *subject, size_t size, enum who who)
{
	unsigned spins = 0;

	cpu_pin_nth(1);
	for (uint32_t tail = 0;;) {
		bool stop = atomic_load_explicit(&ring.stop, memory_order_acquire);
		uint32_t head = atomic_load_explicit(&ring.head, memory_order_acquire);

		if (head == tail && stop)
			return NULL;
		if (head == tail)
			wait_a_little(&spins);
		for (; tail != head; tail++)
			put(subject, who, size, &ring.slot[tail % RING]);
		atomic_store_explicit(&ring.tail, tail, memory_order_release);
	}
}

static void *consume_ours(void *context)
{
	return consume(context, 0, OURS);
}

static void *consume_peer(void *context)
{
	return consume(context, 0, PEER);
}

INLINE void pass(struct gbench_state *state, struct subject *subject, enum who who)
{
	size_t size = (size_t)gbench_argument(state);
	uint32_t head = 0, tail = 0;
	unsigned spins = 0;
	pthread_t consumer;

	atomic_store_explicit(&ring.head, 0, memory_order_relaxed);
	atomic_store_explicit(&ring.tail, 0, memory_order_relaxed);
	atomic_store_explicit(&ring.stop, false, memory_order_relaxed);
	must(pthread_create(&consumer, NULL, who == OURS ? consume_ours : consume_peer, subject));
	cpu_pin_nth(0);
	while (gbench_keep_running_batch(state, PUBLISHED)) {
		while (head - tail > RING - PUBLISHED) {
			tail = atomic_load_explicit(&ring.tail, memory_order_acquire);
			if (head - tail > RING - PUBLISHED)
				wait_a_little(&spins);
		}
		for (int i = 0; i < PUBLISHED; i++)
			get(subject, who, size, &ring.slot[head++ % RING]);
		atomic_store_explicit(&ring.head, head, memory_order_release);
	}
	atomic_store_explicit(&ring.stop, true, memory_order_release);
	pthread_join(consumer, NULL);
	cpu_unpin();
}
FOR(pass, pass_ours, OURS)
FOR(pass, pass_peer, PEER)

/* --- more threads than CPUs: the CPU time of a free and an allocation -------------------------------------------- */

INLINE void swaps(struct gbench_state *state, const struct subject *subject, enum who who)
{
	union object *objects = must_allocate(LIVE, sizeof(*objects));
	uint64_t random = (uint64_t)gbench_thread_index(state);

	for (unsigned i = 0; i < LIVE; i++)
		get(subject, who, 16 + random_below(&random, 497), &objects[i]);
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			union object *object = &objects[random_below(&random, LIVE)];

			put(subject, who, 0, object);
			get(subject, who, 16 + random_below(&random, 497), object);
		}
	}
	for (unsigned i = 0; i < LIVE; i++)
		put(subject, who, 0, &objects[i]);
	free(objects);
}
FOR(swaps, swaps_ours, OURS)
FOR(swaps, swaps_peer, PEER)

/* --- registration --------------------------------------------------------------------------------------------- */

static void add_pairs(const char *who, gbench_function *function, void *context)
{
	gbench_over(gbench_register(function, context, "driver/pair/%s", who), "bytes", 8, 64, 256, 1024);
}

static void add_scaling(const char *who, gbench_function *function, void *context)
{
	struct gbench *b = gbench_register(function, context, "driver/scaling/%s", who);

	gbench_over(b, "bytes", 64);
	suites_thread_counts(b);
	gbench_use_real_time(b);
}

static void add_others(const char *who, gbench_function *bursts, gbench_function *passes,
                       gbench_function *swapping, struct subject *narrower, struct subject *subject)
{
	struct gbench *b;

	gbench_over(gbench_register(bursts, subject, "driver/burst/%s", who), "bytes", 8, 64, 256, 1024);
	b = gbench_register(passes, narrower, "driver/pass/%s", who);
	gbench_over(b, "bytes", 64);
	gbench_iterations(b, PASSED);
	gbench_use_real_time(b);
	b = gbench_register(swapping, subject, "driver/swap/%s", who);
	gbench_threads(b, THREADS);
	gbench_iterations(b, SWAPS);
}

void suite_driver_register(void)
{
	static const uint16_t slots[] = {64};

	small.pool = ist_manager_driver_pool(suites_manager(16 << 10, 0));
	medium.pool = ist_manager_driver_pool(suites_manager(1 << 20, 0));
	wide.pool = ist_manager_driver_pool(suites_manager(8 << 20, 0)); /* 8000 of 264 bytes are 2 MiB */
	must(percpu_create(&magazines, 1, slots));
	malloc_peers_load();
	must(!locked_list_init(&listed, LIST_BYTES));
	add_pairs("floor", bare_floor, &magazines);
	add_pairs("floor, exact", exact_floor, &magazines);
	add_pairs("isthmus", pair_ours, &medium);
	add_pairs("mutex, best fit", pair_list, &list);
	gbench_over(gbench_register(pair_ours, &small, "driver/pool_size/isthmus, 16 KiB"), "bytes", 224);
	gbench_over(gbench_register(pair_ours, &medium, "driver/pool_size/isthmus"), "bytes", 224);
	add_scaling("isthmus", pair_ours, &wide);
	add_scaling("mutex, best fit", pair_list, &list);
	add_others("isthmus", burst_ours, pass_ours, swaps_ours, &medium, &wide);
	for (int i = 0; i < MALLOC_PEERS; i++) {
		const char *name = malloc_peers[i].name;

		peers[i].peer = &malloc_peers[i];
		if (!malloc_peers[i].alloc)
			continue;
		add_pairs(name, pair_peer, &peers[i]);
		add_scaling(name, pair_peer, &peers[i]);
		add_others(name, burst_peer, pass_peer, swaps_peer, &peers[i], &peers[i]);
	}
}
