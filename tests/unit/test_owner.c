/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Owners: quotas, counters, and their end at every point of what they have. */
#include "support/guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (8 * MIB)

static void check_stats(struct ist_manager *manager, uint32_t id, uint64_t mappings, uint64_t pages)
{
	struct ist_owner_stats stats;

	assert_int_equal(ist_owner_stats(manager, id, &stats), 0);
	assert_int_equal(stats.mappings, mappings);
	assert_int_equal(stats.pages, pages);
}

static int add(struct ist_manager *manager, uint32_t owner, uint64_t cookie, size_t pages,
               struct ist_mapping *out)
{
	struct ist_registration r = {
	        .paddr = GUEST_PADDR + cookie * PAGE, .size = pages * PAGE, .owner = owner, .cookie = cookie};

	return ist_mapping_register(manager, &r, out);
}

static void quotas(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config config = {.id = 5, .max_pages = 10, .max_buffer_pages = 6, .max_mappings = 3};
	struct ist_mapping m;
	struct ist_owner_stats stats;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){0}), -EINVAL);
	assert_int_equal(ist_owner_create(manager, &config), 0);
	assert_int_equal(ist_owner_destroy_step(manager, 5, 10), -EINVAL); /* not begun */
	assert_int_equal(add(manager, 5, 1, 7, &m), -EDQUOT);
	assert_int_equal(add(manager, 5, 1, 6, &m), 0);
	assert_int_equal(add(manager, 5, 1, 1, &m), -EEXIST);
	assert_int_equal(add(manager, 5, 2, 5, &m), -EDQUOT);
	assert_int_equal(add(manager, 5, 2, 3, &m), 0);
	assert_int_equal(add(manager, 5, RAM / PAGE, 1, &m), -ENXIO); /* a failure costs nothing */
	check_stats(manager, 5, 2, 9);
	assert_int_equal(add(manager, 5, 3, 1, &m), 0);
	assert_int_equal(ist_mapping_unregister(manager, 5, 1, 0), 0);
	assert_int_equal(add(manager, 5, 4, 1, &m), 0);
	assert_int_equal(add(manager, 5, 6, 1, &m), -EDQUOT); /* three mappings */
	check_stats(manager, 5, 3, 5);
	assert_int_equal(ist_owner_stats(manager, 5, &stats), 0);
	assert_int_equal(stats.refused, 3);
	assert_int_equal(ist_owner_stats(manager, 6, &stats), -ENOENT);
	assert_int_equal(ist_owner_destroy(manager, 5), 0);
	assert_int_equal(ist_owner_stats(manager, 5, &stats), -ENOENT);
	check_stats(manager, 0, 0, 0);
	guest_drop(&guest);
}

/* Of a list each stretch counts, whatever becomes of it; and what is refused, or has ended, does not. */
static void quota_of_stretches(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	const uint64_t pages[] = {GUEST_PADDR, GUEST_PADDR + PAGE, GUEST_PADDR + 5 * PAGE,
	                          GUEST_PADDR + 9 * PAGE};
	struct ist_registration r = registration_of(pages, 4); /* three */
	struct ist_mapping a, b, range;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 5, .max_stretches = 5}),
	                 0);
	r.owner = 5;
	for (int round = 0; round < 100; round++) {
		r.flags = round % 2 ? IST_MAPPING_SEGMENTS : 0;
		r.page_count = 4;
		r.size = 4 * PAGE;
		assert_int_equal(ist_mapping_register(manager, &r, &a), 0);
		assert_int_equal(ist_mapping_register(manager, &r, &b), -EDQUOT);
		assert_int_equal(ist_range_reserve(manager, 50, 5, 0, 0, &range), 0);
		r.size = 3 * PAGE; /* two */
		assert_int_equal(ist_mapping_register(manager, &r, &b), -EDQUOT);
		r.size = 2 * PAGE; /* one */
		assert_int_equal(ist_mapping_register(manager, &r, &b), 0);
		assert_int_equal(ist_mapping_get(manager, &b), 0);
		assert_int_equal(ist_range_release(manager, &range, 0), 0);
		assert_int_equal(ist_mapping_unregister_one(manager, &a, 0), 0);
		assert_int_equal(ist_mapping_put(manager, &b), 0);
		assert_int_equal(ist_mapping_unregister_one(manager, &b, 0), 0);
	}
	assert_int_equal(ist_owner_destroy(manager, 5), 0);
	guest_drop(&guest);
}

