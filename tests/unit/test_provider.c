/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Providers, good and bad: whatever they answer, everything that they handed out comes back exactly once. */
#include "support/shop.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "provider/provider.h"

static void on_demand(void **state)
{
	struct shop *shop = shop_open(0, 0, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_mapping a, b;
	struct ist_provider_stats stats;

	(void)state;
	for (int scattered = 0; scattered < 2; scattered++) {
		shop->manner = scattered ? SCATTERED : GOOD;
		shop->enters = scattered;
		assert_int_equal(ist_provider_alloc(manager, 3 * PAGE + 1, 0, &a), 0);
		assert_int_equal(ist_provider_alloc(manager, 10, 0, &b), 0);
		assert_int_equal(a.size, 3 * PAGE + 1);
		memset(a.vaddr, 1, a.size);
		assert_int_equal(ist_mapping_unregister_one(manager, &a, 0), -EINVAL); /* not by this way */
		assert_int_equal(ist_mapping_get(manager, &a), 0);
		assert_int_equal(ist_mapping_put(manager, &a), 0);
		assert_int_equal(ist_provider_free(manager, &a), 0);
		assert_int_equal(ist_provider_free(manager, &a), -ENOENT);
		assert_int_equal(shop->returned, shop->handed_out - 1);
		assert_int_equal(ist_provider_drain(manager), -EBUSY);
		shop->answer_to_free = -EIO;
		assert_int_equal(ist_provider_free(manager, &b), 0);
		ist_provider_stats(manager, &stats);
		assert_int_equal(stats.return_failures, 1 + scattered);
		shop->answer_to_free = 0;
	}
	assert_int_equal(ist_provider_alloc(manager, 0, 0, &a), -EINVAL);
	assert_int_equal(ist_provider_alloc(manager, SIZE_MAX, 0, &a), -EINVAL);
	assert_int_equal(ist_provider_alloc(manager, 1, 99, &a), -ENOENT); /* no such owner: given back */
	shop_close(shop);
}

static void bad_answers(void **state)
{
	static const struct {
		enum shop_manner manner;
		int on_demand, growth;
	} cases[] = {
	        {FAILS, -ENOMEM, -ENOMEM},  {FAILS_WITH_COOKIE, -EPERM, -EPERM}, {SHORT, -ENOMEM, -ENOMEM},
	        {NO_COOKIE, -EIO, -EIO},    {UNALIGNED, -EINVAL, -EINVAL},       {OUTSIDE, -ENXIO, -ENXIO},
	        {IN_USE, -EEXIST, -EEXIST}, {CARVE_OUT, -EEXIST, -EEXIST},       {SCATTERED, 0, -EINVAL},
	        {POSITIVE, -EIO, -EIO},
	};
	struct shop *shop = shop_open(16, 16, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_registration r = {.paddr = GUEST_PADDR + SHOP_RAM - 8 * PAGE, .size = 8 * PAGE};
	struct ist_client_request request = {.size = 65 * PAGE};
	struct ist_mapping used, mapping;
	struct ist_shm shm;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &used), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int error;

		shop->manner = cases[i].manner;
		/* The answer outside ends behind the SHOP_RAM only if it is more than a page. */
		error = ist_provider_alloc(manager, 3 * PAGE, 0, &mapping);
		if (cases[i].manner == OUTSIDE) {
			assert_true(error == -EEXIST || error == -ENXIO);
		} else {
			assert_int_equal(error, cases[i].on_demand);
		}
		if (!error)
			assert_int_equal(ist_provider_free(manager, &mapping), 0);
		error = ist_provider_client_alloc(manager, &request, &shm);
		if (cases[i].manner == OUTSIDE)
			assert_true(error == -EEXIST || error == -ENXIO);
		else
			assert_true(error == cases[i].growth ||
			            (cases[i].manner == IN_USE && error == -ENXIO) ||
			            (cases[i].manner == CARVE_OUT && error == -EEXIST));
		assert_int_equal(shop->returned, shop->handed_out);
	}
	assert_int_equal(ist_mapping_unregister_one(manager, &used, 0), 0);
	shop_close(shop);
}

