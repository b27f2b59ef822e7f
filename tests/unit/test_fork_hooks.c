/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The order in which hooks run around a fork, what happens to one that is added meanwhile, and what is refused where the C library has
 * no memory for one. The program is linked with --wrap=pthread_atfork.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <isthmus/manager.h>

#include "platform/fork.h"

/* Two turns are left free at first: for a hook that takes its time, and for one that comes meanwhile. */
enum { UNUSED = 1, LATE = 2 };

static unsigned before[FORK_TURNS], after[FORK_TURNS], before_count, after_count;
static _Atomic int is_forking, was_added;

static bool refuses;

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return refuses ? ENOMEM : __real_pthread_atfork(prepare, parent, child);
}

static void note_before(unsigned turn)
{
	before[before_count++] = turn;
}

static void note_after(unsigned turn)
{
	after[after_count++] = turn;
}

#define HOOK(turn)                                                                                           \
	static void before_##turn(void)                                                                      \
	{                                                                                                    \
		note_before(turn);                                                                           \
	}                                                                                                    \
	static void after_##turn(void)                                                                       \
	{                                                                                                    \
		note_after(turn);                                                                            \
	}                                                                                                    \
	static const struct fork_hook hook_##turn = {before_##turn, after_##turn, after_##turn}

HOOK(0);
HOOK(2);
HOOK(3);
HOOK(4);
HOOK(5);
HOOK(6);

static bool ran_in_order(const unsigned *turns, unsigned count)
{
	if (before_count != count || after_count != count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (before[i] != turns[i] || after[i] != turns[count - 1 - i])
			return false;
	return true;
}

/* Whether the hooks of these turns ran around a fork, and no others: in the parent, and in the child. */
static bool fork_runs(const unsigned *turns, unsigned count)
{
	int status = -1;
	pid_t child;

	before_count = after_count = 0;
	child = fork();
	if (child == 0)
		_exit(ran_in_order(turns, count) ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0 && ran_in_order(turns, count);
}

/* In a child, for the library adds hooks of its own. 0 if all was as it must be. */
static int make_managers(void)
{
	void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x40000000, .size = 1 << 20};
	struct ist_manager *untouched = (struct ist_manager *)memory, *manager = untouched;

	refuses = true;
	if (ist_manager_create(&config, &manager) != -ENOMEM || manager != untouched)
		return 1;
	refuses = false;
	return ist_manager_create(&config, &manager) || ist_manager_destroy(manager) ? 2 : 0;
}

static void no_manager_without_hooks(void **state)
{
	int status = -1;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(make_managers());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void refused_hook_can_be_added_later(void **state)
{
	(void)state;
	refuses = true;
	assert_int_equal(fork_hook_add((enum fork_turn)5, &hook_5), -ENOMEM);
	assert_true(fork_runs(NULL, 0));
	refuses = false;
}

static void hooks_run_in_turn(void **state)
{
	const unsigned first[] = {3, 5}, all[] = {0, 3, 4, 5, 6};

	(void)state;
	assert_int_equal(FORK_TURNS, 7);
	assert_int_equal(fork_hook_add((enum fork_turn)5, &hook_5), 0);
	assert_int_equal(fork_hook_add((enum fork_turn)3, &hook_3), 0);
	assert_true(fork_runs(first, 2));
	assert_int_equal(fork_hook_add((enum fork_turn)6, &hook_6), 0);
	assert_int_equal(fork_hook_add((enum fork_turn)0, &hook_0), 0);
	assert_int_equal(fork_hook_add((enum fork_turn)4, &hook_4), 0);
	assert_int_equal(fork_hook_add((enum fork_turn)4, &hook_4), 0); /* once more is no harm */
	assert_true(fork_runs(all, 5));
}

static void *add_late(void *unused)
{
	(void)unused;
	while (!atomic_load(&is_forking))
		usleep(100);
	fork_hook_add((enum fork_turn)LATE, &hook_2);
	atomic_store(&was_added, 1);
	return NULL;
}

static void linger(void)
{
	atomic_store(&is_forking, 1);
	usleep(50000);
	note_before(UNUSED);
	if (atomic_load(&was_added))
		note_before(FORK_TURNS);
}

static void pass(void)
{
	note_after(UNUSED);
}

/* It runs neither before the fork nor after it, and both at the next one. */
static void hook_added_in_a_fork_waits_for_the_next(void **state)
{
	static const struct fork_hook slow = {linger, pass, pass};
	const unsigned without[] = {0, 1, 3, 4, 5, 6}, with[] = {0, 1, 2, 3, 4, 5, 6};
	pthread_t thread;

	(void)state;
	assert_int_equal(fork_hook_add((enum fork_turn)UNUSED, &slow), 0);
	assert_int_equal(pthread_create(&thread, NULL, add_late, NULL), 0);
	assert_true(fork_runs(without, 6));
	pthread_join(thread, NULL);
	assert_true(atomic_load(&was_added));
	atomic_store(&was_added, 0); /* or linger() would say that it had come too early */
	assert_true(fork_runs(with, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_manager_without_hooks),
	        cmocka_unit_test(refused_hook_can_be_added_later),
	        cmocka_unit_test(hooks_run_in_turn),
	        cmocka_unit_test(hook_added_in_a_fork_waits_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
