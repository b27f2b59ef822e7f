/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Pages are protected while others register them without a lock ([space.E1]): what is protected, nobody has. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/mutant.h"
#include "support/guest.h"

#define PAGE IST_PAGE_SIZE
enum { THREADS = 3, SECONDS = 2, PATIENCE = 30, LONG = 64, LOOKS = 3000 };

static struct guest guest;
static _Atomic bool over, is_protected;
static _Atomic long wrong, had, refused;

/* Long lists take a while between the look at what is protected and the links; short ones come often. */
static void *keep_registering(void *context)
{
	uint32_t owner = (uint32_t)(uintptr_t)context;
	struct ist_registration r = {.paddr = GUEST_PADDR, .owner = owner, .flags = IST_MAPPING_SEGMENTS};
	struct ist_mapping mapping;

	for (unsigned i = 0; !atomic_load_explicit(&over, memory_order_relaxed); i++) {
		int error;

		r.size = (i % 4 ? 1 : LONG) * PAGE;
		error = ist_mapping_register(guest.fixture.manager, &r, &mapping);
		if (error) {
			atomic_fetch_add_explicit(error == -EACCES ? &refused : &wrong, 1,
			                          memory_order_relaxed);
			continue;
		}
		atomic_fetch_add_explicit(&had, 1, memory_order_relaxed);
		/* Acquire: pairs with the release of who has protected it, after he was told that nobody has it. */
		for (int look = i % 16 ? 1 : LOOKS; look > 0; look--) {
			if (!atomic_load_explicit(&is_protected, memory_order_acquire))
				continue;
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
			break;
		}
		if (ist_mapping_unregister_one(guest.fixture.manager, &mapping, 0))
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
	}
	return NULL;
}

static void nobody_has_what_is_protected(void **state)
{
	struct ist_manager *manager;
	pthread_t thread[THREADS];
	long times = 0, busy = 0;
	double end = seconds_now() + (IS_MUTANT(0) ? (double)scaled(SECONDS * 100) / 100 : PATIENCE);

	(void)state;
	guest = guest_make(MIB);
	manager = guest.fixture.manager;
	for (uintptr_t i = 0; i < THREADS; i++) {
		const struct ist_owner_config owner = {.id = (uint32_t)i + 1};

		assert_int_equal(ist_owner_create(manager, &owner), 0);
		assert_int_equal(pthread_create(&thread[i], NULL, keep_registering, (void *)(i + 1)), 0);
	}
	while ((seconds_now() < end || times == 0 || atomic_load_explicit(&had, memory_order_relaxed) == 0) &&
	       atomic_load_explicit(&wrong, memory_order_relaxed) == 0) {
		int error = ist_protect(manager, GUEST_PADDR, PAGE);

		if (error) {
			assert_true(error == -EBUSY || error == -EAGAIN);
			busy++;
			continue;
		}
		times++;
		atomic_store_explicit(&is_protected, true, memory_order_release);
		for (int look = 0; look < LOOKS; look++)
			(void)atomic_load_explicit(&over, memory_order_relaxed);
		atomic_store_explicit(&is_protected, false, memory_order_relaxed);
		assert_int_equal(ist_unprotect(manager, GUEST_PADDR, PAGE), 0);
	}
	atomic_store_explicit(&over, true, memory_order_relaxed);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (uint32_t i = 1; i <= THREADS; i++)
		assert_int_equal(ist_owner_destroy(manager, i), 0);
	printf("protected %ld times, busy %ld times; %ld registrations, %ld refused, wrong %ld (must be 0)\n",
	       times, busy, had, refused, wrong);
	assert_int_equal(wrong, 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nobody_has_what_is_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
