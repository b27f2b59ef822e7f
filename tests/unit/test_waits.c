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
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "manager/manager.h"

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

/* The next mremap stays under way until it may go on. */
static atomic_bool stop_next_move, is_stopped, go_on;

void *mremap(void *from, size_t old_bytes, size_t bytes, int flags, ...)
{
	typedef void *move_function(void *, size_t, size_t, int, ...);
	move_function *real = (move_function *)(uintptr_t)dlsym(RTLD_NEXT, "mremap");
	va_list rest;
	void *to = NULL;

	va_start(rest, flags);
	if (flags & MREMAP_FIXED)
		to = va_arg(rest, void *);
	va_end(rest);
	if (atomic_exchange_explicit(&stop_next_move, false, memory_order_relaxed)) {
		atomic_store_explicit(&is_stopped, true, memory_order_release);
		while (!atomic_load_explicit(&go_on, memory_order_acquire))
			usleep(100);
	}
	return real(from, old_bytes, bytes, flags, to);
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

struct long_call {
	struct ist_manager *manager;
	int answer;
};

static void *register_side_by_side(void *argument)
{
	struct long_call *call = argument;
	uint64_t pages[3] = {page_at(1), page_at(3), page_at(5)};
	struct ist_registration r = registration_of(pages, 3);
	struct ist_mapping mapping;

	r.owner = 1;
	r.cookie = 7;
	call->answer = ist_mapping_register(call->manager, &r, &mapping);
	return NULL;
}

static struct ist_manager *reborn_in;

/* Called without a lock: it may do what it likes. */
static void born_again(void *context, uint32_t id)
{
	(void)context;
	make_owner(reborn_in, id);
}

/* A guest's list that is being mapped holds up nobody, and is refused if he ends meanwhile. */
static void a_list_that_takes_long(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config config = {.id = 1, .gone = born_again};
	struct long_call call = {.manager = manager};
	uint64_t pages[2] = {page_at(1), page_at(3)};
	struct ist_registration r = registration_of(pages, 2);
	struct ist_owner_stats stats;
	struct ist_mapping mapping;
	pthread_t thread;

	(void)state;
	reborn_in = manager;
	make_owner(manager, 2);
	r.owner = 2;
	mapping = registered(manager, 2, 1, 0); /* the first of all is not alone */
	for (int ends = 0; ends < 2; ends++) {
		if (ends == 0)
			assert_int_equal(ist_owner_create(manager, &config), 0);
		atomic_store_explicit(&is_stopped, false, memory_order_relaxed);
		atomic_store_explicit(&go_on, false, memory_order_relaxed);
		atomic_store_explicit(&stop_next_move, true, memory_order_relaxed);
		start(&thread, register_side_by_side, &call);
		while (!atomic_load_explicit(&is_stopped, memory_order_acquire))
			usleep(100);
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
		assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
		assert_int_equal(ist_mapping_find(manager, 1, 7, &mapping), -ENOENT);
		assert_int_equal(ist_owner_stats(manager, 1, &stats), 0);
		assert_int_equal(stats.pages, 3);
		assert_int_equal(ist_mapping_unregister(manager, 2, 1, 0), ends ? -ENOENT : 0);
		assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), -EBUSY);
		/* What is about to be protected is not registered any more. */
		assert_int_equal(ist_protect(manager, page_at(3), PAGE), 0);
		if (ends)
			assert_int_equal(ist_owner_destroy(manager, 1), -EBUSY);
		atomic_store_explicit(&go_on, true, memory_order_release);
		pthread_join(thread, NULL);
		assert_int_equal(call.answer, ends ? -ESHUTDOWN : -EACCES);
		assert_int_equal(ist_unprotect(manager, page_at(3), PAGE), 0);
		assert_int_equal(ist_owner_stats(manager, 1, &stats), 0); /* alive, or alive again */
		assert_int_equal(stats.pages, 0);
		assert_false(stats.dying);
	}
	assert_int_equal(ist_owner_destroy(manager, 2), 0);
	guest_drop(&guest);
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

struct registering {
	struct ist_manager *manager;
	int answer[2];
};

/* A list in segments, and one page that is protected. */
static void *register_two(void *context)
{
	struct registering *r = context;
	const uint64_t pages[] = {page_at(3), page_at(9), page_at(4)};
	struct ist_registration list = {
	        .pages = pages, .page_count = 3, .size = 3 * PAGE, .flags = IST_MAPPING_SEGMENTS};
	struct ist_mapping mapping;

	r->answer[0] = ist_mapping_register(r->manager, &list, &mapping);
	if (r->answer[0] == 0)
		r->answer[0] = ist_mapping_unregister_one(r->manager, &mapping, 0);
	list.pages = NULL;
	list.paddr = page_at(100);
	list.size = PAGE;
	r->answer[1] = ist_mapping_register(r->manager, &list, &mapping);
	return NULL;
}

/* What is protected is looked for without the lock of all: somebody else's long list, or whatever takes long there, holds up nobody. */
static void lists_beside_protected_pages(void **state)
{
	struct guest guest = guest_make(RAM);
	struct registering r = {.manager = guest.fixture.manager, .answer = {1, 1}};
	pthread_t thread;

	(void)state;
	assert_int_equal(ist_protect(r.manager, page_at(100), 2 * PAGE), 0);
	register_two(&r); /* so that all that is made once is there */
	pthread_mutex_lock(&r.manager->space.lock);
	start(&thread, register_two, &r);
	pthread_join(thread, NULL);
	pthread_mutex_unlock(&r.manager->space.lock);
	assert_int_equal(r.answer[0], 0);
	assert_int_equal(r.answer[1], -EACCES);
	assert_int_equal(ist_unprotect(r.manager, page_at(100), 2 * PAGE), 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_further_thread),          cmocka_unit_test(a_reader_that_stays),
	        cmocka_unit_test(a_reader_in_a_full_window),  cmocka_unit_test(unregistered_but_referenced),
	        cmocka_unit_test(a_list_that_takes_long),     cmocka_unit_test(forks_beside_protect),
	        cmocka_unit_test(a_page_that_leaves_a_range), cmocka_unit_test(lists_beside_protected_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
