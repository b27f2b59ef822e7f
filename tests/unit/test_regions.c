/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the client pool has grown by: which region a request is tried in, and what the end of an owner looks at. */
#include "support/shop.h"

#include <errno.h>

#include "manager/manager.h"

/* Requests that were tried in regions and found no room there. */
static uint64_t tried_in_vain(struct ist_manager *manager)
{
	struct ist_pool_stats stats;
	uint64_t failures = 0;

	for (struct grown_region *region = manager->provider.regions; region; region = region->next) {
		ist_client_pool_stats(&region->pool, &stats);
		failures += stats.failures;
	}
	return failures;
}

/* Regions that are too full cost a request next to nothing: it is not tried there. */
static void full_regions_are_passed_by(void **state)
{
	enum { COUNT = 40 };
	struct shop *shop = shop_open(16, UINT64_MAX, COUNT * 16);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = PAGE};
	struct ist_shm carve_out[64], shm[COUNT], small;
	int held = 0;

	(void)state;
	while (ist_client_pool_alloc_request(shop->guest.fixture.client, &request, &carve_out[held]) == 0)
		held++;
	request.size = 15 * PAGE;
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[i]), 0);
	assert_int_equal(manager->provider.region_count, COUNT);
	assert_int_equal(manager->provider.region_pages, 16 * COUNT);
	assert_int_equal(ist_provider_client_alloc(manager, &request, &small), -ENOSPC);
	assert_int_equal(tried_in_vain(manager), 0);
	assert_int_equal(ist_shm_free(&shm[0]), 0); /* the oldest, so the last on the list */
	request.size = 16 * PAGE;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[0]), 0);
	assert_int_equal(tried_in_vain(manager), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
	for (int i = 0; i < held; i++)
		assert_int_equal(ist_shm_free(&carve_out[i]), 0);
	assert_int_equal(ist_provider_drain(manager), 0);
	assert_int_equal(manager->provider.region_count, 0);
	assert_int_equal(manager->provider.region_pages, 0);
	shop_close(shop);
}

/* A region that is in pieces is asked once for what it has not got, until something is freed there. */
static void regions_in_pieces_are_asked_once(void **state)
{
	enum { COUNT = 6, PAGES = 65 };
	struct shop *shop = shop_open(PAGES, UINT64_MAX, COUNT * PAGES);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = PAGE};
	static struct ist_shm carve_out[64], shm[COUNT * PAGES];
	struct ist_shm first, pair;
	int held = 0;

	(void)state;
	while (ist_client_pool_alloc_request(shop->guest.fixture.client, &request, &carve_out[held]) == 0)
		held++;
	for (int i = 0; i < COUNT * PAGES; i++)
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[i]), 0);
	for (int i = 0; i < COUNT * PAGES; i += 2)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
	request.size = 2 * PAGE;
	for (int i = 0; i < 10; i++)
		assert_int_equal(ist_provider_client_alloc(manager, &request, &pair), -ENOSPC);
	assert_true(tried_in_vain(manager) <= COUNT);
	assert_int_equal(ist_shm_free(&shm[COUNT * PAGES / 2 | 1]), 0);
	assert_int_equal(ist_provider_client_alloc(manager, &request, &first), 0);
	assert_true(tried_in_vain(manager) <= COUNT + 1);
	/* Somebody has stopped on his way to leave word of what was freed: it is found all the same. */
	assert_int_equal(ist_provider_client_alloc(manager, &request, &pair), -ENOSPC);
	for (struct grown_region *region = manager->provider.regions; region; region = region->next)
		atomic_store_explicit(&region->place.marked, 1, memory_order_relaxed);
	assert_int_equal(ist_shm_free(&shm[1]), 0);
	assert_int_equal(ist_provider_client_alloc(manager, &request, &pair), -ENOSPC);
	atomic_fetch_add_explicit(&manager->provider.room.between, 1, memory_order_relaxed);
	assert_int_equal(ist_provider_client_alloc(manager, &request, &pair), 0);
	for (struct grown_region *region = manager->provider.regions; region; region = region->next)
		atomic_store_explicit(&region->place.marked, 0, memory_order_relaxed);
	atomic_fetch_sub_explicit(&manager->provider.room.between, 1, memory_order_relaxed);
	for (int i = 0; i < COUNT * PAGES; i++)
		if (i % 2 && i != 1 && i != (COUNT * PAGES / 2 | 1))
			assert_int_equal(ist_shm_free(&shm[i]), 0);
	assert_int_equal(ist_shm_free(&pair), 0);
	assert_int_equal(ist_shm_free(&first), 0);
	for (int i = 0; i < held; i++)
		assert_int_equal(ist_shm_free(&carve_out[i]), 0);
	shop_close(shop);
}