static atomic_int gone;

static void count_gone(void *context, uint32_t id)
{
	assert_ptr_equal(context, &gone);
	assert_int_equal(id, 7);
	atomic_fetch_add(&gone, 1);
}

/* Nothing new, existing references stay good, the id is busy until the last one is put. */
static void death_with_references(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config config = {.id = 7, .gone = count_gone, .context = &gone};
	struct ist_mapping a, b, found;
	struct ist_owner_stats stats;
	void *vaddr;

	(void)state;
	for (int round = 0; round < 3; round++) {
		atomic_store(&gone, 0);
		assert_int_equal(ist_owner_create(manager, &config), 0);
		assert_int_equal(add(manager, 7, 1, 2, &a), 0);
		assert_int_equal(add(manager, 7, 2, 3, &b), 0);
		assert_int_equal(ist_mapping_get(manager, &a), 0);
		assert_int_equal(ist_owner_destroy_begin(manager, 7), 0);
		assert_int_equal(ist_owner_destroy_begin(manager, 7), 0);
		/* Before a single step: nothing is found, nothing is given, nothing is taken. */
		assert_int_equal(ist_mapping_find(manager, 7, 1, &found), -ENOENT);
		assert_int_equal(ist_mapping_find_get(manager, 7, 2, &found), -ENOENT);
		assert_int_equal(ist_mapping_find_paddr(manager, GUEST_PADDR + PAGE, 1, &found, NULL),
		                 -ENOENT);
		assert_int_equal(ist_mapping_find_paddr_of(manager, 7, GUEST_PADDR + PAGE, 1, &found, NULL),
		                 -ENOENT);
		assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR + PAGE, 1, &vaddr), -ENOENT);
		assert_int_equal(ist_virt_to_phys(manager, a.vaddr, 1, &(uint64_t){0}), -ENOENT);
		assert_int_equal(ist_mapping_get(manager, &a), -ENOENT);
		assert_int_equal(add(manager, 7, 3, 1, &found), -ESHUTDOWN);
		assert_int_equal(ist_owner_create(manager, &config), -EBUSY);
		guest_check(a.vaddr, GUEST_PADDR + PAGE, a.size);
		assert_int_equal(ist_owner_destroy_step(manager, 7, 1), 1);
		assert_int_equal(ist_owner_destroy(manager, 7), -EBUSY);
		assert_int_equal(ist_owner_destroy(manager, 7), -EBUSY);
		assert_int_equal(ist_owner_stats(manager, 7, &stats), 0);
		assert_true(stats.dying);
		assert_int_equal(stats.mappings, 1);
		assert_int_equal(stats.pages, 2);
		assert_int_equal(ist_owner_create(manager, &config), -EBUSY);
		assert_int_equal(ist_manager_destroy(manager), -EBUSY);
		guest_check(a.vaddr, GUEST_PADDR + PAGE, a.size);
		assert_int_equal(atomic_load(&gone), 0);
		assert_int_equal(ist_mapping_put(manager, &a), 0);
		assert_int_equal(atomic_load(&gone), 1);
		assert_int_equal(ist_mapping_put(manager, &a), -EINVAL);
	}
	assert_int_equal(ist_owner_destroy(manager, 7), 0);
	assert_int_equal(ist_owner_destroy(manager, 12345), 0);
	assert_int_equal(ist_owner_destroy(manager, 0), -EINVAL);
	guest_drop(&guest);
}

