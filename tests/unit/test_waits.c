/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Dynamic mappings where somebody waits: readers that stay, references that are kept, forks, threads that are cancelled or
 * cannot be had. Who must not be held up is joined: a test that hangs has found somebody waiting for the wrong one.
 */
#include "support/guest.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (1 * MIB)
#define DEVICE UINT64_C(0x80000000)

static bool no_threads;

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* In the place of the system's, for the library too. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	create_function *real = (create_function *)(uintptr_t)dlsym(RTLD_NEXT, "pthread_create");

	return no_threads ? EAGAIN : real(thread, attributes, run, argument);
}

static uint64_t page_at(size_t number)
{
	return GUEST_PADDR + number * PAGE;
}

static struct ist_mapping registered(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                                     size_t page)
{
	struct ist_registration r = {.paddr = page_at(page), .size = PAGE, .owner = owner, .cookie = cookie};
	struct ist_mapping mapping;

	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

static void make_owner(struct ist_manager *manager, uint32_t id)
{
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = id}), 0);
}

static void start(pthread_t *thread, void *(*run)(void *), void *argument)
{
	assert_int_equal(pthread_create(thread, NULL, run, argument), 0);
}

/* The first of all: later there is a reclaimer. Whoever waits does its work. */
static void no_further_thread(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;

	(void)state;
	no_threads = true;
	for (uint64_t i = 1; i < 10; i++) {
		struct ist_mapping mapping = registered(manager, 0, i, i);

		assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
		assert_int_equal(ist_protect(manager, page_at(i), PAGE), 0);
		assert_int_equal(ist_unprotect(manager, page_at(i), PAGE), 0);
		assert_int_equal(ist_mapping_drain(manager), 0);
	}
	guest_drop(&guest);
	no_threads = false;
}

struct waiting {
	struct ist_manager *manager;
	struct ist_mapping range;
	atomic_bool inside, leave;
	int kind, result;
};

static void *read_for_long(void *context)
{
	struct waiting *waiting = context;

	ist_read_enter();
	atomic_store(&waiting->inside, true);
	while (!atomic_load(&waiting->leave))
		usleep(100);
	ist_read_leave();
	return NULL;
}

/* What has to wait for the reader. */
static void *wait_for_reader(void *context)
{
	struct waiting *waiting = context;
	struct ist_manager *manager = waiting->manager;

	switch (waiting->kind) {
	case 0:
		waiting->result = ist_protect(manager, page_at(40), PAGE);
		break;
	case 1:
		waiting->result = ist_range_unmap(manager, &waiting->range, 0, 1);
		break;
	case 2:
		waiting->result = ist_mapping_drain(manager);
		break;
	default:
		waiting->result = ist_backing_remove(manager, DEVICE);
		break;
	}
	return NULL;
}

/* The reader leaves only when all of these have come back. */
static void others_go_on(struct waiting *waiting)
{
	struct ist_manager *manager = waiting->manager;
	uint32_t id = 100 + (uint32_t)waiting->kind;

	usleep(20000); /* let the other one get to where it waits; too early is no fault */
	assert_int_equal(ist_mapping_unregister(manager, 8, 1, IST_UNREGISTER_TRY), 0);
	registered(manager, 8, 1, 30);
	make_owner(manager, id);
	assert_int_equal(ist_owner_destroy(manager, id), 0);
}

static void a_reader_that_stays(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct guest guest = guest_make(RAM);
		struct waiting waiting = {.manager = guest.fixture.manager, .kind = kind};
		struct ist_backing more = {.paddr = DEVICE, .size = PAGE, .fd = guest.fd};
		const uint64_t page[] = {page_at(50)};
		struct ist_mapping mapping;
		pthread_t reader, waiter;

		make_owner(waiting.manager, 8);
		registered(waiting.manager, 8, 1, 30);
		assert_int_equal(ist_backing_add(waiting.manager, &more), 0);
		assert_int_equal(ist_range_reserve(waiting.manager, 4, 0, 0, 0, &waiting.range), 0);
		assert_int_equal(ist_range_map(waiting.manager, &waiting.range, 0, page, 1), 0);
		start(&reader, read_for_long, &waiting);
		while (!atomic_load(&waiting.inside))
			usleep(100);
		mapping = registered(waiting.manager, 0, 7, 20);
		assert_int_equal(ist_mapping_unregister_one(waiting.manager, &mapping, 0), 0);
		start(&waiter, wait_for_reader, &waiting);
		others_go_on(&waiting);
		atomic_store(&waiting.leave, true);
		pthread_join(reader, NULL);
		pthread_join(waiter, NULL);
		assert_int_equal(waiting.result, 0);
		assert_int_equal(ist_range_release(waiting.manager, &waiting.range, 0), 0);
		assert_int_equal(ist_owner_destroy(waiting.manager, 8), 0);
		guest_drop(&guest);
	}
}

