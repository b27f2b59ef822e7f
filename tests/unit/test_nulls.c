/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Null where each public call takes a pointer: -EINVAL, whatever else it was given, and nothing has changed afterwards. What
 * returns nothing ignores it. The pools' own calls are in test_pools.c and test_client.c.
 */
#include <errno.h>

#include "support/guest.h"

#define REFUSED(call) assert_int_equal(call, -EINVAL)

static struct guest guest;
static struct ist_manager *manager;
static struct ist_mapping mapping;

static void backings(void **state)
{
	struct ist_backing backing = {.paddr = 0, .size = IST_PAGE_SIZE, .vaddr = guest.ram};

	(void)state;
	REFUSED(ist_backing_add(NULL, &backing));
	REFUSED(ist_backing_add(manager, NULL));
	REFUSED(ist_backing_remove(NULL, GUEST_PADDR));
	REFUSED(ist_backing_find(NULL, GUEST_PADDR, &backing));
	REFUSED(ist_backing_find(manager, GUEST_PADDR, NULL));
	REFUSED(ist_protect(NULL, 0, IST_PAGE_SIZE));
	REFUSED(ist_unprotect(NULL, 0, IST_PAGE_SIZE));
}

static void registrations(void **state)
{
	const struct ist_registration r = {.paddr = GUEST_PADDR + IST_PAGE_SIZE, .size = 1};
	struct ist_mapping out = {.cookie = 77};
	struct ist_mapping_config config = {0};

	(void)state;
	REFUSED(ist_mapping_configure(NULL, &config));
	REFUSED(ist_mapping_configure(manager, NULL));
	REFUSED(ist_mapping_register(NULL, &r, &out));
	REFUSED(ist_mapping_register(manager, NULL, &out));
	REFUSED(ist_mapping_register(manager, &r, NULL));
	REFUSED(ist_mapping_register_list(NULL, GUEST_PADDR, &r, &out));
	REFUSED(ist_mapping_register_list(manager, GUEST_PADDR, NULL, &out));
	REFUSED(ist_mapping_register_list(manager, GUEST_PADDR, &r, NULL));
	REFUSED(ist_mapping_unregister(NULL, 0, 1, 0));
	REFUSED(ist_mapping_unregister_one(NULL, &mapping, 0));
	REFUSED(ist_mapping_unregister_one(manager, NULL, 0));
	REFUSED(ist_mapping_unguard(NULL, &mapping));
	REFUSED(ist_mapping_unguard(manager, NULL));
	REFUSED(ist_mapping_flush(NULL));
	REFUSED(ist_mapping_drain(NULL));
	assert_int_equal(out.cookie, 77);
}

static void lookups(void **state)
{
	struct ist_mapping out = {.cookie = 77};
	void *vaddr = &out;
	uint64_t paddr = 77;
	size_t count = 77;

	(void)state;
	REFUSED(ist_mapping_find(NULL, 0, 1, &out));
	REFUSED(ist_mapping_find(manager, 0, 1, NULL));
	REFUSED(ist_mapping_find_paddr(NULL, GUEST_PADDR, 1, &out, &vaddr));
	REFUSED(ist_mapping_find_paddr(manager, GUEST_PADDR, 1, NULL, &vaddr));
	REFUSED(ist_mapping_find_paddr_of(NULL, 0, GUEST_PADDR, 1, &out, &vaddr));
	REFUSED(ist_mapping_find_paddr_of(manager, 0, GUEST_PADDR, 1, NULL, &vaddr));
	REFUSED(ist_mapping_get(NULL, &mapping));
	REFUSED(ist_mapping_get(manager, NULL));
	REFUSED(ist_mapping_find_get(NULL, 0, 1, &out));
	REFUSED(ist_mapping_find_get(manager, 0, 1, NULL));
	REFUSED(ist_mapping_put(NULL, &mapping));
	REFUSED(ist_mapping_put(manager, NULL));
	REFUSED(ist_mapping_segments(NULL, &mapping, 0, 1, NULL, 0, &count));
	REFUSED(ist_mapping_segments(manager, NULL, 0, 1, NULL, 0, &count));
	REFUSED(ist_mapping_segments(manager, &mapping, 0, 1, NULL, 0, NULL));
	REFUSED(ist_mapping_map(NULL, &mapping, &vaddr));
	REFUSED(ist_mapping_map(manager, NULL, &vaddr));
	REFUSED(ist_mapping_map(manager, &mapping, NULL));
	REFUSED(ist_mapping_unmap(NULL, &mapping));
	REFUSED(ist_mapping_unmap(manager, NULL));
	REFUSED(ist_mapping_paddr(NULL, &mapping, 0, 0, &paddr));
	REFUSED(ist_mapping_paddr(manager, NULL, 0, 0, &paddr));
	REFUSED(ist_mapping_paddr(manager, &mapping, 0, 0, NULL));
	assert_false(ist_mapping_holds(NULL, 0, 1));
	assert_true(out.cookie == 77 && vaddr == &out && paddr == 77 && count == 77);
	ist_mapping_stats(NULL, NULL);
	ist_mapping_stats(manager, NULL);
}

