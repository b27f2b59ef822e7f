/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The PA map over the life of threads and processes: readers that stay, threads that end, forks, unloading. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rcu/rcu.h"
#include "support/crew.h"
#include "support/pamap_model.h"
#include "support/support.h"

#ifdef TSAN_BUILD
#define TSAN true
#else
#define TSAN false
#endif

static const char *library; /* path of the shared library */

static struct pamap_entry entry_at(uint64_t i)
{
	return (struct pamap_entry){i * 5, 1, i, (uint32_t)i & 0xffffff, (uint16_t)(i % 3), 0};
}

static struct pamap *map_of(uint64_t count)
{
	struct pamap *map;

	assert_int_equal(pamap_create(&map), 0);
	for (uint64_t i = 0; i < count; i++) {
		struct pamap_entry e = entry_at(i);

		assert_int_equal(pamap_insert(map, &e, 0), 0);
	}
	return map;
}

static bool finds(struct pamap *map, uint64_t i)
{
	struct pamap_value value;

	return pamap_lookup(map, (i * 5) << PAMAP_PAGE_SHIFT, 1, &value) && value.to == i << PAMAP_PAGE_SHIFT;
}

struct stuck {
	_Atomic bool inside, go;
	pthread_t thread;
};

static void *stay_inside(void *argument)
{
	struct stuck *stuck = argument;

	rcu_enter();
	atomic_store_explicit(&stuck->inside, true, memory_order_release);
	while (!atomic_load_explicit(&stuck->go, memory_order_acquire))
		usleep(1000);
	rcu_leave();
	return NULL;
}

static void stuck_start(struct stuck *stuck)
{
	atomic_store_explicit(&stuck->inside, false, memory_order_relaxed);
	atomic_store_explicit(&stuck->go, false, memory_order_relaxed);
	assert_int_equal(pthread_create(&stuck->thread, NULL, stay_inside, stuck), 0);
	while (!atomic_load_explicit(&stuck->inside, memory_order_acquire))
		usleep(100);
}

static void stuck_end(struct stuck *stuck)
{
	atomic_store_explicit(&stuck->go, true, memory_order_release);
	pthread_join(stuck->thread, NULL);
}

static void settle(struct pamap *map)
{
	struct pamap_stats stats = {.backlog_bytes = 1};

	for (double until = seconds_now() + 10; stats.backlog_bytes > 0 && seconds_now() < until; usleep(1000))
		pamap_get_stats(map, &stats);
	assert_int_equal(stats.backlog_bytes, 0);
}

/* Updates go on until the backlog is at its limit, then say so; lookups, removals and pools do not notice. */
static void a_reader_that_stays(void **state)
{
	enum { LIMIT = 256 * 1024 };
	struct pamap *map = map_of(1000);
	struct fixture f = fixture_make(1 * MIB, 64 * KIB);
	struct pamap_stats stats;
	struct stuck stuck;
	struct ist_shm shm;
	uint64_t i = 1000;
	int error = 0;

	(void)state;
	pamap_set_backlog_limit(map, LIMIT);
	settle(map);
	stuck_start(&stuck);
	for (; !error && i < 100000; i++) {
		struct pamap_entry e = entry_at(i);

		error = pamap_insert(map, &e, 0);
	}
	assert_int_equal(error, -EAGAIN);
	assert_true(i > 1300); /* 256 KiB of leaves were replaced before */
	pamap_get_stats(map, &stats);
	assert_true(stats.backlog_bytes > LIMIT && stats.backlog_bytes < LIMIT + 16 * 1024);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(stats.mappings, i - 1);
	for (uint64_t k = 0; k < 900; k++) {
		struct pamap_entry e = entry_at(k);

		assert_true(finds(map, k));
		assert_int_equal(pamap_remove(map, &e), 0);
		assert_false(finds(map, k));
	}
	assert_int_equal(ist_driver_pool_alloc(f.driver, 100, &shm), 0);
	assert_int_equal(ist_shm_free(&shm), 0);
	stuck_end(&stuck);
	settle(map);
	for (uint64_t k = 0; k < 900; k++) {
		struct pamap_entry e = entry_at(k);

		assert_int_equal(pamap_insert(map, &e, 0), 0);
	}
	fixture_drop(&f);
	pamap_destroy(map);
}

struct deferred {
	struct rcu_item item;
	_Atomic int released;
};

