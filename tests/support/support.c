/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct carve_out carve_out_make(size_t size, size_t skew)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t body = (skew + size + page - 1) / page * page;
	struct carve_out result = {.size = size, .mapped = body + 2 * page};

	result.mapping =
	        mmap(NULL, result.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(result.mapping, MAP_FAILED);
	assert_int_equal(mprotect(result.mapping + page, body, PROT_READ | PROT_WRITE), 0);
	if (body <= 64 * MIB)
		memset(result.mapping + page, 0xa5, body);
	result.start = result.mapping + page + skew;
	return result;
}

void carve_out_drop(struct carve_out *carve_out)
{
	munmap(carve_out->mapping, carve_out->mapped);
}

struct fixture fixture_make(size_t size, size_t driver_pool_size)
{
	struct fixture fixture = {.carve_out = carve_out_make(size, 0)};
	struct ist_manager_config config = {
	        .vaddr = fixture.carve_out.start,
	        .paddr = PADDR,
	        .size = size,
	        .driver_pool_size = driver_pool_size,
	};

	assert_int_equal(ist_manager_create(&config, &fixture.manager), 0);
	fixture.driver = ist_manager_driver_pool(fixture.manager);
	fixture.client = ist_manager_client_pool(fixture.manager);
	return fixture;
}

void fixture_drop(struct fixture *fixture)
{
	struct ist_pool_stats stats;

	ist_driver_pool_stats(fixture->driver, &stats);
	assert_int_equal(stats.used, 0);
	assert_int_equal(stats.largest_free, stats.size);
	ist_client_pool_stats(fixture->client, &stats);
	assert_int_equal(stats.used, 0);
	assert_int_equal(stats.largest_free, stats.size);
	assert_int_equal(ist_manager_destroy(fixture->manager), 0);
	carve_out_drop(&fixture->carve_out);
}

static int alloc_driver(const struct any_pool *pool, size_t size, struct ist_shm *out)
{
	return ist_driver_pool_alloc(pool->pool, size, out);
}

static int alloc_client(const struct any_pool *pool, size_t size, struct ist_shm *out)
{
	return ist_client_pool_alloc(pool->pool, size, out);
}

static int alloc_client_nozero(const struct any_pool *pool, size_t size, struct ist_shm *out)
{
	return ist_client_pool_alloc_nozero(pool->pool, size, out);
}

static void stats_driver(const struct any_pool *pool, struct ist_pool_stats *out)
{
	ist_driver_pool_stats(pool->pool, out);
}

static void stats_client(const struct any_pool *pool, struct ist_pool_stats *out)
{
	ist_client_pool_stats(pool->pool, out);
}

struct any_pool any_driver(struct ist_driver_pool *pool)
{
	return (struct any_pool){"driver", alloc_driver, stats_driver, 8, pool};
}

struct any_pool any_client(struct ist_client_pool *pool)
{
	return (struct any_pool){"client", alloc_client, stats_client, IST_PAGE_SIZE, pool};
}

struct any_pool any_client_nozero(struct ist_client_pool *pool)
{
	return (struct any_pool){"client, not zeroed", alloc_client_nozero, stats_client, IST_PAGE_SIZE,
	                         pool};
}

uint32_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

size_t random_below(uint64_t *state, size_t limit)
{
	return (((size_t)random_next(state) << 31) | random_next(state)) % limit;
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
