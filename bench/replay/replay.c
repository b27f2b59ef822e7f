/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The timed replay.
 *
 * With several workers, two rules keep the recorded order where it matters, and waiting is never inside a
 * measurement:
 *  A. The steps on one object happen in their recorded order: each slot has a turn, and a step waits for its ticket.
 *  B. No worker runs further ahead than WINDOW steps of the slowest: the recorded CPUs were held together by their
 *     callers, and without this rule a worker would allocate what others should long have freed.
 * No deadlock: the worker with the earliest step waits for nobody, for all steps before it are done.
 */
#include "replay.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cpu.h"

#define WINDOW 32u
#define SPINS 64u

struct slot {
	struct block block;
	bool live; /* written and read by the holder of the turn only */
	_Atomic uint32_t turn; /* [A] steps done */
} __attribute__((aligned(64)));

struct replay;

struct worker {
	struct replay *replay;
	void *thread; /* the peer's */
	struct replay_result *result;
	struct replay_fault fault;
	pthread_t id;
	uint32_t number;
	_Atomic uint32_t next __attribute__((aligned(64))); /* [B] the step it is at; UINT32_MAX when done */
} __attribute__((aligned(64)));

struct replay {
	const struct replay_setup *setup;
	void *state;
	struct slot *slots;
	struct worker *workers;
	uint32_t worker_count;
	pthread_barrier_t barrier;
	atomic_bool stop; /* a fault was found somewhere */
};

void replay_fault_set(struct replay_fault *fault, const struct replay_setup *setup, const char *what,
                      int error)
{
	snprintf(fault->text, sizeof(fault->text), "%s: %s%s%s", setup->peer->name, what, error ? ": " : "",
	         error ? strerror(-error) : "");
}

static void fail(struct worker *worker, const char *what, int error)
{
	if (!worker->fault.text[0])
		replay_fault_set(&worker->fault, worker->replay->setup, what, error);
	atomic_store_explicit(&worker->replay->stop, true, memory_order_relaxed);
}

static void record(struct worker *worker, enum step_kind kind, uint64_t ticks)
{
	histogram_add(&worker->result->kinds[kind], ticks);
}

static bool timed_alloc(struct worker *worker, const struct step *step, struct block *block)
{
	const struct peer *peer = worker->replay->setup->peer;
	enum pool pool = step_pool(step->kind);
	uint64_t start = clock_start(), stop;
	int result;

	result = peer->alloc(worker->replay->state, worker->thread, pool, step->size, pool == POOL_CLIENT,
	                     block);
	stop = clock_stop();
	if (result == 0)
		record(worker, step->kind, stop - start);
	else if (result != -ENOSPC)
		fail(worker, "an allocation failed in a way it must not", result);
	return result == 0;
}

static void timed_free(struct worker *worker, enum step_kind kind, struct block *block)
{
	const struct peer *peer = worker->replay->setup->peer;
	enum pool pool = step_pool(kind);
	uint64_t start = clock_start(), stop;
	int result;

	result = peer->release(worker->replay->state, worker->thread, pool, block);
	stop = clock_stop();
	record(worker, kind, stop - start);
	if (result)
		fail(worker, "a free was refused", result);
}

static void attempt(struct worker *worker, const struct step *step)
{
	const struct region *region = &worker->replay->setup->region;
	struct block block;

	if (timed_alloc(worker, step, &block)) {
		worker->result->attempts_served++;
		timed_free(worker, step->kind + 1, &block);
		return;
	}
	worker->result->attempts_refused++;
	if (step->size > region_pool_size(region, step_pool(step->kind)))
		worker->result->attempts_impossible++;
}

static void translate(struct worker *worker, const struct step *step, const struct block *block)
{
	const struct replay *replay = worker->replay;
	const struct peer *peer = replay->setup->peer;
	unsigned char *vaddr = (unsigned char *)block->vaddr + step->offset;
	uint64_t paddr = block->paddr + step->offset, start, stop, found_paddr = 0;
	void *found_vaddr = NULL;
	int result;

	if (!peer->knows_physical)
		return;
	start = clock_start();
	if (step->kind == STEP_TO_PHYS)
		result = peer->to_phys(replay->state, vaddr, step->size, &found_paddr);
	else
		result = peer->to_virt(replay->state, paddr, step->size, &found_vaddr);
	stop = clock_stop();
	record(worker, step->kind, stop - start);
	if (result)
		fail(worker, "a translation of live memory failed", result);
	else if (step->kind == STEP_TO_PHYS ? found_paddr != paddr : found_vaddr != vaddr)
		fail(worker, "a translation gave the wrong address", 0);
}

