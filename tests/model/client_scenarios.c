/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The client pool under two or three threads: of the frees of one allocation by its holder, by who has a copy of the
 * handle, and by the end of its owner, exactly one is obeyed; and none takes what came after.
 */
#include <isthmus/share.h>

#include <errno.h>
#include <string.h>

#include "client/client_pool.h"
#include "client/share.h"
#include "platform/platform.h"
#include "model.h"

enum { PAGES = 64, OWNER = 7 };

static _Alignas(CACHE_LINE) unsigned char memory[4096];
static struct ist_client_pool pool;
static _Alignas(IST_PAGE_SIZE) char region[PAGES * IST_PAGE_SIZE];
static struct ist_shm holder, copy, got;
static int result[MODEL_THREADS];

/* No real files, no registry: what is mapped at each page, the pool's own file or that of an isolated buffer. */
enum { POOL_FD = 5, ISOLATED_FD = 6 };
static int mapped[PAGES];

int platform_map_file_at(void *where, size_t bytes, int fd, uint64_t offset)
{
	(void)bytes, (void)offset;
	explore_point();
	mapped[((char *)where - region) / IST_PAGE_SIZE] = fd;
	return 0;
}

int platform_map_sealed_at(void *where, size_t bytes, int fd)
{
	return platform_map_file_at(where, bytes, fd, 0);
}

int platform_duplicate(int fd)
{
	(void)fd;
	return -ENOTSUP;
}

int platform_sealed_file(size_t bytes)
{
	(void)bytes;
	return ISOLATED_FD;
}

struct pool *pool_find(uint64_t key)
{
	(void)key;
	return NULL;
}

static void place_thread_2(int cpu)
{
#ifdef PERCPU_MODEL
	explore_cpu[2] = cpu;
#else
	(void)cpu;
#endif
}

static int allocate_for(uint32_t owner, struct ist_shm *out)
{
	struct ist_client_request request = {.size = 1000, .owner = owner, .flags = IST_CLIENT_NOZERO};

	return client_pool_alloc_request(&pool, &request, out);
}

static void set_up_with(uint32_t quarantine)
{
	place_thread_2(0);
	if (pool.slabs.percpu.table != NULL)
		client_pool_end(&pool);
	percpu_pretend_cpus(1);
	memset(memory, 0, sizeof(memory));
	memset(&pool, 0, sizeof(pool));
	pool.pool.vaddr = region;
	pool.pool.size = sizeof(region);
	pool.pool.quarantine = quarantine;
	pool.pool.is_hardened = quarantine != 0;
	MODEL_ASSERT(client_pool_bytes(sizeof(region)) <= sizeof(memory));
	MODEL_ASSERT(client_pool_init(&pool, memory) == 0);
	/* The second time it comes out of a magazine: where there are sequences, with a token of CPU 0. */
	MODEL_ASSERT(allocate_for(OWNER, &holder) == 0);
	MODEL_ASSERT(client_pool_free(&pool, &holder) == 0);
	MODEL_ASSERT(allocate_for(OWNER, &holder) == 0);
	copy = holder;
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < MODEL_THREADS; i++)
		result[i] = -EALREADY;
}

static void set_up(void)
{
	set_up_with(0);
#ifdef PERCPU_MODEL
	MODEL_ASSERT(holder.token & TOKEN_ON);
#endif
}

static void set_up_two_afar(void)
{
	set_up();
	place_thread_2(1);
}

static void set_up_quarantined(void)
{
	set_up_with(1);
}

static void free_by_holder(void)
{
	result[0] = client_pool_free(&pool, &holder);
}

static void free_copy(void)
{
	result[2] = client_pool_free(&pool, &copy);
}

/* As teardown.c does it: 0 if it was this that freed the allocation. */
static int end_owner(void)
{
	uint32_t budget = 1;
	uint64_t page = 0;

	return client_pool_end_owner(&pool, OWNER, &page, &budget) == 1 || budget == 0 ? 0 : -EALREADY;
}

static void free_by_owners_end(void)
{
	result[1] = end_owner();
}

static void free_by_another_end(void)
{
	result[2] = end_owner();
}

static unsigned obeyed(void)
{
	unsigned count = 0;

	for (int i = 0; i < MODEL_THREADS; i++) {
		MODEL_ASSERT(result[i] == 0 || result[i] == -EALREADY || result[i] == -ENOENT);
		count += result[i] == 0;
	}
	return count;
}

static size_t used(void)
{
	struct slab_counts counts;

	slabs_count(&pool.slabs, &counts);
	return counts.allocs - counts.frees;
}

static void check_one(void)
{
	MODEL_ASSERT(obeyed() == 1);
	MODEL_ASSERT(used() == 0);
}

/* The next one at the place, of another owner: only its own handle may end it. */
static void allocate_next(void)
{
	MODEL_ASSERT(allocate_for(OWNER + 1, &got) == 0);
}

static void check_next(void)
{
	result[2] = -EALREADY;
	MODEL_ASSERT(obeyed() == 1);
	MODEL_ASSERT(used() == 1);
	MODEL_ASSERT(client_pool_free(&pool, &got) == 0);
}

/* An isolated buffer whose owner ends while it is being made, and the next one at its place. */
static void set_up_isolated(void)
{
	set_up();
	MODEL_ASSERT(client_pool_free(&pool, &holder) == 0);
	client_share_set_file(&pool, POOL_FD, 0);
	for (int page = 0; page < PAGES; page++)
		mapped[page] = POOL_FD;
}

static void allocate_isolated(void)
{
	struct ist_client_request request = {.size = 1000, .owner = OWNER};
	int fd;

	MODEL_ASSERT(client_share_alloc(&pool, &request, &holder, &fd) == 0);
}

static void check_isolated(void)
{
	MODEL_ASSERT(used() == (result[1] == 0 ? 1 : 2));
	for (size_t page = 0; page < PAGES; page++) {
		bool isolated = result[1] != 0 && page == holder.index;

		MODEL_ASSERT(mapped[page] == (isolated ? ISOLATED_FD : POOL_FD));
	}
}

const struct model_scenario model_scenarios[] = {
        {"holder and copy at home, owner's end afar",
         set_up,
         {free_by_holder, free_by_owners_end, free_copy},
         check_one},
        {"holder at home, owner's end and copy afar",
         set_up_two_afar,
         {free_by_holder, free_by_owners_end, free_copy},
         check_one},
        {"holder at home, owner's end afar and at home",
         set_up,
         {free_by_holder, free_by_owners_end, free_by_another_end},
         check_one},
        {"holder, owner's end, and the next one at the place",
         set_up,
         {free_by_holder, free_by_owners_end, allocate_next},
         check_next},
        {"with a quarantine: holder, owner's end, copy",
         set_up_quarantined,
         {free_by_holder, free_by_owners_end, free_copy},
         check_one},
        {"with a quarantine: holder, owner's end, and the next",
         set_up_quarantined,
         {free_by_holder, free_by_owners_end, allocate_next},
         check_next},
        {"an isolated one is made, its owner ends, and the next",
         set_up_isolated,
         {allocate_isolated, free_by_owners_end, allocate_next},
         check_isolated},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};
