/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The driver pool under two or three threads: exactly one of several frees of one allocation is obeyed. */
#include <errno.h>
#include <string.h>

#include "driver/alloc.h"
#include "driver/bulk.h"
#include "model.h"

static _Alignas(CACHE_LINE) unsigned char memory[4096];
static struct ist_driver_pool pool;
static char region[512];
static struct ist_shm first, second, got;
static int result[MODEL_THREADS];

static void set_up(void)
{
	if (pool.slabs.percpu.table != NULL)
		driver_pool_end(&pool);
	percpu_pretend_cpus(1);
	memset(memory, 0, sizeof(memory));
	memset(&pool, 0, sizeof(pool));
	pool.pool.vaddr = region;
	pool.pool.size = sizeof(region);
	MODEL_ASSERT(driver_pool_bytes(sizeof(region)) <= sizeof(memory));
	MODEL_ASSERT(driver_pool_init(&pool, memory) == 0);
	MODEL_ASSERT(driver_pool_alloc(&pool, 100, &first) == 0);
	second = first;
	memset(&got, 0, sizeof(got));
}

static void free_first(void)
{
	result[0] = driver_pool_free(&pool, &first);
}

static void free_second(void)
{
	result[1] = driver_pool_free(&pool, &second);
}

static void allocate(void)
{
	result[2] = driver_pool_alloc(&pool, 500, &got); /* fits only once the 100 are gone */
}

static size_t largest_free(void)
{
	struct ist_pool_stats stats;

	driver_pool_stats(&pool, &stats);
	MODEL_ASSERT(stats.used == got.view.size);
	return stats.largest_free;
}

static void check(void)
{
	MODEL_ASSERT((result[0] == 0) + (result[1] == 0) == 1);
	MODEL_ASSERT(result[0] == 0 || result[0] == -EALREADY);
	MODEL_ASSERT(result[1] == 0 || result[1] == -EALREADY);
	MODEL_ASSERT(result[2] == 0 || result[2] == -ENOSPC);
	MODEL_ASSERT(largest_free() == (result[2] == 0 ? 8u : 512u));
}

/* A stale copy against the next owner of the same place. */
static void reuse(void)
{
	result[2] = driver_pool_alloc(&pool, 100, &got);
	if (result[2] == 0)
		MODEL_ASSERT(driver_pool_free(&pool, &got) == 0);
	got.view.size = 0;
}

static void reuse_check(void)
{
	MODEL_ASSERT((result[0] == 0) + (result[1] == 0) == 1);
	MODEL_ASSERT(result[2] == 0);
	MODEL_ASSERT(largest_free() == 512);
}

/* Two threads that together never want more than there is: neither may be refused. */
static struct ist_shm mine[2];

static void set_up_quota(void)
{
	set_up();
	MODEL_ASSERT(driver_pool_free(&pool, &first) == 0);
	MODEL_ASSERT(driver_pool_alloc(&pool, 300, &first) ==
	             0); /* 38 granules of 64: two times 13 are left */
	memset(mine, 0, sizeof(mine));
}

static void within_quota(int thread)
{
	result[thread] = driver_pool_alloc(&pool, 104, &mine[thread]);
	if (result[thread] == 0)
		result[thread] = driver_pool_free(&pool, &mine[thread]);
	if (result[thread] == 0)
		result[thread] = driver_pool_alloc(&pool, 100, &mine[thread]);
}

static void first_within_quota(void)
{
	within_quota(0);
}

static void second_within_quota(void)
{
	within_quota(1);
}

static void quota_check(void)
{
	MODEL_ASSERT(result[0] == 0 && result[1] == 0);
	MODEL_ASSERT(mine[0].view.vaddr != mine[1].view.vaddr);
}

static void place(int thread, int cpu)
{
#ifdef PERCPU_MODEL
	explore_cpu[thread] = cpu;
#else
	(void)thread, (void)cpu;
#endif
}

/* One that came out of a magazine, and so has a token of CPU 0 where there are sequences; freed there and elsewhere. */
static struct ist_shm third;