static void carry_out(struct worker *worker, const struct step *step)
{
	struct replay *replay = worker->replay;
	struct slot *slot = step->slot == STEP_NO_SLOT ? NULL : &replay->slots[step->slot];
	const struct region *region = &replay->setup->region;

	if (step_is_attempt(step)) {
		attempt(worker, step);
	} else if (!slot) {
		struct block base = {.vaddr = region->vaddr, .paddr = region->paddr};

		translate(worker, step, &base);
	} else if (step_allocates(step->kind)) {
		slot->live = timed_alloc(worker, step, &slot->block);
		if (!slot->live)
			worker->result->refused[step_pool(step->kind)]++;
	} else if (!slot->live) {
		worker->result->left_out++;
	} else if (step_frees(step->kind)) {
		slot->live = false;
		timed_free(worker, step->kind, &slot->block);
	} else {
		translate(worker, step, &slot->block);
	}
}

static void relax(uint32_t *spins)
{
	/* Workers may share a CPU: the one that is waited for must get to run. */
	if (++*spins % SPINS == 0)
		sched_yield();
}

static void wait_for_window(struct worker *worker, uint32_t step, uint32_t *slowest)
{
	const struct replay *replay = worker->replay;
	uint32_t spins = 0, i;

	while (step - *slowest > WINDOW && !atomic_load_explicit(&replay->stop, memory_order_relaxed)) {
		*slowest = step;
		for (i = 0; i < replay->worker_count; i++) {
			/* Relaxed: only a distance. What the other has done is taken over through turns [A]. */
			uint32_t next = atomic_load_explicit(&replay->workers[i].next, memory_order_relaxed);

			if (next < *slowest)
				*slowest = next;
		}
		relax(&spins);
	}
}

static void wait_for_turn(const struct replay *replay, const struct step *step)
{
	uint32_t spins = 0;

	/* Acquire: pairs with the release in run_worker [A]; the block of the step before is then visible. */
	while (atomic_load_explicit(&replay->slots[step->slot].turn, memory_order_acquire) != step->ticket &&
	       !atomic_load_explicit(&replay->stop, memory_order_relaxed))
		relax(&spins);
}

static void run_worker(struct worker *worker)
{
	struct replay *replay = worker->replay;
	const struct plan *plan = replay->setup->plan;
	uint32_t i, slowest = 0;

	for (i = plan->first[worker->number]; i < plan->first[worker->number + 1]; i++) {
		uint32_t at = plan->order[i];
		const struct step *step = &plan->steps[at];

		atomic_store_explicit(&worker->next, at, memory_order_relaxed);
		wait_for_window(worker, at, &slowest);
		if (step->slot != STEP_NO_SLOT)
			wait_for_turn(replay, step);
		if (atomic_load_explicit(&replay->stop, memory_order_relaxed))
			return;
		carry_out(worker, step);
		/* Release: the next step on this slot sees what this one left [A]. */
		if (step->slot != STEP_NO_SLOT)
			atomic_store_explicit(&replay->slots[step->slot].turn, step->ticket + 1,
			                      memory_order_release);
	}
	atomic_store_explicit(&worker->next, UINT32_MAX, memory_order_relaxed);
}

static void run_all(struct worker *worker)
{
	const struct plan *plan = worker->replay->setup->plan;
	uint32_t i;

	for (i = 0; i < plan->step_count && !worker->fault.text[0]; i++)
		carry_out(worker, &plan->steps[i]);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct replay *replay = worker->replay;
	const struct peer *peer = replay->setup->peer;

	cpu_pin_nth(worker->number);
	if (peer->thread_begin) {
		worker->thread = peer->thread_begin(replay->state);
		if (!worker->thread)
			fail(worker, "no memory for a thread", 0);
	}
	pthread_barrier_wait(&replay->barrier);
	if (replay->setup->multi)
		run_worker(worker);
	else if (!worker->fault.text[0])
		run_all(worker);
	pthread_barrier_wait(&replay->barrier);
	if (worker->thread)
		peer->thread_end(replay->state, worker->thread);
	return NULL;
}

