/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The client pool's requests: owner, alignment, place; and the questions one can ask it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver/driver_pool.h"
#include "support/support.h"

static struct fixture f;

static int set_up(void **state)
{
	(void)state;
	f = fixture_make(8 * MIB, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_drop(&f);
	return 0;
}

static uint64_t pool_paddr(void)
{
	return PADDR + 16 * KIB;
}

static size_t pool_size(void)
{
	return 8 * MIB - 16 * KIB;
}

static void check_refused(struct ist_client_request request, int error)
{
	const struct ist_shm untouched = {.generation = 77};
	struct ist_shm shm = untouched;

	assert_int_equal(ist_client_pool_alloc_request(f.client, &request, &shm), error);
	assert_memory_equal(&shm, &untouched, sizeof(shm));
}

static void bad_requests(void **state)
{
	struct ist_shm shm;
	struct ist_client_request good = {.size = 1};

	(void)state;
	assert_int_equal(ist_client_pool_alloc_request(NULL, &good, &shm), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_request(f.client, NULL, &shm), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_request(f.client, &good, NULL), -EINVAL);
	check_refused((struct ist_client_request){.size = 0}, -EINVAL);
	check_refused((struct ist_client_request){.size = 1, .flags = 4}, -EINVAL);
	check_refused((struct ist_client_request){.size = 1, .align = 3 * 4096}, -EINVAL);
	check_refused((struct ist_client_request){.size = 1, .align = IST_CLIENT_ALIGN_MAX * 2}, -EINVAL);
	check_refused((struct ist_client_request){.size = 1, .align = IST_CLIENT_ALIGN_MAX}, -ENOSPC);
	check_refused((struct ist_client_request){.size = pool_size() + 1}, -ENOSPC);
	check_refused((struct ist_client_request){.size = SIZE_MAX}, -ENOSPC);

	const struct ist_client_request at[] = {
	        {.size = 1, .paddr = pool_paddr() + 8},
	        {.size = 1, .paddr = pool_paddr() - IST_PAGE_SIZE},
	        {.size = 1, .paddr = pool_paddr() + pool_size()},
	        {.size = 1, .paddr = 0},
	        {.size = 1, .paddr = UINT64_MAX - 4095},
	        {.size = 4097, .paddr = pool_paddr() + pool_size() - IST_PAGE_SIZE},
	        {.size = SIZE_MAX, .paddr = pool_paddr()},
	        {.size = 1, .paddr = pool_paddr() + IST_PAGE_SIZE, .align = 64 * KIB},
	};
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct ist_client_request request = at[i];

		request.flags = IST_CLIENT_AT;
		check_refused(request, -EINVAL);
	}
}

static void alignment_of_the_physical_address(void **state)
{
	struct ist_shm shm, small;

	(void)state;
	assert_int_equal(ist_client_pool_alloc(f.client, 1, &small), 0);
	for (size_t align = 1; align <= 4 * MIB; align *= 2) {
		struct ist_client_request request = {.size = 5000, .align = align};

		assert_int_equal(ist_client_pool_alloc_request(f.client, &request, &shm), 0);
		assert_int_equal(shm.view.paddr % align, 0);
		assert_int_equal(((char *)shm.view.vaddr)[8191], 0); /* zeroed to the end of its page */
		assert_int_equal(ist_shm_free(&shm), 0);
	}
	assert_int_equal(ist_shm_free(&small), 0);
}