static void set_up_token(void)
{
	place(2, 0);
	set_up();
	MODEL_ASSERT(driver_pool_free(&pool, &first) == 0);
	MODEL_ASSERT(driver_pool_alloc(&pool, 30, &first) == 0);
	MODEL_ASSERT(driver_pool_free(&pool, &first) == 0);
	MODEL_ASSERT(driver_pool_alloc(&pool, 30, &first) == 0);
#ifdef PERCPU_MODEL
	MODEL_ASSERT(first.token & TOKEN_ON);
#endif
	second = third = first;
}

static void set_up_token_two_afar(void)
{
	set_up_token();
	place(2, 1);
}

static void free_third(void)
{
	result[2] = driver_pool_free(&pool, &third);
}

static void check_one_of_three(void)
{
	place(2, 0);
	MODEL_ASSERT((result[0] == 0) + (result[1] == 0) + (result[2] == 0) == 1);
	for (int i = 0; i < 3; i++)
		MODEL_ASSERT(result[i] == 0 || result[i] == -EALREADY);
	MODEL_ASSERT(largest_free() == 512);
}

/* The next owner of the place is on the first one's CPU, and its allocation must outlive the copies. */
static void reuse_token(void)
{
	result[2] = driver_pool_alloc(&pool, 30, &got);
}

static void check_reuse_token(void)
{
	struct ist_shm last = got;

	MODEL_ASSERT((result[0] == 0) + (result[1] == 0) == 1);
	MODEL_ASSERT(result[2] == 0);
	got.view.size = 0;
	MODEL_ASSERT(driver_pool_free(&pool, &last) == 0);
	MODEL_ASSERT(largest_free() == 512);
}

/* Two messages that end on one CPU at once, with room for both in its magazine: afterwards the whole pool is to be had. */
static void set_up_two(void)
{
	size_t at;

	set_up_token();
	at = slabs_at(&pool.slabs, driver_granules(30));
	percpu_set_capacity(&pool.slabs.percpu, 0, (unsigned)PERCPU_CLASS(at), 2);
	MODEL_ASSERT(driver_pool_alloc(&pool, 30, &second) == 0);
#ifdef PERCPU_MODEL
	MODEL_ASSERT(second.token & TOKEN_ON);
#endif
	place(1, 0);
}

static void check_two(void)
{
	place(1, 1);
	MODEL_ASSERT(result[0] == 0 && result[1] == 0);
	MODEL_ASSERT(driver_pool_alloc(&pool, sizeof(region), &got) == 0);
}

/* The same message by its pointer: with a handle, which has a token of CPU 0, and without one. */
static void free_by_pointer(int thread)
{
	void *vaddr = second.view.vaddr;

	result[thread] = driver_pool_free_bulk(&pool, &vaddr, 1);
}

static void second_by_pointer(void)
{
	free_by_pointer(1);
}

static void third_by_pointer(void)
{
	free_by_pointer(2);
}

static void first_by_pointer(void)
{
	free_by_pointer(0);
}

static void set_up_bare(void)
{
	set_up_token();
	MODEL_ASSERT(driver_pool_free(&pool, &first) == 0);
	MODEL_ASSERT(driver_pool_alloc_bulk(&pool, 64, 1, &second.view.vaddr) == 0);
}

const struct model_scenario model_scenarios[] = {
        {"by pointer: with a handle, freed at home, by pointer at home and afar",
         set_up_token,
         {free_first, second_by_pointer, third_by_pointer},
         check_one_of_three},
        {"by pointer: without a handle, twice at home, once afar",
         set_up_bare,
         {first_by_pointer, second_by_pointer, third_by_pointer},
         check_one_of_three},
        {"with a token: two free at home, one afar",
         set_up_token,
         {free_first, free_second, free_third},
         check_one_of_three},
        {"with a token: one frees at home, two afar",
         set_up_token_two_afar,
         {free_first, free_second, free_third},
         check_one_of_three},
        {"with a token: freed at home and afar, allocated at home",
         set_up_token,
         {free_first, free_second, reuse_token},
         check_reuse_token},
        {"with a token: two messages freed at home", set_up_two, {free_first, free_second, NULL}, check_two},
        {"two within their quota",
         set_up_quota,
         {first_within_quota, second_within_quota, NULL},
         quota_check},
        {"two free the same, one allocates", set_up, {free_first, free_second, allocate}, check},
        {"a stale copy and the next owner", set_up, {free_first, free_second, reuse}, reuse_check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};