/* What others have in regions costs an owner's end nothing; what he has, a step each. */
static void regions_of_others(void **state)
{
	enum { COUNT = 12 };
	struct shop *shop = shop_open(65, UINT64_MAX, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = 60 * PAGE, .owner = 8};
	struct ist_shm other[COUNT], mine[3];

	(void)state;
	for (uint32_t turn = 0; turn < 2; turn++) {
		assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 9}), 0);
		for (int i = 0; i < COUNT && turn == 0; i++)
			assert_int_equal(ist_provider_client_alloc(manager, &request, &other[i]), 0);
		assert_true(manager->provider.region_count >= COUNT - 1);
		request = (struct ist_client_request){.size = 3 * PAGE, .owner = 9};
		for (int i = 0; i < 3; i++)
			assert_int_equal(ist_provider_client_alloc(manager, &request, &mine[i]), 0);
		assert_int_equal(ist_owner_destroy_begin(manager, 9), 0);
		for (int left = 1, steps = 0; left != 0; steps++) {
			left = ist_owner_destroy_step(manager, 9, 1);
			assert_true(left == 0 || (left == 1 && steps < 5));
		}
		for (int i = 0; i < 3; i++)
			assert_int_equal(ist_shm_free(&mine[i]), -EALREADY);
	}
	/* Of whom there never was anything, and of whom there is nothing any more. */
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 9}), 0);
	assert_int_equal(ist_owner_destroy_begin(manager, 9), 0);
	assert_int_equal(ist_owner_destroy_step(manager, 9, 1), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(ist_shm_free(&other[i]), 0);
	shop_close(shop);
}

/* Regions come and go while an owner ends step by step: it loses all that it had, others nothing. */
static void regions_come_and_go_as_an_owner_ends(void **state)
{
	enum { TURNS = 3 };
	struct shop *shop = shop_open(65, 65, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = 65 * PAGE};
	struct ist_shm mine[TURNS], other[TURNS];
	int steps = 0, left;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 9}), 0);
	for (int i = 0; i < TURNS; i++) {
		request.owner = 9;
		assert_int_equal(ist_provider_client_alloc(manager, &request, &mine[i]), 0);
		request.owner = 8;
		assert_int_equal(ist_provider_client_alloc(manager, &request, &other[i]), 0);
	}
	assert_int_equal(ist_owner_destroy_begin(manager, 9), 0);
	while ((left = ist_owner_destroy_step(manager, 9, 1)) == 1) {
		int i = steps++ % TURNS;

		assert_int_equal(ist_shm_free(&other[i]), 0);
		ist_provider_drain(manager);
		assert_int_equal(ist_provider_client_alloc(manager, &request, &other[i]), 0);
		assert_true(steps < 10); /* it ends, though there is a new region after each step */
	}
	assert_int_equal(left, 0);
	for (int i = 0; i < TURNS; i++) {
		assert_int_not_equal(ist_shm_free(&mine[i]), 0); /* its region may have gone too */
		assert_int_equal(ist_shm_free(&other[i]), 0);
	}
	shop_close(shop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(full_regions_are_passed_by),
	        cmocka_unit_test(regions_in_pieces_are_asked_once),
	        cmocka_unit_test(regions_of_others),
	        cmocka_unit_test(regions_come_and_go_as_an_owner_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