static void client_pool_grows_and_shrinks(void **state)
{
	enum { COUNT = 40 };
	struct shop *shop = shop_open(32, 32, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = 4 * PAGE, .owner = 3};
	struct ist_provider_stats stats;
	struct ist_shm shm[COUNT];
	uint64_t asked;
	void *vaddr;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < COUNT; i++) {
			assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[i]), 0);
			assert_int_equal(ist_phys_to_virt(manager, shm[i].view.paddr, request.size, &vaddr),
			                 0);
			assert_ptr_equal(vaddr, shm[i].view.vaddr);
			for (size_t at = 0; at < request.size; at += 64)
				assert_int_equal(((char *)vaddr)[at], 0);
			memset(shm[i].view.vaddr, 0x11 + i, request.size);
		}
		for (int i = 0; i < COUNT; i++)
			for (size_t at = 0; at < request.size; at += 64)
				assert_int_equal(((char *)shm[i].view.vaddr)[at], 0x11 + i);
		ist_provider_stats(manager, &stats);
		assert_true(stats.regions >= 3);
		assert_int_equal(ist_manager_destroy(manager), -EBUSY);
		for (int i = 0; i < COUNT; i++) {
			struct ist_shm copy = shm[i];

			assert_int_equal(ist_shm_free(&shm[i]), 0);
			assert_int_equal(ist_shm_free(&copy), -EALREADY);
		}
		assert_int_equal(ist_provider_trim(manager), 0);
		ist_provider_stats(manager, &stats);
		assert_int_equal(stats.regions, 1); /* the reserve */
	}
	/* Around the edge of what is there, the provider is not asked again and again. */
	for (int i = 0; i < 14; i++)
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[i]), 0);
	ist_provider_stats(manager, &stats);
	asked = stats.asked;
	for (int turn = 0; turn < 100; turn++) {
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[20]), 0);
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[21]), 0);
		assert_int_equal(ist_shm_free(&shm[20]), 0);
		assert_int_equal(ist_shm_free(&shm[21]), 0);
	}
	ist_provider_stats(manager, &stats);
	assert_true(stats.asked <= asked + 1);
	for (int i = 0; i < 14; i++)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
	shop_close(shop);
}

static void limits(void **state)
{
	struct shop *shop = shop_open(32, 0, 64);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = 65 * PAGE};
	struct ist_shm a, b, c;

	(void)state;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &a), -ENOSPC);
	request.size = 61 * PAGE;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &a), 0);
	assert_int_equal(ist_provider_client_alloc(manager, &request, &b), -ENOSPC);
	request.size = 3 * PAGE;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &b), 0); /* in the carve-out */
	assert_int_equal(ist_shm_free(&a), 0);
	request.size = 32 * PAGE;
	request.align = 32 * PAGE;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &c), 0);
	assert_int_equal(c.view.paddr % request.align, 0);
	assert_int_equal(ist_shm_free(&c), 0);
	assert_int_equal(ist_shm_free(&b), 0);
	request.flags = IST_CLIENT_AT;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &c), -EINVAL);
	ist_read_enter();
	assert_int_equal(ist_provider_alloc(manager, 1, 0, &(struct ist_mapping){0}), -EDEADLK);
	assert_int_equal(ist_provider_drain(manager), -EDEADLK);
	ist_read_leave();
	shop_close(shop);
}

static void owners_take_it_with_them(void **state)
{
	struct shop *shop = shop_open(16, 16, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_owner_config owner = {.id = 9};
	struct ist_client_request request = {.size = 5 * PAGE, .owner = 9};
	struct ist_mapping mapping, held;
	struct ist_shm shm[30], other;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &owner), 0);
	assert_int_equal(ist_provider_alloc(manager, PAGE, 9, &mapping), 0);
	assert_int_equal(ist_provider_alloc(manager, PAGE, 9, &held), 0);
	assert_int_equal(ist_mapping_get(manager, &held), 0);
	for (int i = 0; i < 30; i++)
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[i]), 0);
	request.owner = 8;
	assert_int_equal(ist_provider_client_alloc(manager, &request, &other), 0);
	assert_int_equal(ist_owner_destroy(manager, 9), -EBUSY);
	for (int i = 0; i < 30; i++)
		assert_int_equal(ist_shm_free(&shm[i]), -EALREADY);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(ist_provider_drain(manager), -EBUSY); /* of the one that is held, and the other's */
	memset(held.vaddr, 1, held.size);
	assert_int_equal(ist_mapping_put(manager, &held), 0);
	assert_int_equal(ist_provider_free(manager, &held), 0);
	assert_int_equal(ist_shm_free(&other), 0);
	shop_close(shop);
}

static void *demand(void *argument)
{
	struct shop *shop = argument;
	struct ist_client_request request = {.size = 6 * PAGE};
	struct ist_shm shm[8];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++)
			if (ist_provider_client_alloc(shop->guest.fixture.manager, &request, &shm[i]))
				shm[i] = (struct ist_shm){0};
		for (int i = 0; i < 8; i++)
			if (shm[i].view.size)
				assert_int_equal(ist_shm_free(&shm[i]), 0);
	}
	return NULL;
}

