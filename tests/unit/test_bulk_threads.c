/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Messages by pointer, by several threads, from a signal handler, in a child. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/crew.h"
#include "support/support.h"

static struct fixture f;
static void *out[500];

static struct ist_pool_stats stats_of(void)
{
	struct ist_pool_stats stats;

	ist_driver_pool_stats(f.driver, &stats);
	return stats;
}

static void set_up(size_t pool)
{
	f = fixture_make(4 * pool, pool);
}

static void must_alloc(size_t size, unsigned count)
{
	assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, size, count, out), 0);
}

static void must_free(unsigned count)
{
	assert_int_equal(ist_driver_pool_free_bulk(f.driver, out, count), 0);
}

enum { THREADS = 4, SHARED = 64 };

struct member {
	uint64_t seed;
	long obeyed, refused, wrong;
};

static void *shared[SHARED];
static _Atomic long round_number, done;
static _Atomic int stop;

static void *free_shared(void *argument)
{
	struct member *member = argument;
	long seen = 0;

	while (!atomic_load_explicit(&stop, memory_order_acquire)) {
		long current = atomic_load_explicit(&round_number, memory_order_acquire);

		if (current == seen) {
			sched_yield();
			continue;
		}
		seen = current;
		for (unsigned i = 0; i < SHARED; i++) {
			int result = ist_driver_pool_free_bulk(f.driver, &shared[i], 1);

			member->obeyed += result == 0;
			member->refused += result == -EALREADY;
			member->wrong += result != 0 && result != -EALREADY;
		}
		atomic_fetch_add_explicit(&done, 1, memory_order_acq_rel);
	}
	return NULL;
}

static void alloc_shared(uint64_t *seed)
{
	for (unsigned i = 0; i < SHARED; i++) {
		size_t size = 1 + random_below(seed, 200);
		struct ist_shm shm;

		if (random_below(seed, 2)) {
			assert_int_equal(ist_driver_pool_alloc_bulk(f.driver, size, 1, &shared[i]), 0);
		} else {
			assert_int_equal(ist_driver_pool_alloc(f.driver, size, &shm), 0);
			shared[i] = shm.view.vaddr;
		}
	}
}

static void of_several_one_is_obeyed(void **state)
{
	struct member members[THREADS] = {{0, 0, 0, 0}};
	long rounds = scaled(2000), obeyed = 0, wrong = 0;
	struct crew crew;
	uint64_t seed = 5;

	(void)state;
	set_up(256 * KIB);
	crew_start(&crew, THREADS, free_shared, members, sizeof(members[0]));
	for (long round = 0; round < rounds; round++) {
		alloc_shared(&seed);
		atomic_store_explicit(&done, 0, memory_order_relaxed);
		atomic_fetch_add_explicit(&round_number, 1, memory_order_release);
		while (atomic_load_explicit(&done, memory_order_acquire) < THREADS)
			sched_yield();
	}
	atomic_store_explicit(&stop, 1, memory_order_release);
	crew_join(&crew);
	for (int i = 0; i < THREADS; i++) {
		obeyed += members[i].obeyed;
		wrong += members[i].wrong;
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(obeyed, rounds * SHARED);
	assert_int_equal(stats_of().misuses, rounds * SHARED * (THREADS - 1));
	assert_int_equal(stats_of().used, 0);
	fixture_drop(&f);
}

/* Together never more than there is: nobody may be refused, and nobody gets what another one has. */
static void *fill_and_check(void *argument)
{
	struct member *member = argument;
	void *mine[200];

	for (long i = scaled(4000); i > 0; i--) {
		unsigned count = 1 + (unsigned)random_below(&member->seed, 120);
		size_t size = 8 + random_below(&member->seed, 120);
		uint64_t mark = (uint64_t)(uintptr_t)member + (uint64_t)i;

		if (ist_driver_pool_alloc_bulk(f.driver, size, count, mine)) {
			member->refused++;
			continue;
		}
		for (unsigned m = 0; m < count; m++)
			atomic_store_explicit((_Atomic uint64_t *)mine[m], mark + m, memory_order_relaxed);
		for (unsigned m = 0; m < count; m++)
			member->wrong += atomic_load_explicit((_Atomic uint64_t *)mine[m],
			                                      memory_order_relaxed) != mark + m;
		if (ist_driver_pool_free_bulk(f.driver, mine, count))
			member->wrong++;
	}
	return NULL;
}

static void threads_do_not_share(void **state)
{
	struct member members[THREADS] = {{1, 0, 0, 0}, {2, 0, 0, 0}, {3, 0, 0, 0}, {4, 0, 0, 0}};
	struct crew crew;

	(void)state;
	set_up(256 * KIB);
	crew_start(&crew, THREADS, fill_and_check, members, sizeof(members[0]));
	crew_join(&crew);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(members[i].wrong, 0);
		assert_int_equal(members[i].refused, 0);
	}
	assert_int_equal(stats_of().used, 0);
	assert_int_equal(stats_of().misuses, 0);
	assert_int_equal(stats_of().allocs, stats_of().frees);
	fixture_drop(&f);
}