static void at_a_place(void **state)
{
	struct ist_shm a, b;
	struct ist_client_request request = {.size = 3 * IST_PAGE_SIZE,
	                                     .flags = IST_CLIENT_AT,
	                                     .paddr = pool_paddr() + 10 * IST_PAGE_SIZE};

	(void)state;
	assert_int_equal(ist_client_pool_alloc_request(f.client, &request, &a), 0);
	assert_int_equal(a.view.paddr, request.paddr);
	for (int shift = -2; shift <= 2; shift++) {
		struct ist_client_request over = request;

		over.paddr += (uint64_t)((int64_t)shift * IST_PAGE_SIZE);
		check_refused(over, -EBUSY);
	}
	request.paddr += 3 * IST_PAGE_SIZE;
	assert_int_equal(ist_client_pool_alloc_request(f.client, &request, &b), 0);
	assert_int_equal(ist_shm_free(&a), 0);
	assert_int_equal(ist_shm_free(&b), 0);
	request = (struct ist_client_request){
	        .size = pool_size(), .flags = IST_CLIENT_AT, .paddr = pool_paddr()};
	assert_int_equal(ist_client_pool_alloc_request(f.client, &request, &a), 0);
	assert_int_equal(ist_shm_free(&a), 0);
}

static void check_find(uint64_t paddr, const struct ist_shm *holder, uint32_t owner)
{
	struct ist_client_allocation found = {.owner = 99};

	if (!holder) {
		assert_int_equal(ist_client_pool_find(f.client, paddr, &found), -ENOENT);
		assert_int_equal(found.owner, 99);
		return;
	}
	assert_int_equal(ist_client_pool_find(f.client, paddr, &found), 0);
	assert_memory_equal(&found.view, &holder->view, sizeof(found.view));
	assert_int_equal(found.owner, owner);
}

/* Random allocations of random owners; then every page is asked for, and the walk must see each allocation once. */
static void who_holds_a_page(void **state)
{
	enum { OBJECTS = 60 };
	static struct ist_shm shm[OBJECTS];
	uint32_t owner[OBJECTS];
	uint64_t seed = 6;

	(void)state;
	memset(shm, 0, sizeof(shm));
	for (long round = 0; round < scaled(200); round++) {
		struct ist_client_allocation found;
		size_t live = 0, seen = 0, bytes_of_3 = 0, count_of_3 = 0;
		struct ist_client_owner_use use;
		uint64_t from = 0;

		for (int i = 0; i < 10; i++) {
			size_t k = random_below(&seed, OBJECTS);
			struct ist_client_request request = {
			        .size = 1 + random_below(&seed, random_below(&seed, 4) ? 20000 : 900000),
			        .owner = (uint32_t)random_below(&seed, 5),
			        .flags = IST_CLIENT_NOZERO,
			};

			if (shm[k].view.size)
				assert_int_equal(ist_shm_free(&shm[k]), 0);
			else if (ist_client_pool_alloc_request(f.client, &request, &shm[k]) == 0)
				owner[k] = request.owner;
		}
		for (int k = 0; k < OBJECTS; k++) {
			const struct ist_view *view = &shm[k].view;

			if (!view->size)
				continue;
			live++;
			bytes_of_3 += owner[k] == 3 ? view->size : 0;
			count_of_3 += owner[k] == 3;
			for (size_t offset = 0; offset < view->size; offset += IST_PAGE_SIZE)
				check_find(view->paddr + offset, &shm[k], owner[k]);
			check_find(((view->paddr + view->size - 1) | 4095), &shm[k], owner[k]);
		}
		while (ist_client_pool_next(f.client, from, &found) == 0) {
			assert_true(found.view.paddr >= from);
			check_find(found.view.paddr, &(struct ist_shm){.view = found.view}, found.owner);
			from = ((found.view.paddr + found.view.size - 1) | 4095) + 1;
			seen++;
		}
		assert_int_equal(seen, live);
		ist_client_pool_owner_use(f.client, 3, &use);
		assert_int_equal(use.bytes, bytes_of_3);
		assert_int_equal(use.allocations, count_of_3);
	}
	for (int k = 0; k < OBJECTS; k++) {
		struct ist_shm before = shm[k];

		if (!before.view.size)
			continue;
		assert_int_equal(ist_shm_free(&shm[k]), 0);
		for (size_t offset = 0; offset < before.view.size; offset += IST_PAGE_SIZE)
			check_find(before.view.paddr + offset, NULL, 0);
	}
}