static void client_memory_goes_too(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config config = {.id = 3};
	struct ist_client_request request = {.size = PAGE + 1};
	struct ist_client_owner_use use;
	struct ist_shm shm[20];
	unsigned steps = 0;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &config), 0);
	for (uint32_t i = 0; i < 20; i++) {
		request.owner = i % 2 ? 3 : 4;
		assert_int_equal(ist_client_pool_alloc_request(guest.fixture.client, &request, &shm[i]), 0);
	}
	assert_int_equal(ist_shm_free(&shm[5]), 0);
	assert_int_equal(ist_owner_destroy_begin(manager, 3), 0);
	while (ist_owner_destroy_step(manager, 3, 1) == 1)
		steps++;
	assert_true(steps >= 9);
	ist_client_pool_owner_use(guest.fixture.client, 3, &use);
	assert_int_equal(use.allocations, 0);
	for (uint32_t i = 0; i < 20; i++)
		if (i != 5)
			assert_int_equal(ist_shm_free(&shm[i]), i % 2 ? -EALREADY : 0);
	guest_drop(&guest);
}

/* Steps with a budget of one, after begin; the owner is gone then. */
static unsigned steps_of(struct ist_manager *manager, uint32_t id)
{
	unsigned steps = 1;
	int left;

	assert_int_equal(ist_owner_destroy_begin(manager, id), 0);
	while ((left = ist_owner_destroy_step(manager, id, 1)) == 1)
		steps++;
	assert_int_equal(left, 0);
	return steps;
}

/* What others have in a large pool costs an owner's end nothing, whoever had memory there before, and whoever shares a tag. */
static void client_memory_of_others(void **state)
{
	enum { COUNT = 6000, SHARING = 3 + 1024 };
	static struct ist_shm shm[COUNT];
	struct fixture fixture = fixture_make(64u * MIB, 0);
	struct ist_owner_config config = {.id = 3}, sharing = {.id = SHARING};
	struct ist_client_request request = {.size = PAGE, .flags = IST_CLIENT_NOZERO};
	struct ist_client_owner_use use;
	struct ist_shm one;

	(void)state;
	for (int round = 0; round < 2; round++) {
		request.owner = round == 0 ? 3 : 4; /* the first time all is his, and leaves no trace */
		assert_int_equal(ist_owner_create(fixture.manager, &config), 0);
		for (int i = 0; i < COUNT; i++)
			assert_int_equal(ist_client_pool_alloc_request(fixture.client, &request, &shm[i]), 0);
		if (round == 0)
			assert_true(steps_of(fixture.manager, 3) >= COUNT);
		else
			assert_int_equal(steps_of(fixture.manager, 3), 1);
	}
	/* One allocation of his: its chunk is looked at, the others are not. */
	assert_int_equal(ist_owner_create(fixture.manager, &config), 0);
	assert_int_equal(ist_owner_create(fixture.manager, &sharing), 0);
	request.owner = 3;
	assert_int_equal(ist_client_pool_alloc_request(fixture.client, &request, &one), 0);
	assert_int_equal(ist_shm_free(&shm[0]), 0);
	request.owner = SHARING;
	assert_int_equal(ist_client_pool_alloc_request(fixture.client, &request, &shm[0]), 0);
	assert_true(steps_of(fixture.manager, 3) <= 2 * 512 / 64 + 2);
	assert_int_equal(ist_shm_free(&one), -EALREADY);
	assert_true(steps_of(fixture.manager, SHARING) <= 2 * 512 / 64 + 2);
	ist_client_pool_owner_use(fixture.client, SHARING, &use);
	assert_int_equal(use.allocations, 0);
	assert_int_equal(ist_shm_free(&shm[0]), -EALREADY);
	for (int i = 1; i < COUNT; i++)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
	fixture_drop(&fixture);
}

/* A thousand owners, each with the same cookies; ids used again at once. */
static void many_owners(void **state)
{
	enum { COUNT = 1000 };
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping_stats stats;
	struct ist_mapping m;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint32_t id = 1; id <= COUNT; id++) {
			struct ist_owner_config config = {.id = id * 7919};

			assert_int_equal(ist_owner_create(manager, &config), 0);
			for (uint64_t cookie = 1; cookie <= 3; cookie++)
				assert_int_equal(add(manager, config.id, cookie, 1, &m), 0);
		}
		ist_mapping_stats(manager, &stats);
		assert_int_equal(stats.owners, COUNT + 1);
		assert_int_equal(stats.mappings, COUNT * 3);
		for (uint32_t id = 1; id <= COUNT; id++)
			assert_int_equal(ist_owner_destroy(manager, id * 7919), 0);
		ist_mapping_stats(manager, &stats);
		assert_int_equal(stats.owners, 1);
		assert_int_equal(stats.mappings, 0);
	}
	guest_drop(&guest);
}