static void owners_and_ranges(void **state)
{
	const struct ist_owner_config config = {.id = 3};
	struct ist_owner_stats stats = {.pages = 77};
	struct ist_mapping out = {.cookie = 77};
	const uint64_t page = GUEST_PADDR;
	void *vaddr = &out;

	(void)state;
	REFUSED(ist_owner_create(NULL, &config));
	REFUSED(ist_owner_create(manager, NULL));
	REFUSED(ist_owner_stats(NULL, 3, &stats));
	REFUSED(ist_owner_stats(manager, 3, NULL));
	REFUSED(ist_owner_destroy_begin(NULL, 3));
	REFUSED(ist_owner_destroy_step(NULL, 3, 1));
	REFUSED(ist_owner_destroy(NULL, 3));
	REFUSED(ist_range_reserve(NULL, 1, 0, 0, 0, &out));
	REFUSED(ist_range_reserve(manager, 1, 0, 0, 0, NULL));
	REFUSED(ist_range_map(NULL, &mapping, 0, &page, 1));
	REFUSED(ist_range_map(manager, NULL, 0, &page, 1));
	REFUSED(ist_range_map(manager, &mapping, 0, NULL, 1));
	REFUSED(ist_range_unmap(NULL, &mapping, 0, 1));
	REFUSED(ist_range_unmap(manager, NULL, 0, 1));
	REFUSED(ist_range_release(NULL, &mapping, 0));
	REFUSED(ist_range_release(manager, NULL, 0));
	REFUSED(ist_mmio_map(NULL, GUEST_PADDR, 1, &vaddr));
	REFUSED(ist_mmio_map(manager, GUEST_PADDR, 1, NULL));
	REFUSED(ist_mmio_unmap(NULL, guest.ram, 1));
	REFUSED(ist_mmio_unmap(manager, NULL, 1));
	assert_true(stats.pages == 77 && out.cookie == 77 && vaddr == &out);
}

static void providers(void **state)
{
	const struct ist_provider provider = {0};
	const struct ist_client_request request = {.size = 1};
	struct ist_provider_cache cache = {0};
	struct ist_provider_stats stats;
	struct ist_mapping out = {.cookie = 77};
	struct ist_shm shm;

	(void)state;
	REFUSED(ist_provider_set(NULL, &provider));
	REFUSED(ist_provider_set(manager, NULL));
	REFUSED(ist_provider_alloc(NULL, 1, 0, &out));
	REFUSED(ist_provider_alloc(manager, 1, 0, NULL));
	REFUSED(ist_provider_free(NULL, &mapping));
	REFUSED(ist_provider_free(manager, NULL));
	REFUSED(ist_provider_cache_get(NULL, &cache, 0, 1, 0, &out));
	REFUSED(ist_provider_cache_get(manager, NULL, 0, 1, 0, &out));
	REFUSED(ist_provider_cache_get(manager, &cache, 0, 1, 0, NULL));
	REFUSED(ist_provider_cache_clear(NULL, &cache));
	REFUSED(ist_provider_cache_clear(manager, NULL));
	REFUSED(ist_provider_client_alloc(NULL, &request, &shm));
	REFUSED(ist_provider_client_alloc(manager, NULL, &shm));
	REFUSED(ist_provider_client_alloc(manager, &request, NULL));
	REFUSED(ist_provider_trim(NULL));
	REFUSED(ist_provider_drain(NULL));
	assert_int_equal(out.cookie, 77);
	ist_provider_stats(NULL, &stats);
	ist_provider_stats(manager, NULL);
}

static int set_up(void **state)
{
	const struct ist_registration r = {.paddr = GUEST_PADDR, .size = IST_PAGE_SIZE, .cookie = 1};

	(void)state;
	guest = guest_make(4 * IST_PAGE_SIZE);
	manager = guest.fixture.manager;
	return ist_mapping_register(manager, &r, &mapping);
}

static int tear_down(void **state)
{
	(void)state;
	if (ist_mapping_unregister_one(manager, &mapping, 0))
		return -1;
	guest_drop(&guest); /* nothing is left */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(backings, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(registrations, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(lookups, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(owners_and_ranges, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(providers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