static void questions_with_bad_arguments(void **state)
{
	struct ist_client_allocation found;
	struct ist_client_owner_use use = {.bytes = 1};
	struct ist_client_pool_space space = {.pages = 77};

	(void)state;
	assert_int_equal(ist_client_pool_find(NULL, PADDR, &found), -EINVAL);
	assert_int_equal(ist_client_pool_find(f.client, PADDR, NULL), -EINVAL);
	assert_int_equal(ist_client_pool_find(f.client, PADDR, &found), -ENOENT); /* the driver pool's */
	assert_int_equal(ist_client_pool_find(f.client, pool_paddr() + pool_size(), &found), -ENOENT);
	assert_int_equal(ist_client_pool_find(f.client, 0, &found), -ENOENT);
	assert_int_equal(ist_client_pool_find(f.client, UINT64_MAX, &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(NULL, 0, &found), -EINVAL);
	assert_int_equal(ist_client_pool_next(f.client, 0, NULL), -EINVAL);
	assert_int_equal(ist_client_pool_next(f.client, 0, &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(f.client, pool_paddr() + pool_size(), &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(f.client, UINT64_MAX, &found), -ENOENT);
	ist_client_pool_owner_use(NULL, 0, &use);
	assert_int_equal(use.bytes, 0);
	ist_client_pool_owner_use(f.client, 0, NULL);
	ist_client_pool_space(NULL, &space);
	assert_int_equal(space.pages, 77);
	ist_client_pool_space(f.client, NULL);
}

static void how_the_free_space_lies(void **state)
{
	struct ist_client_pool_space space;
	struct ist_shm shm[3];
	size_t pages = pool_size() / IST_PAGE_SIZE;
	struct ist_client_request request = {.flags = IST_CLIENT_AT | IST_CLIENT_NOZERO};
	const struct {
		size_t page, count;
	} taken[3] = {{1, 1}, {5, 512}, {1024, 1}};

	(void)state;
	ist_client_pool_space(f.client, &space);
	assert_int_equal(space.pages, pages);
	assert_int_equal(space.free_pages, pages);
	assert_int_equal(space.longest_run, pages);
	assert_int_equal(space.fragmentation, 0);
	assert_int_equal(space.free_blocks, pages / 512);
	assert_int_equal(space.runs[10], 1); /* 2044 pages */

	for (int i = 0; i < 3; i++) {
		request.paddr = pool_paddr() + taken[i].page * IST_PAGE_SIZE;
		request.size = taken[i].count * IST_PAGE_SIZE;
		assert_int_equal(ist_client_pool_alloc_request(f.client, &request, &shm[i]), 0);
	}
	ist_client_pool_space(f.client, &space); /* free: 1, 3, 507, and the rest of 1019 */
	assert_int_equal(space.free_pages, pages - 514);
	assert_int_equal(space.longest_run, pages - 1025);
	assert_int_equal(space.runs[0], 1);
	assert_int_equal(space.runs[1], 1);
	assert_int_equal(space.runs[8], 1);
	assert_int_equal(space.runs[9], 1);
	assert_int_equal(space.free_blocks, 0);
	assert_int_equal(space.fragmentation, 1000 - (pages - 1025) * 1000 / (pages - 514));
	for (int i = 0; i < 3; i++)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
}

/* The fixed part of the bookkeeping, from what the process holds: a fresh pool, then one full of 2 MiB buffers. */
static void bookkeeping_of_a_pool(void **state)
{
	(void)state;
	for (size_t gib = 1; gib <= 4; gib *= 2) {
		size_t chunks = gib * 512;

		assert_true(buddy_bytes(chunks * 512) <= gib * 48 * KIB);
	}
	for (size_t size = 16 * KIB; size <= 64 * MIB; size *= 4)
		assert_true(driver_pool_bytes(size) <= size / 4 + 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(bad_requests, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(alignment_of_the_physical_address, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(at_a_place, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(who_holds_a_page, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(questions_with_bad_arguments, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(how_the_free_space_lies, set_up, tear_down),
	        cmocka_unit_test(bookkeeping_of_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
