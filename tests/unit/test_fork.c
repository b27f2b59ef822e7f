/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A forked child shares the parent's memory and has none of its right to it: every call is refused, nothing changes. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "pool/pool.h"
#include "support/support.h"

#define FORKS 100

static struct fixture f;
static struct ist_shm driver, client;

/* The number of the first thing that is not as it should be, or 0. */
static int child_checks(void)
{
	struct ist_client_request request = {.size = 5000, .align = 1 << 14};
	struct ist_shm shm, before = driver;
	struct ist_pool_stats stats;
	struct fixture own;

	for (size_t size = 1; size < 100000; size = size * 3 + 1) {
		if (ist_driver_pool_alloc(f.driver, size, &shm) != -ECHILD)
			return 1;
		if (ist_client_pool_alloc(f.client, size, &shm) != -ECHILD)
			return 2;
		if (ist_client_pool_alloc_nozero(f.client, size, &shm) != -ECHILD)
			return 3;
	}
	if (ist_client_pool_alloc_request(f.client, &request, &shm) != -ECHILD)
		return 4;
	if (ist_shm_free(&driver) != -ECHILD || memcmp(&driver, &before, sizeof(before)))
		return 5;
	if (ist_shm_free(&client) != -ECHILD)
		return 6;
	if (ist_manager_destroy(f.manager) != -ECHILD)
		return 7;
	ist_driver_pool_stats(f.driver, &stats);
	ist_client_pool_stats(f.client, &stats);
	/* A manager of its own is another matter. */
	own = fixture_make(1 * MIB, 0);
	if (ist_driver_pool_alloc(own.driver, 100, &shm) || ist_shm_free(&shm) ||
	    ist_client_pool_alloc(own.client, 5000, &shm) || ist_shm_free(&shm))
		return 8;
	if (ist_shm_free(&driver) != -ECHILD)
		return 9;
	fixture_drop(&own);
	return 0;
}

static int status_of(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void must_refuse_a_child(void)
{
	struct ist_pool_stats before, after;
	pid_t child;

	f = fixture_make(64 * MIB, 1 * MIB);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ist_driver_pool_alloc(f.driver, 64, &driver), 0);
		assert_int_equal(ist_client_pool_alloc(f.client, 4096, &client), 0);
		if (i < 99) {
			assert_int_equal(ist_shm_free(&driver), 0);
			assert_int_equal(ist_shm_free(&client), 0);
		}
	}
	ist_driver_pool_stats(f.driver, &before);
	child = fork();
	if (child == 0)
		_exit(child_checks());
	assert_int_equal(status_of(child), 0);
	ist_driver_pool_stats(f.driver, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(ist_shm_free(&driver), 0);
	assert_int_equal(ist_shm_free(&client), 0);
	fixture_drop(&f);
}

static void a_child_is_refused(void **state)
{
	(void)state;
	must_refuse_a_child();
}

/* The same where the kernel wipes nothing, as under emulators that take the advice and do not follow it. */
static void a_child_is_refused_without_wiping(void **state)
{
	/* In a process of its own, whose registry of pools is as new as the pools. */
	pid_t process = fork();

	(void)state;
	if (process == 0) {
		platform_pretend_no_wipe();
		must_refuse_a_child();
		_exit(0);
	}
	assert_int_equal(status_of(process), 0);
}

/* A handle whose pool was gone before the fork fits no pool that the child makes, though it is in the same place. */
static int free_stale(const struct ist_shm *stale, size_t count, int generations)
{
	struct fixture own = fixture_make(1 * MIB, 0);
	struct ist_shm shm, copy;

	if (ist_driver_pool_alloc(own.driver, 100, &shm))
		return 1;
	for (size_t i = 0; i < count; i++) {
		/* The same place in the pool, whose addresses may differ. */
		copy = stale[i];
		copy.view = shm.view;
		if (ist_shm_free(&copy) != -ECHILD)
			return 2;
	}
	if (ist_shm_free(&shm))
		return 3;
	fixture_drop(&own);
	return generations ? free_stale(stale, count, generations - 1) : 0;
}

static void a_child_has_other_keys(void **state)
{
	enum { BEFORE = 4 };
	struct ist_shm stale[BEFORE], shm;
	pid_t child;

	(void)state;
	for (int i = 0; i < BEFORE; i++) {
		f = fixture_make(1 * MIB, 0);
		assert_int_equal(ist_driver_pool_alloc(f.driver, 100, &shm), 0);
		stale[i] = shm;
		assert_int_equal(ist_shm_free(&shm), 0);
		fixture_drop(&f);
	}
	child = fork();
	if (child == 0)
		_exit(free_stale(stale, BEFORE, 8));
	assert_int_equal(status_of(child), 0);
}

static _Atomic bool enough;

static void *come_and_go(void *unused)
{
	struct pool pool = {.kind = POOL_DRIVER};

	(void)unused;
	while (!atomic_load(&enough)) {
		pool_register(&pool);
		pool_unregister(&pool);
	}
	return NULL;
}

/* What another thread was about to do to the registry of pools does not stop the child. */
static void a_child_registers(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, come_and_go, NULL), 0);
	for (int i = 0; i < FORKS; i++) {
		int status;
		pid_t child = fork();

		if (child == 0) {
			struct fixture own;

			alarm(20);
			own = fixture_make(1 * MIB, 0);
			fixture_drop(&own);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_child_is_refused_without_wiping), /* first: before there is a registry */
	        cmocka_unit_test(a_child_is_refused),
	        cmocka_unit_test(a_child_has_other_keys),
	        cmocka_unit_test(a_child_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