/* Objects that outlive the trace. */
static void free_rest(struct replay *replay)
{
	const struct peer *peer = replay->setup->peer;
	void *thread = peer->thread_begin ? peer->thread_begin(replay->state) : NULL;
	uint32_t i;

	for (i = 0; i < replay->setup->plan->slot_count; i++) {
		struct slot *slot = &replay->slots[i];

		if (slot->live && (thread || !peer->thread_begin)) {
			enum pool pool = (unsigned char *)slot->block.vaddr <
			                                 region_pool(&replay->setup->region, POOL_CLIENT)
			                         ? POOL_DRIVER
			                         : POOL_CLIENT;
			peer->release(replay->state, thread, pool, &slot->block);
		}
	}
	if (thread)
		peer->thread_end(replay->state, thread);
}

static int run_workers(struct replay *replay, struct replay_result *result, struct replay_fault *fault)
{
	struct replay_result *results = calloc(replay->worker_count, sizeof(*results));
	uint32_t i, kind, started = 0;

	if (!results || pthread_barrier_init(&replay->barrier, NULL, replay->worker_count + 1)) {
		replay_fault_set(fault, replay->setup, "no memory for the replay", 0);
		free(results);
		return -1;
	}
	for (i = 0; i < replay->worker_count; i++) {
		struct worker *worker = &replay->workers[i];

		worker->replay = replay;
		worker->number = i;
		worker->result = &results[i];
		started += !pthread_create(&worker->id, NULL, worker_main, worker);
	}
	if (started < replay->worker_count) {
		/* The others wait at the barrier for ever: there is nothing to go on with. */
		fprintf(stderr, "cannot start %u threads\n", replay->worker_count);
		exit(1);
	}
	pthread_barrier_wait(&replay->barrier);
	pthread_barrier_wait(&replay->barrier);
	for (i = 0; i < replay->worker_count; i++) {
		pthread_join(replay->workers[i].id, NULL);
		if (replay->workers[i].fault.text[0])
			*fault = replay->workers[i].fault;
		for (kind = 0; kind < STEP_KIND_COUNT; kind++)
			histogram_merge(&result->kinds[kind], &results[i].kinds[kind]);
		result->refused[POOL_DRIVER] += results[i].refused[POOL_DRIVER];
		result->refused[POOL_CLIENT] += results[i].refused[POOL_CLIENT];
		result->left_out += results[i].left_out;
		result->attempts_served += results[i].attempts_served;
		result->attempts_refused += results[i].attempts_refused;
		result->attempts_impossible += results[i].attempts_impossible;
	}
	pthread_barrier_destroy(&replay->barrier);
	free(results);
	return fault->text[0] ? -1 : 0;
}

int replay_timed(const struct replay_setup *setup, struct replay_result *result, struct replay_fault *fault)
{
	struct replay replay = {.setup = setup};
	size_t slots = setup->plan->slot_count ? setup->plan->slot_count : 1;
	int error;

	memset(result, 0, sizeof(*result));
	fault->text[0] = 0;
	error = setup->peer->create(&setup->region, &replay.state);
	if (error) {
		replay_fault_set(fault, setup, "cannot be created", error);
		return -1;
	}
	replay.worker_count = setup->multi ? setup->plan->worker_count : 1;
	replay.slots = aligned_alloc(64, slots * sizeof(*replay.slots));
	replay.workers = aligned_alloc(64, replay.worker_count * sizeof(*replay.workers));
	if (replay.slots && replay.workers) {
		memset(replay.slots, 0, slots * sizeof(*replay.slots));
		memset(replay.workers, 0, replay.worker_count * sizeof(*replay.workers));
		error = run_workers(&replay, result, fault);
		/* After a fault the peer's state cannot be trusted: leave it as it is. */
		if (!error) {
			free_rest(&replay);
			setup->peer->destroy(replay.state);
		}
	} else {
		replay_fault_set(fault, setup, "no memory for the replay", 0);
		error = -1;
	}
	free(replay.slots);
	free(replay.workers);
	return error;
}
