/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The driver pool, the bare magazine under it, and general allocators. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/gbench.h"
#include "peers/malloc_peers.h"
#include "peers/locked_list.h"
#include "percpu/percpu.h"
#include "suites.h"

enum { BATCH = 256, BURST = 1000, LIST_BYTES = 8 << 20 };

static struct ist_manager *manager;
static struct percpu magazines;

static void touch(void *memory)
{
	atomic_store_explicit((_Atomic char *)memory, 1, memory_order_relaxed);
}

/* --- allocate and free at once ------------------------------------------------------------------------------ */

static void pair_ours(struct gbench_state *state, void *context)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(context);
	size_t size = (size_t)gbench_argument(state, 0);
	struct ist_shm shm;

	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			if (ist_driver_pool_alloc(pool, size, &shm))
				abort();
			touch(shm.view.vaddr);
			ist_shm_free(&shm);
		}
	}
}

static void pair_peer(struct gbench_state *state, void *context)
{
	const struct malloc_peer *peer = context;
	size_t size = (size_t)gbench_argument(state, 0);

	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			void *memory = peer->alloc(size);

			if (!memory)
				abort();
			touch(memory);
			peer->free(memory);
		}
	}
}

static struct locked_list listed;

static void pair_list(struct gbench_state *state, void *context)
{
	size_t size = (size_t)gbench_argument(state, 0);

	(void)context;
	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			void *memory = locked_list_take(&listed, size);

			if (!memory)
				abort();
			touch(memory);
			locked_list_give(&listed, memory, size);
		}
	}
}

static void pair_floor(struct gbench_state *state, void *context)
{
	struct percpu *percpu = context;
	uint32_t value = 1;

	pin_thread(gbench_thread_index(state));
	for (uint32_t block = 0; block < percpu->blocks; block++)
		percpu_set_capacity(percpu, block, 0, 64);
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			if (!percpu_push(percpu, PERCPU_AT(0), value) ||
			    !percpu_pop(percpu, PERCPU_AT(0), &value))
				percpu_put(percpu, 0, &value, 1, true);
		}
	}
}

/* --- a thousand, freed in random order ------------------------------------------------------------------------ */

static void random_order(uint16_t *order)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < BURST; i++)
		order[i] = (uint16_t)i;
	for (unsigned i = BURST - 1; i > 0; i--) {
		unsigned j;
		uint16_t swap = order[i];

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		j = (unsigned)(seed >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = swap;
	}
}

static void burst_ours(struct gbench_state *state, void *context)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(context);
	static struct ist_shm shm[BURST];
	uint16_t order[BURST];

	random_order(order);
	while (gbench_keep_running_batch(state, BURST)) {
		for (int i = 0; i < BURST; i++) {
			if (ist_driver_pool_alloc(pool, (size_t)gbench_argument(state, 0), &shm[i]))
				abort();
			touch(shm[i].view.vaddr);
		}
		for (int i = 0; i < BURST; i++)
			ist_shm_free(&shm[order[i]]);
	}
}

static void burst_peer(struct gbench_state *state, void *context)
{
	const struct malloc_peer *peer = context;
	static void *memory[BURST];
	uint16_t order[BURST];

	random_order(order);
	while (gbench_keep_running_batch(state, BURST)) {
		for (int i = 0; i < BURST; i++) {
			memory[i] = peer->alloc((size_t)gbench_argument(state, 0));
			if (!memory[i])
				abort();
			touch(memory[i]);
		}
		for (int i = 0; i < BURST; i++)
			peer->free(memory[order[i]]);
	}
}

/* --- registration --------------------------------------------------------------------------------------------- */

static void add(const char *what, const char *who, gbench_function *function, void *context, bool scales)
{
	char name[96];
	struct gbench *b;

	snprintf(name, sizeof(name), "driver/%s/%s", what, who);
	b = gbench_register(name, function, context);
	gbench_argument_name(b, "bytes");
	if (scales) {
		gbench_argument_of(b, 64);
		suites_thread_counts(b);
		gbench_use_real_time(b);
		return;
	}
	for (int64_t size = 8; size <= 1024; size = size == 8 ? 64 : size * 4)
		gbench_argument_of(b, size);
}

void suite_driver_register(void)
{
	static const uint16_t slots[] = {64};

	manager = suites_manager(8 << 20, 0);
	if (percpu_create(&magazines, 1, slots))
		exit(1);
	malloc_peers_load();
	if (!locked_list_init(&listed, LIST_BYTES))
		exit(1);
	add("pair", "floor", pair_floor, &magazines, false);
	add("pair", "isthmus", pair_ours, manager, false);
	add("burst", "isthmus", burst_ours, manager, false);
	add("scaling", "isthmus", pair_ours, manager, true);
	add("pair", "mutex, best fit", pair_list, NULL, false);
	add("scaling", "mutex, best fit", pair_list, NULL, true);
	for (int i = 0; i < MALLOC_PEERS; i++) {
		struct malloc_peer *peer = &malloc_peers[i];

		if (!peer->alloc)
			continue;
		add("pair", peer->name, pair_peer, peer, false);
		add("burst", peer->name, burst_peer, peer, false);
		add("scaling", peer->name, pair_peer, peer, true);
	}
}
