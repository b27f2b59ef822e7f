/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* How mappings are made and kept: the cache, guard pages, large host pages, a stuck reader, fork. */
#include "support/guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tsan.h"
#include "space/window.h"
#include "platform/platform.h"

#define PAGE IST_PAGE_SIZE
#define RAM (4 * MIB)

static struct ist_mapping_stats stats_of(struct ist_manager *manager)
{
	struct ist_mapping_stats stats;

	ist_mapping_stats(manager, &stats);
	return stats;
}

static struct ist_mapping add(struct ist_manager *manager, uint32_t owner, uint64_t page, size_t pages)
{
	struct ist_registration r = {
	        .paddr = GUEST_PADDR + page * PAGE,
	        .size = pages * PAGE,
	        .owner = owner,
	        .flags = IST_MAPPING_READ_ONLY}; /* not as the backing is mapped, so it takes address space */
	struct ist_mapping mapping;

	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

static void take_away(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	assert_int_equal(ist_mapping_unregister_one(manager, mapping, 0), 0);
}

/* Whether touching the byte at `at` kills: the system is asked to read, or to write, it for us. */
static bool refuses(const void *at, bool to_write)
{
	int ends[2];
	char byte = 0;
	ssize_t moved;

	assert_int_equal(pipe(ends), 0);
	if (to_write)
		assert_int_equal(write(ends[1], &byte, 1), 1);
	moved = to_write ? read(ends[0], (void *)(uintptr_t)at, 1) : write(ends[1], at, 1);
	close(ends[0]);
	close(ends[1]);
	return moved != 1;
}

static bool kills(const void *at)
{
	return refuses(at, false);
}

static void the_cache(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping_config config = {.cache_size = 8 * PAGE};
	struct ist_owner_config owner = {.id = 1};
	struct ist_mapping a, b;
	struct ist_owner_stats owner_stats;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_configure(manager, &config), 0);
	assert_int_equal(ist_owner_create(manager, &owner), 0);
	a = add(manager, 1, 10, 3);
	take_away(manager, &a);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(stats_of(manager).cached, 1);
	assert_int_equal(stats_of(manager).cached_bytes, 3 * PAGE);
	/* Found by nobody ... */
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR + 10 * PAGE, 1, &vaddr), -ENOENT);
	assert_int_equal(ist_mapping_get(manager, &a), -ENOENT);
	assert_int_equal(ist_mapping_unregister_one(manager, &a, 0), -ENOENT);
	/* ... but the same pages of the same owner, all of them. */
	b = add(manager, 1, 10, 2);
	assert_int_equal(stats_of(manager).cache_hits, 0);
	take_away(manager, &b);
	b = add(manager, 0, 10, 3);
	assert_int_equal(stats_of(manager).cache_hits, 0);
	take_away(manager, &b);
	assert_int_equal(stats_of(manager).cached, 3);
	b = add(manager, 1, 10, 3);
	assert_int_equal(stats_of(manager).cache_hits, 1);
	assert_ptr_equal(b.vaddr, a.vaddr);
	guest_check(b.vaddr, GUEST_PADDR + 10 * PAGE, b.size);
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR + 10 * PAGE, 1, &vaddr), 0);
	assert_int_equal(ist_mapping_get(manager, &a), -ENOENT); /* another use of the place */
	/* While it is in use it is not in the cache. */
	a = add(manager, 1, 10, 3);
	assert_ptr_not_equal(a.vaddr, b.vaddr);
	take_away(manager, &a);
	take_away(manager, &b);
	/* Bounded, the oldest goes first; what is larger than the cache is not kept. */
	assert_true(stats_of(manager).cached_bytes <= 8 * PAGE);
	a = add(manager, 1, 30, 9);
	take_away(manager, &a);
	assert_true(stats_of(manager).cached_bytes <= 8 * PAGE);
	/* Flushed: then it is unmapped. */
	a = add(manager, 1, 50, 8);
	take_away(manager, &a);
	assert_int_equal(stats_of(manager).cached, 1);
	assert_int_equal(ist_owner_stats(manager, 1, &owner_stats), 0);
	assert_int_equal(owner_stats.cached, 1);
	assert_int_equal(owner_stats.mappings, 0);
	assert_false(kills(a.vaddr));
	assert_int_equal(ist_mapping_flush(manager), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_true(kills(a.vaddr));
	assert_int_equal(stats_of(manager).cached, 0);
	/* Goes with its owner. */
	a = add(manager, 1, 50, 8);
	take_away(manager, &a);
	assert_int_equal(stats_of(manager).cached, 1);
	assert_int_equal(ist_owner_destroy(manager, 1), 0);
	assert_int_equal(stats_of(manager).cached, 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_true(kills(a.vaddr));
	/* And when address space is wanted, or its backing goes. */
	b = add(manager, 0, 10, 3);
	take_away(manager, &b);
	assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), 0);
	assert_int_equal(stats_of(manager).cached, 0);
	guest_drop(&guest);
}