/* Allocated by one thread, freed by another, which passes them past or into its own magazines. */
static void *free_member(void *argument)
{
	struct member *member = argument;

	member->wrong = ist_driver_pool_free_bulk(f.driver, out, 500);
	return NULL;
}

static void freed_by_another_thread(void **state)
{
	struct member member = {0, 0, 0, 0};
	struct crew crew;

	(void)state;
	set_up(256 * KIB);
	for (long i = scaled(300) + 1; i > 0; i--) {
		must_alloc(1 + (size_t)i % 300, 500);
		crew_start(&crew, 1, free_member, &member, sizeof(member));
		crew_join(&crew);
		assert_int_equal(member.wrong, 0);
	}
	assert_int_equal(stats_of().used, 0);
	fixture_drop(&f);
}

/* --- handlers and children ------------------------------------------------------------------------------------ */

static _Atomic long handled, failed;

static void bulk_of(size_t size, unsigned count)
{
	void *mine[100];

	if (ist_driver_pool_alloc_bulk(f.driver, size, count, mine) ||
	    ist_driver_pool_free_bulk(f.driver, mine, count))
		atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
}

static void on_signal(int signal)
{
	(void)signal;
	bulk_of(64, 32);
	bulk_of(20, 100);
	atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
}

static void *send_signals(void *argument)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		pthread_kill(*(pthread_t *)argument, SIGUSR1);
	return NULL;
}

static void from_a_signal_handler(void **state)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pthread_t self = pthread_self();
	struct crew crew;
	long goal = scaled(20000);
	double begin = seconds_now();

	(void)state;
	set_up(256 * KIB);
	atomic_store_explicit(&stop, 0, memory_order_relaxed);
	sigaction(SIGUSR1, &action, NULL);
	crew_start(&crew, 1, send_signals, &self, sizeof(self));
	while (atomic_load_explicit(&handled, memory_order_relaxed) < goal && seconds_now() - begin < 8) {
		bulk_of(64, 32);
		bulk_of(20, 100);
		bulk_of(700, 5);
	}
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	crew_join(&crew);
	signal(SIGUSR1, SIG_IGN);
	assert_int_equal(failed, 0);
	assert_int_equal(stats_of().used, 0);
	assert_int_equal(stats_of().allocs, stats_of().frees);
	fixture_drop(&f);
}

static int child_checks(void)
{
	void *untouched = out[1];

	if (ist_driver_pool_alloc_bulk(f.driver, 64, 32, out + 1) != -ECHILD ||
	    ist_driver_pool_alloc_bulk(f.driver, 1, UINT32_MAX, out + 1) != -ECHILD || out[1] != untouched)
		return 1;
	if (ist_driver_pool_free_bulk(f.driver, out, 1) != -ECHILD)
		return 2;
	return 0;
}

static void a_child_is_refused(void **state)
{
	pid_t child;
	int status;

	(void)state;
	set_up(64 * KIB);
	must_alloc(64, 100);
	child = fork();
	if (child == 0)
		_exit(child_checks());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	must_free(100);
	fixture_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(of_several_one_is_obeyed), cmocka_unit_test(threads_do_not_share),
	        cmocka_unit_test(freed_by_another_thread),  cmocka_unit_test(from_a_signal_handler),
	        cmocka_unit_test(a_child_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
