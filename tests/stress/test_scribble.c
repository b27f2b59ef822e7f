/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Rule 1: nothing of ours lies in the shared memory. A hostile peer writes random bytes over the whole carve-out,
 * free and allocated, while a fixed sequence of calls runs: every result must be the one without the peer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static _Atomic int stop;
static _Atomic long scribbles;

static void *scribble(void *arg)
{
	const struct carve_out *c = arg;
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)c->start;
	uint64_t seed = 4;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (int i = 0; i < 1000; i++)
			atomic_store_explicit(&words[random_below(&seed, c->size / 8)],
			                      random_next(&seed) * UINT64_C(0x100000001),
			                      memory_order_relaxed);
		atomic_fetch_add_explicit(&scribbles, 1000, memory_order_relaxed);
	}
	return NULL;
}

enum { STEPS = 60000, OBJECTS = 100 };

struct outcome {
	int result;
	uint64_t paddr;
	struct ist_pool_stats driver, client;
};

/* A sequence that depends only on the seed and on the results. */
static void play(struct fixture *f, struct outcome *outcome, long steps)
{
	static struct ist_shm shm[OBJECTS];
	uint64_t seed = 77;

	memset(shm, 0, sizeof(shm));
	for (long i = 0; i < steps; i++) {
		size_t index = random_below(&seed, OBJECTS), size = 1 + random_below(&seed, 600);
		struct outcome *o = &outcome[i];

		if (shm[index].view.size)
			o->result = ist_shm_free(&shm[index]);
		else if (index % 2)
			o->result = ist_driver_pool_alloc(f->driver, size, &shm[index]);
		else
			o->result = ist_client_pool_alloc_nozero(f->client, size * 50, &shm[index]);
		o->paddr = shm[index].view.paddr;
		ist_driver_pool_stats(f->driver, &o->driver);
		ist_client_pool_stats(f->client, &o->client);
	}
	for (int i = 0; i < OBJECTS; i++) {
		if (shm[i].view.size)
			assert_int_equal(ist_shm_free(&shm[i]), 0);
	}
}

static void a_hostile_peer_changes_nothing(void **state)
{
	long steps = scaled(STEPS);
	struct outcome *quiet = test_calloc((size_t)steps, sizeof(*quiet));
	struct outcome *hostile = test_calloc((size_t)steps, sizeof(*hostile));
	struct fixture f = fixture_make(512 * KIB, 0);
	pthread_t peer;

	(void)state;
	play(&f, quiet, steps);
	fixture_drop(&f);

	f = fixture_make(512 * KIB, 0);
	pthread_create(&peer, NULL, scribble, &f.carve_out);
	while (atomic_load(&scribbles) == 0)
		continue;
	play(&f, hostile, steps);
	atomic_store(&stop, 1);
	pthread_join(peer, NULL);
	fixture_drop(&f);

	print_message("%ld calls while %ld words were scribbled over\n", steps, atomic_load(&scribbles));
	assert_memory_equal(quiet, hostile, (size_t)steps * sizeof(*quiet));
	test_free(quiet);
	test_free(hostile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_hostile_peer_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