static void guard_pages(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_registration r = {.paddr = GUEST_PADDR, .size = 2 * PAGE, .flags = IST_MAPPING_GUARD};
	struct ist_mapping mapping[3];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(ist_mapping_register(guest.fixture.manager, &r, &mapping[i]), 0);
		for (int i = 0; i < 3; i++) {
			assert_true(kills((char *)mapping[i].vaddr - 1));
			assert_true(kills((char *)mapping[i].vaddr + 2 * PAGE));
			assert_false(kills((char *)mapping[i].vaddr + 2 * PAGE - 1));
			assert_int_equal(ist_mapping_unregister_one(guest.fixture.manager, &mapping[i], 0),
			                 0);
		}
		/* Without guards meanwhile, in the same places if they are ripe. */
		r.flags ^= IST_MAPPING_GUARD;
		assert_int_equal(ist_mapping_register(guest.fixture.manager, &r, &mapping[0]), 0);
		guest_check(mapping[0].vaddr, GUEST_PADDR, r.size);
		assert_int_equal(ist_mapping_unregister_one(guest.fixture.manager, &mapping[0], 0), 0);
		r.flags ^= IST_MAPPING_GUARD;
	}
	guest_drop(&guest);
}

static void read_only(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_registration r = {.paddr = GUEST_PADDR, .size = PAGE, .flags = IST_MAPPING_READ_ONLY};
	struct ist_mapping mapping;

	(void)state;
	assert_int_equal(ist_mapping_register(guest.fixture.manager, &r, &mapping), 0);
	assert_int_equal(mapping.attributes, IST_READ_ONLY);
	guest_check(mapping.vaddr, GUEST_PADDR, PAGE);
	assert_true(refuses(mapping.vaddr, true));
	assert_int_equal(ist_mapping_unregister_one(guest.fixture.manager, &mapping, 0), 0);
	guest_drop(&guest);
}

/* Unregistered in a section of somebody else: stays until that one leaves, goes soon after. */
struct stuck {
	const struct ist_mapping *mapping;
	_Atomic int turn;
};

static void *stay(void *argument)
{
	struct stuck *stuck = argument;

	ist_read_enter();
	atomic_store(&stuck->turn, 1);
	while (atomic_load(&stuck->turn) != 2)
		usleep(100);
	guest_check(stuck->mapping->vaddr, GUEST_PADDR + 7 * PAGE, stuck->mapping->size);
	ist_read_leave();
	return NULL;
}

static void a_stuck_reader(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping = add(manager, 0, 7, 2), other;
	struct stuck stuck = {.mapping = &mapping};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, stay, &stuck), 0);
	while (atomic_load(&stuck.turn) != 1)
		usleep(100);
	take_away(manager, &mapping); /* does not wait for him */
	for (int i = 0; i < 300; i++) { /* nor do others */
		other = add(manager, 0, 100, 2);
		assert_ptr_not_equal(other.vaddr, mapping.vaddr);
		take_away(manager, &other);
	}
	usleep(20000);
	assert_false(kills(mapping.vaddr));
	assert_true(stats_of(manager).waiting > 0);
	atomic_store(&stuck.turn, 2);
	pthread_join(thread, NULL);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_true(kills(mapping.vaddr));
	guest_drop(&guest);
}

