/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Messages in bulk, `count` got and put at once: the driver pool by pointer and with handles, general allocators, and DPDK's mempool
 * where it is installed. By one thread, which is an lcore of DPDK's, and by two, for which it has no cache. An iteration is a message.
 */
#include <sched.h>
#include <stdatomic.h>

#include "lib/cpu.h"
#include "peers/malloc_peers.h"
#include "peers/mempool.h"
#include "suites.h"

enum { SIZE = 64, MOST = 64, BATCH = 256, POOL_OBJECTS = 8191 };

/* As a program would, which writes to what it gets. */
static inline void touch(void *const *messages, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		atomic_store_explicit((_Atomic char *)messages[i], 1, memory_order_relaxed);
}

/* The loop of all, around what gets and puts `count` messages once. */
#define MEASURE(name, type, GET_AND_PUT)                                                                     \
	static void name(struct gbench_state *state, void *context)                                          \
	{                                                                                                    \
		unsigned count = (unsigned)gbench_argument(state);                                           \
		type messages[MOST];                                                                         \
                                                                                                             \
		if (gbench_thread_count(state) > 1)                                                          \
			cpu_pin_nth((uint32_t)gbench_thread_index(state));                                   \
		while (gbench_keep_running_batch(state, BATCH)) {                                            \
			for (unsigned done = 0; done < BATCH; done += count)                                 \
				GET_AND_PUT                                                                  \
		}                                                                                            \
		if (gbench_thread_count(state) > 1)                                                          \
			cpu_unpin();                                                                         \
	}

MEASURE(by_pointer, void *, {
	if (ist_driver_pool_alloc_bulk(context, SIZE, count, messages))
		abort();
	touch(messages, count);
	if (ist_driver_pool_free_bulk(context, messages, count))
		abort();
})

MEASURE(with_handles, struct ist_shm, {
	for (unsigned m = 0; m < count; m++) {
		if (ist_driver_pool_alloc(context, SIZE, &messages[m]))
			abort();
		touch(&messages[m].view.vaddr, 1);
	}
	for (unsigned m = 0; m < count; m++)
		ist_shm_free(&messages[m]);
})

MEASURE(general, void *, {
	const struct malloc_peer *peer = context;

	for (unsigned m = 0; m < count; m++) {
		messages[m] = peer->alloc(SIZE);
		if (!messages[m])
			abort();
	}
	touch(messages, count);
	for (unsigned m = 0; m < count; m++)
		peer->free(messages[m]);
})

#ifdef HAVE_DPDK
/* In the main thread, which becomes an lcore; and only when it is asked for, as it takes memory and threads of its own. */
static void start_mempool(_Atomic int *started)
{
	cpu_set_t before;

	sched_getaffinity(0, sizeof(before), &before);
	atomic_store_explicit(started, mempool_start(POOL_OBJECTS, SIZE) ? 1 : -1, memory_order_release);
	sched_setaffinity(0, sizeof(before), &before); /* DPDK has pinned this thread */
}

MEASURE(mempool_loop, void *, {
	enum mempool_kind kind = *(enum mempool_kind *)context;

	if (!mempool_get(kind, messages, count))
		abort();
	touch(messages, count);
	mempool_put(kind, messages, count);
})

static void mempool(struct gbench_state *state, void *context)
{
	static _Atomic int started;

	if (gbench_thread_index(state) == 0 && !atomic_load_explicit(&started, memory_order_relaxed))
		start_mempool(&started);
	while (!atomic_load_explicit(&started, memory_order_acquire))
		sched_yield();
	if (atomic_load_explicit(&started, memory_order_relaxed) < 0)
		gbench_skip(state, "DPDK did not start");
	else
		mempool_loop(state, context);
}
#endif

static void add(const char *who, gbench_function *function, void *context, bool twice)
{
	struct gbench *b;

	gbench_over(gbench_register(function, context, "driver/bulk/%s", who), "count", 1, 8, 32, 64);
	if (!twice)
		return;
	b = gbench_register(function, context, "driver/bulk_by_two/%s", who);
	gbench_over(b, "count", 1, 32);
	gbench_threads(b, 2);
	gbench_use_real_time(b);
}

void suite_bulk_register(void)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(suites_manager(1 << 20, 0));

	add("isthmus", by_pointer, pool, true);
	add("isthmus, handles", with_handles, pool, false);
	for (int i = 0; i < MALLOC_PEERS; i++) {
		if (malloc_peers[i].alloc)
			add(malloc_peers[i].name, general, &malloc_peers[i], false);
	}
#ifdef HAVE_DPDK
	static enum mempool_kind kinds[MEMPOOL_KINDS];

	for (enum mempool_kind kind = 0; kind < MEMPOOL_KINDS; kind++) {
		kinds[kind] = kind;
		add(mempool_name(kind), mempool, &kinds[kind], kind >= MEMPOOL_RING_BARE);
	}
#else
	fprintf(stderr, "not compared with rte_mempool: libdpdk-dev was not installed when this was built\n");
#endif
}
