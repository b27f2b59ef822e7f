/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Records of the client pool in the memory model of C11: a place is freed and allocated for somebody else while its
 * holder is asked for. Whatever is found was so at one instant: a size and an owner of one and the same allocation.
 */
/* A handle has two halves, what is found one. */
#define GENMC_HALVES(bytes, i) ((bytes) == 48 && (i) == 4 ? 2 : (bytes) == 32 && (i) == 3 ? 1 : 0)
#include "support.h"

#include "../../src/client/client_pool.c"
#include "../../src/client/query.c"
#include "../model.h"

enum { PAGES = 4, FIRST_OWNER = 7, NEXT_OWNER = 8, FIRST_SIZE = 1000, NEXT_SIZE = 2000 + IST_PAGE_SIZE };

static struct ist_client_pool pool;
static _Atomic uint64_t records[PAGES];
static _Atomic uint32_t owners[PAGES];
static _Atomic int free_runs; /* stands for the run allocator: a free releases, the claim after it acquires */
static struct ist_shm first, next;
static size_t next_start;

int slabs_take_slow(struct slabs *slabs, size_t count, size_t bytes, size_t *start, size_t *granted)
{
	(void)slabs, (void)bytes;
	*start = next_start;
	*granted = count;
	return atomic_load_explicit(&free_runs, memory_order_acquire) ? 0 : -ENOSPC;
}

void slabs_give_run(struct slabs *slabs, size_t start, size_t count, uint64_t token)
{
	(void)slabs, (void)start, (void)count, (void)token;
	atomic_store_explicit(&free_runs, 1, memory_order_release);
}

uint64_t percpu_token_here(const struct percpu *percpu)
{
	(void)percpu;
	return 0;
}

void percpu_revoke_all(struct percpu *percpu)
{
	(void)percpu;
}

/* The word is 0: by compare-exchange. */
int percpu_end(struct percpu *percpu, uint64_t word, const struct percpu_ending *ending)
{
	(void)percpu, (void)word;
	return ending->end_anywhere(ending);
}

void pool_count_failure(struct pool *in)
{
	(void)in;
}

void pool_count_misuse(struct pool *in)
{
	(void)in;
}

static void set_up_at(size_t start, size_t then)
{
	struct client_claim claim = {.start = start};
	struct ist_client_request request = {.size = FIRST_SIZE, .owner = FIRST_OWNER};

	pool.pool.size = PAGES * IST_PAGE_SIZE;
	pool.record = records;
	pool.owner = owners;
	next_start = then;
	client_pool_publish(&pool, &request, &claim, false, &first);
}

static void set_up(void)
{
	set_up_at(2, 2);
}

static void set_up_inside(void)
{
	set_up_at(2, 1);
}

static void free_first(void)
{
	MODEL_ASSERT(client_pool_free(&pool, &first) == 0);
}

static void allocate_next(void)
{
	struct ist_client_request request = {
	        .size = NEXT_SIZE, .owner = NEXT_OWNER, .flags = IST_CLIENT_NOZERO};

	if (client_pool_alloc_request(&pool, &request, &next) == 0)
		MODEL_ASSERT(next.index == next_start);
}

/* A page of the first one, and of the next one too. */
static void find(void)
{
	struct ist_client_allocation found;

	if (client_pool_find(&pool, 2 * IST_PAGE_SIZE, &found))
		return;
	if (found.view.size == FIRST_SIZE)
		MODEL_ASSERT(found.owner == FIRST_OWNER && found.view.paddr == 2 * IST_PAGE_SIZE);
	else
		MODEL_ASSERT(found.view.size == NEXT_SIZE && found.owner == NEXT_OWNER &&
		             found.view.paddr == next_start * IST_PAGE_SIZE);
}

static void check(void)
{
	MODEL_ASSERT(first.view.size == 0);
}

const struct model_scenario model_scenarios[] = {
        {"a place is used again while it is looked up", set_up, {free_first, allocate_next, find}, check},
        {"a place becomes the inside of another", set_up_inside, {free_first, allocate_next, find}, check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