/* A child has all that its parent had, and may go on with it. */
static void in_a_child(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	int skip_rounds = 0;

	(void)state;
#ifdef TSAN_BUILD
	skip_rounds = 5; /* its runtime ends a child that starts a thread */
#endif
	for (int round = skip_rounds; round < 5; round++) {
		struct ist_mapping mapping = add(manager, 0, 7, 2), other;
		int status;
		pid_t child;

		for (int i = 0; i < 50; i++) {
			other = add(manager, 0, 9, 3);
			take_away(manager, &other);
		}
		child = fork();
		if (child == 0) {
			alarm(20);
			guest_check(mapping.vaddr, GUEST_PADDR + 7 * PAGE, mapping.size);
			other = add(manager, 0, 20, 3);
			guest_check(other.vaddr, GUEST_PADDR + 20 * PAGE, other.size);
			take_away(manager, &other);
			take_away(manager, &mapping);
			assert_int_equal(ist_mapping_drain(manager), 0);
			_exit(stats_of(manager).waiting || stats_of(manager).window_used ? 3 : 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		take_away(manager, &mapping);
	}
	guest_drop(&guest);
}

struct waiting {
	struct ist_manager *manager;
	struct ist_mapping mapping;
	_Atomic bool done;
};

static void *wait_for_the_last_put(void *argument)
{
	struct waiting *waiting = argument;

	take_away(waiting->manager, &waiting->mapping);
	atomic_store(&waiting->done, true);
	return NULL;
}

/* Others of the parent's threads wait for what the child changes as well. */
static void in_a_child_of_one_that_waits(void **state)
{
	struct guest guest = guest_make(RAM);
	struct waiting waiting = {.manager = guest.fixture.manager};
	pthread_t thread;
	int status;
	pid_t child;

	(void)state;
	waiting.mapping = add(waiting.manager, 0, 7, 2);
	assert_int_equal(ist_mapping_get(waiting.manager, &waiting.mapping), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_the_last_put, &waiting), 0);
	while (stats_of(waiting.manager).referenced == 0)
		usleep(100);
	usleep(10000); /* until it sleeps, most likely */
#ifndef TSAN_BUILD
	child = fork();
	if (child == 0) {
		alarm(20);
		for (int i = 0; i < 10; i++) {
			struct ist_mapping other = add(waiting.manager, 0, 20, 3);

			take_away(waiting.manager, &other);
			assert_int_equal(ist_mapping_drain(waiting.manager), 0);
		}
		_exit(ist_mapping_put(waiting.manager, &waiting.mapping) ? 3 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
#else
	(void)child;
	(void)status;
#endif
	assert_false(atomic_load(&waiting.done));
	assert_int_equal(ist_mapping_put(waiting.manager, &waiting.mapping), 0);
	pthread_join(thread, NULL);
	guest_drop(&guest);
}

/* Runs of whole host pages, whatever the host's own are. */
static void large_host_pages(void **state)
{
	struct window window = {0};
	struct run a, b, c;

	(void)state;
	assert_int_equal(window_open(&window, 64 * 16 * KIB, 16 * KIB), 0);
	assert_int_equal(window_take(&window, 1, &a), 0);
	assert_int_equal(window_take(&window, 5, &b), 0);
	assert_int_equal(a.count, 4);
	assert_int_equal(b.count, 8);
	assert_int_equal((uintptr_t)window_address(&window, a) % (16 * KIB),
	                 (uintptr_t)window.base % (16 * KIB));
	assert_int_equal(window_take(&window, 64 * 4, &c), -ENOSPC);
	window_give(&window, a);
	window_give(&window, b);
	assert_int_equal(window_take(&window, 64 * 4, &c), 0);
	window_give(&window, c);
	window_close(&window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_cache),        cmocka_unit_test(guard_pages),
	        cmocka_unit_test(read_only),        cmocka_unit_test(a_stuck_reader),
	        cmocka_unit_test(in_a_child),       cmocka_unit_test(in_a_child_of_one_that_waits),
	        cmocka_unit_test(large_host_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