/* A slow provider holds up who waits for it, not the carve-out. */
static void threads_and_a_slow_provider(void **state)
{
	struct shop *shop = shop_open(16, 16, 256);
	struct ist_client_request request = {.size = 50 * PAGE};
	pthread_t thread[3];
	struct ist_shm shm;

	(void)state;
	shop->delay_us = 2000;
	assert_int_equal(ist_client_pool_alloc_request(shop->guest.fixture.client, &request, &shm), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, demand, shop);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(ist_shm_free(&shm), 0);
	shop_close(shop);
}

/* The next request that fits is served without asking; another type, owner or a larger one frees the old first. */
static void a_cache_for_calls(void **state)
{
	struct shop *shop = shop_open(0, 0, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_provider_cache cache = {.filled = 0};
	struct ist_mapping a, b;

	(void)state;
	assert_int_equal(ist_provider_cache_clear(manager, &cache), 0);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 1, 5000, 0, &a), 0);
	assert_int_equal(a.size, 2 * PAGE);
	memset(a.vaddr, 7, a.size);
	for (size_t size = 1; size <= 2 * PAGE; size += 1000) {
		assert_int_equal(ist_provider_cache_get(manager, &cache, 1, size, 0, &b), 0);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	assert_int_equal(shop->handed_out, 1);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 1, 0, 0, &b), 0);
	assert_null(b.vaddr);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 2, 10, 0, &b), 0); /* another type */
	assert_int_equal(shop->handed_out, 2);
	assert_int_equal(shop->returned, 1);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 2, PAGE + 1, 0, &b), 0); /* a larger one */
	assert_int_equal(shop->returned, 2);
	shop->manner = FAILS;
	assert_int_equal(ist_provider_cache_get(manager, &cache, 3, 10, 0, &b), -ENOMEM);
	assert_int_equal(shop->returned, 3); /* the old one went first */
	assert_int_equal(cache.filled, 0);
	shop->manner = GOOD;
	assert_int_equal(ist_provider_cache_get(manager, &cache, 3, 10, 99, &b), -ENOENT); /* no such owner */
	assert_int_equal(ist_provider_cache_get(manager, &cache, 3, SIZE_MAX, 0, &b), -EINVAL);
	assert_int_equal(ist_provider_cache_get(manager, NULL, 3, 10, 0, &b), -EINVAL);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 3, 10, 0, NULL), -EINVAL);
	assert_int_equal(ist_provider_cache_clear(manager, NULL), -EINVAL);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 3, 10, 0, &b), 0);
	assert_int_equal(ist_provider_cache_clear(manager, &cache), 0);
	assert_int_equal(ist_provider_cache_clear(manager, &cache), 0);
	shop_close(shop);
}

/* Its owner died with the mapping: the next request asks again, and nothing is given back twice. */
static void a_cache_outlives_its_owner(void **state)
{
	struct shop *shop = shop_open(0, 0, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_provider_cache cache = {.filled = 0};
	struct ist_mapping a;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 5}), 0);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 1, 10, 5, &a), 0);
	assert_int_equal(ist_owner_destroy(manager, 5), 0);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 1, 10, 5, &a), -ENOENT);
	assert_int_equal(ist_provider_cache_clear(manager, &cache), 0);
	assert_int_equal(ist_provider_cache_get(manager, &cache, 1, 10, 0, &a), 0);
	assert_int_equal(ist_provider_cache_clear(manager, &cache), 0);
	shop_close(shop);
}

/* What is kept without limit is also not given back by the next request that finds it half free. */
static void a_reserve_without_limit_stays(void **state)
{
	struct shop *shop = shop_open(16, UINT64_MAX, 0);
	struct ist_manager *manager = shop->guest.fixture.manager;
	struct ist_client_request request = {.size = 65 * PAGE};
	struct ist_provider_stats stats;
	struct ist_shm shm[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[i]), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
	assert_int_equal(ist_provider_client_alloc(manager, &request, &shm[0]), 0);
	ist_provider_stats(manager, &stats);
	assert_int_equal(stats.regions, 3);
	assert_int_equal(ist_shm_free(&shm[0]), 0);
	shop_close(shop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(on_demand),
	        cmocka_unit_test(bad_answers),
	        cmocka_unit_test(client_pool_grows_and_shrinks),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(a_reserve_without_limit_stays),
	        cmocka_unit_test(owners_take_it_with_them),
	        cmocka_unit_test(threads_and_a_slow_provider),
	        cmocka_unit_test(a_cache_for_calls),
	        cmocka_unit_test(a_cache_outlives_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
