/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The reclaimer and fork: what is queued is released once, in the parent and in the child. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tsan.h"
#include "rcu/rcu.h"
#include "support/support.h"

#define ITEMS 8

struct counted {
	struct rcu_item item;
	_Atomic int begun, ended;
};

static struct counted items[ITEMS];

/* Slow enough to be forked in. */
static void release_slowly(struct rcu_item *item)
{
	struct counted *counted = (struct counted *)(void *)item;

	atomic_fetch_add(&counted->begun, 1);
	usleep(2000);
	atomic_fetch_add(&counted->ended, 1);
}

static void defer_all(void)
{
	memset(items, 0, sizeof(items));
	for (int i = 0; i < ITEMS; i++) {
		items[i].item.release = release_slowly;
		rcu_defer(&items[i].item);
	}
}

static bool all_were_released_once(void)
{
	for (int i = 0; i < ITEMS; i++)
		if (atomic_load(&items[i].begun) != 1 || atomic_load(&items[i].ended) != 1)
			return false;
	return true;
}

static bool all_come_to_be_released_once(void)
{
	rcu_kick();
	for (int tries = 0; tries < 10000 && !all_were_released_once(); tries++)
		usleep(1000);
	usleep(5000); /* and not again */
	return all_were_released_once();
}

static void fork_between_releases(void **state)
{
	(void)state;
	assert_int_equal(rcu_start(), 0);
#ifdef TSAN_BUILD
	skip(); /* its runtime ends a child that starts a thread */
#endif
	for (int begun = 0; begun < ITEMS; begun++) {
		int status;
		pid_t child;

		defer_all();
		while (atomic_load(&items[begun].begun) == 0)
			usleep(100);
		child = fork();
		if (child == 0)
			_exit(all_come_to_be_released_once() ? 0 : 1);
		assert_true(all_come_to_be_released_once());
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fork_between_releases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