static void count_release(struct rcu_item *item)
{
	struct deferred *deferred = (struct deferred *)item;

	atomic_fetch_add_explicit(&deferred->released, 1, memory_order_release);
}

static void deferred_release(void **state)
{
	static struct deferred first, second;
	struct stuck stuck;

	(void)state;
	first.item.release = second.item.release = count_release;
	stuck_start(&stuck);
	rcu_defer(&first.item);
	rcu_defer(&second.item);
	usleep(50000);
	assert_int_equal(atomic_load_explicit(&first.released, memory_order_acquire), 0);
	stuck_end(&stuck);
	for (double until = seconds_now() + 10; seconds_now() < until; usleep(1000))
		if (atomic_load_explicit(&second.released, memory_order_acquire))
			break;
	assert_int_equal(atomic_load_explicit(&first.released, memory_order_acquire), 1);
	assert_int_equal(atomic_load_explicit(&second.released, memory_order_acquire), 1);
}

static struct pamap *shared_map;

static void *read_and_end(void *seed)
{
	MODEL_REQUIRE(finds(shared_map, *(uint64_t *)seed % 500));
	return NULL;
}

/* Threads that end without a word never hold anything up. */
static void threads_end(void **state)
{
	uint64_t seeds[8];
	struct crew crew;

	(void)state;
	shared_map = map_of(500);
	for (int round = 0; round < (int)scaled(50); round++) {
		struct pamap_entry e = entry_at(1000 + (uint64_t)round);

		for (int i = 0; i < 8; i++)
			seeds[i] = (uint64_t)(round * 8 + i);
		crew_start(&crew, 8, read_and_end, seeds, sizeof(seeds[0]));
		assert_int_equal(pamap_insert(shared_map, &e, 0), 0);
		assert_int_equal(rcu_wait(), 0);
		crew_join(&crew);
	}
	pamap_destroy(shared_map);
}

static void *update_on(void *go)
{
	for (uint64_t i = 0; atomic_load_explicit((_Atomic bool *)go, memory_order_relaxed); i = (i + 1) % 400) {
		struct pamap_entry e = entry_at(1000 + i);

		MODEL_REQUIRE(pamap_insert(shared_map, &e, 0) == 0);
		MODEL_REQUIRE(pamap_remove(shared_map, &e) == 0);
	}
	return NULL;
}

/* In the child: 0 if lookups, updates, grace periods and destruction work. */
static int use_in_child(void)
{
	for (uint64_t i = 0; i < 500; i++)
		if (!finds(shared_map, i))
			return 1;
	for (uint64_t i = 2000; i < 4000; i++) {
		struct pamap_entry e = entry_at(i);

		if (pamap_insert(shared_map, &e, 0) || !finds(shared_map, i))
			return 2;
	}
	if (rcu_wait())
		return 3;
	pamap_destroy(shared_map);
	return 0;
}

static void fork_at_any_time(void **state)
{
	_Atomic bool go = true;
	pthread_t updater;

	(void)state;
	if (TSAN) /* it ends a child that starts a thread */
		skip();
	shared_map = map_of(500);
	assert_int_equal(pthread_create(&updater, NULL, update_on, &go), 0);
	for (int i = 0; i < (int)scaled(30); i++) {
		int status;
		pid_t child;

		usleep(500);
		child = fork();
		if (child == 0) {
			alarm(30); /* a child that hangs is a failure */
			_exit(use_in_child());
		}
		assert_true(child > 0);
		waitpid(child, &status, 0);
		assert_int_equal(status, 0);
	}
	atomic_store_explicit(&go, false, memory_order_relaxed);
	pthread_join(updater, NULL);
	for (uint64_t i = 0; i < 500; i++)
		assert_true(finds(shared_map, i));
	pamap_destroy(shared_map);
}

/* The reclaimer may be running: the library's code stays. */
static void unload(void **state)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	(void)state;
	assert_non_null(handle);
	assert_int_equal(dlclose(handle), 0);
	handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	assert_non_null(handle);
	dlclose(handle);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_stays), cmocka_unit_test(deferred_release), cmocka_unit_test(threads_end),
		cmocka_unit_test(fork_at_any_time),    cmocka_unit_test(unload),
	};

	library = argc > 1 ? argv[1] : "libisthmus.so.0";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