struct registrar {
	struct ist_manager *manager;
	_Atomic bool stop;
	uint64_t seed, good, refused;
};

static void *register_on(void *argument)
{
	struct registrar *r = argument;
	struct ist_mapping m;

	for (uint64_t cookie = 1; !atomic_load_explicit(&r->stop, memory_order_relaxed);
	     cookie = cookie % 500 + 1) {
		int error = add(r->manager, 20, cookie, 1 + random_below(&r->seed, 3), &m);

		assert_true(error == 0 || error == -ESHUTDOWN || error == -ENOENT || error == -EEXIST);
		r->good += error == 0;
		r->refused += error == -ESHUTDOWN || error == -ENOENT;
		if (error == 0 && random_below(&r->seed, 4) == 0 && ist_mapping_get(r->manager, &m) == 0)
			assert_int_equal(ist_mapping_put(r->manager, &m), 0);
		if (error == 0 && random_below(&r->seed, 4) == 0) {
			error = ist_mapping_unregister_one(r->manager, &m, 0);
			assert_true(error == 0 || error == -ENOENT);
		}
	}
	return NULL;
}

/* The guest dies while another thread registers for it: at any point of that. */
static void death_during_registration(void **state)
{
	struct guest guest = guest_make(RAM);
	struct registrar r = {.manager = guest.fixture.manager, .seed = 3};
	struct ist_owner_config config = {.id = 20};
	uint64_t seed = 8;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, register_on, &r), 0);
	for (long round = 0; round < scaled(300); round++) {
		int error;

		while ((error = ist_owner_create(r.manager, &config)) == -EBUSY)
			sched_yield();
		assert_int_equal(error, 0);
		usleep((useconds_t)random_below(&seed, 300));
		error = ist_owner_destroy(r.manager, 20);
		assert_true(error == 0 || error == -EBUSY);
	}
	atomic_store_explicit(&r.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	printf("%llu registered, %llu refused\n", (unsigned long long)r.good, (unsigned long long)r.refused);
	assert_int_equal(ist_owner_destroy(r.manager, 20), 0);
	guest_drop(&guest);
}

/* Blocking unregister waits for the last reference. */
static void *unregister(void *argument)
{
	assert_int_equal(ist_mapping_unregister(argument, 0, 1, 0), 0);
	return NULL;
}

static void unregister_waits(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping m;
	struct ist_mapping_stats stats;
	pthread_t thread;

	(void)state;
	for (int round = 0; round < 20; round++) {
		assert_int_equal(add(manager, 0, 1, 2, &m), 0);
		assert_int_equal(ist_mapping_get(manager, &m), 0);
		assert_int_equal(pthread_create(&thread, NULL, unregister, manager), 0);
		do
			ist_mapping_stats(manager, &stats);
		while (stats.referenced == 0);
		assert_int_equal(ist_mapping_get(manager, &m), -ENOENT);
		assert_int_equal(ist_mapping_unregister_one(manager, &m, 0), -ENOENT); /* somebody is at it */
		guest_check(m.vaddr, GUEST_PADDR + PAGE, m.size);
		assert_int_equal(ist_mapping_put(manager, &m), 0);
		pthread_join(thread, NULL);
	}
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(quotas),
	        cmocka_unit_test(quota_of_stretches),
	        cmocka_unit_test(death_with_references),
	        cmocka_unit_test(client_memory_goes_too),
	        cmocka_unit_test(client_memory_of_others),
	        cmocka_unit_test(many_owners),
	        cmocka_unit_test(death_during_registration),
	        cmocka_unit_test(unregister_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