/* No room, and it is not coming: an error in a moment, and with the reader gone it is there. */
static void a_reader_in_a_full_window(void **state)
{
	struct guest guest = guest_make(RAM);
	struct waiting waiting = {.manager = guest.fixture.manager};
	struct ist_mapping_config config = {.window_size = 16 * PAGE};
	struct ist_registration r = {.paddr = page_at(0), .size = 16 * PAGE, .flags = IST_MAPPING_READ_ONLY};
	struct ist_mapping mapping;
	pthread_t reader;

	(void)state;
	assert_int_equal(ist_mapping_configure(waiting.manager, &config), 0);
	assert_int_equal(ist_mapping_register(waiting.manager, &r, &mapping), 0);
	start(&reader, read_for_long, &waiting);
	while (!atomic_load(&waiting.inside))
		usleep(100);
	assert_int_equal(ist_mapping_unregister_one(waiting.manager, &mapping, 0), 0);
	assert_int_equal(ist_mapping_register(waiting.manager, &r, &mapping), -ENOSPC);
	atomic_store(&waiting.leave, true);
	pthread_join(reader, NULL);
	assert_int_equal(ist_mapping_register(waiting.manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(waiting.manager, &mapping, 0), 0);
	guest_drop(&guest);
}

static void *unregister_and_wait(void *context)
{
	ist_mapping_unregister(context, 0, 1, 0);
	return NULL;
}

/* Unregistered and referenced: still in the way of those who want the pages for themselves. Cancelled while it waits. */
static void unregistered_but_referenced(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping = registered(manager, 0, 1, 5), other;
	struct ist_registration strict = {.paddr = page_at(5), .size = PAGE, .flags = IST_MAPPING_STRICT};
	pthread_t thread;

	(void)state;
	assert_int_equal(ist_mapping_get(manager, &mapping), 0);
	start(&thread, unregister_and_wait, manager);
	while (ist_mapping_find(manager, 0, 1, &other) == 0)
		usleep(100);
	assert_int_equal(ist_protect(manager, page_at(0), 10 * PAGE), -EBUSY);
	assert_int_equal(ist_mapping_register(manager, &strict, &other), -EEXIST);
	assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), -EBUSY);
	assert_int_equal(pthread_cancel(thread), 0);
	pthread_join(thread, NULL);
	other = registered(manager, 0, 2, 6);
	assert_int_equal(ist_mapping_unregister_one(manager, &other, 0), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(ist_mapping_put(manager, &mapping), 0);
	assert_int_equal(ist_mapping_put(manager, &mapping), -EINVAL);
	assert_int_equal(ist_protect(manager, page_at(0), 10 * PAGE), 0);
	guest_drop(&guest);
}

static void *protect_again_and_again(void *context)
{
	struct waiting *waiting = context;

	while (!atomic_load(&waiting->leave)) {
		struct ist_registration r = {.paddr = page_at(0), .size = PAGE};
		struct ist_mapping mapping;

		if (ist_mapping_register(waiting->manager, &r, &mapping) == 0)
			ist_mapping_unregister_one(waiting->manager, &mapping, 0);
		if (ist_protect(waiting->manager, page_at(8), PAGE) == 0)
			ist_unprotect(waiting->manager, page_at(8), PAGE);
	}
	return NULL;
}

static void forks_beside_protect(void **state)
{
	struct guest guest = guest_make(RAM);
	struct waiting waiting = {.manager = guest.fixture.manager};
	pthread_t thread;

	(void)state;
	start(&thread, protect_again_and_again, &waiting);
	for (long i = scaled(400); i > 0; i--) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		assert_true(child > 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	atomic_store(&waiting.leave, true);
	pthread_join(thread, NULL);
	guest_drop(&guest);
}

struct unmapping {
	struct ist_manager *manager;
	struct ist_mapping range;
	int answer;
};

static void *unmap_first(void *context)
{
	struct unmapping *u = context;

	u->answer = ist_range_unmap(u->manager, &u->range, 0, 1);
	return NULL;
}

/* A page that is on its way out of a range, and waits for a reader: nobody finds it, and it is in use. */
static void a_page_that_leaves_a_range(void **state)
{
	struct guest guest = guest_make(RAM);
	struct waiting waiting = {.manager = guest.fixture.manager};
	struct unmapping u = {.manager = guest.fixture.manager, .answer = 1};
	struct ist_registration strict = {.paddr = page_at(3), .size = PAGE, .flags = IST_MAPPING_STRICT};
	uint64_t page = page_at(3);
	pthread_t reader, unmapper;
	struct ist_mapping mapping;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_range_reserve(u.manager, 2, 0, 0, 0, &u.range), 0);
	assert_int_equal(ist_range_map(u.manager, &u.range, 0, &page, 1), 0);
	start(&reader, read_for_long, &waiting);
	while (!atomic_load(&waiting.inside))
		usleep(100);
	start(&unmapper, unmap_first, &u);
	while (ist_phys_to_virt(u.manager, page, 1, &vaddr) == 0)
		usleep(100);
	guest_check(u.range.vaddr, page, PAGE);
	assert_int_equal(ist_protect(u.manager, page, 1), -EBUSY);
	assert_int_equal(ist_mapping_register(u.manager, &strict, &mapping), -EEXIST);
	assert_int_equal(ist_backing_remove(u.manager, GUEST_PADDR), -EBUSY);
	atomic_store(&waiting.leave, true);
	pthread_join(reader, NULL);
	pthread_join(unmapper, NULL);
	assert_int_equal(u.answer, 0);
	assert_int_equal(ist_protect(u.manager, page, 1), 0);
	assert_int_equal(ist_unprotect(u.manager, page, 1), 0);
	assert_int_equal(ist_range_release(u.manager, &u.range, 0), 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_further_thread),         cmocka_unit_test(a_reader_that_stays),
	        cmocka_unit_test(a_reader_in_a_full_window), cmocka_unit_test(unregistered_but_referenced),
	        cmocka_unit_test(forks_beside_protect),      cmocka_unit_test(a_page_that_leaves_a_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
