/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "platform/fork.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Held from before a fork until after it, so that no hook is added in the middle of one. */
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const struct fork_hook *) fork_hooks[FORK_TURNS];
static bool is_installed; /* under the lock */

/* Null: there is none. Acquire: who sees it sees all that was done before it was added. */
static const struct fork_hook *hook_at(unsigned turn)
{
	return atomic_load_explicit(&fork_hooks[turn], memory_order_acquire);
}

static void run_before_fork(void)
{
	pthread_mutex_lock(&fork_lock);
	for (unsigned turn = 0; turn < FORK_TURNS; turn++)
		if (hook_at(turn))
			hook_at(turn)->before();
}

static void run_in_parent(void)
{
	for (unsigned turn = FORK_TURNS; turn-- > 0;)
		if (hook_at(turn))
			hook_at(turn)->in_parent();
	pthread_mutex_unlock(&fork_lock);
}

static void run_in_child(void)
{
	for (unsigned turn = FORK_TURNS; turn-- > 0;)
		if (hook_at(turn))
			hook_at(turn)->in_child();
	pthread_mutex_unlock(&fork_lock);
}

int fork_hook_add(enum fork_turn turn, const struct fork_hook *hook)
{
	if (hook_at(turn))
		return 0;
	pthread_mutex_lock(&fork_lock);
	if (!is_installed)
		is_installed = pthread_atfork(run_before_fork, run_in_parent, run_in_child) == 0;
	if (is_installed)
		atomic_store_explicit(&fork_hooks[turn], hook, memory_order_release);
	pthread_mutex_unlock(&fork_lock);
	return hook_at(turn) ? 0 : -ENOMEM;
}

/*
 * Several copies of this library in a process know nothing of each other's variables. What they share is the thread that forks, and
 * its signal mask: the claim is a signal that the C library keeps for itself (to cancel threads) and lets no program block,
 * blocked by the system call itself. A thread that is cancelled meanwhile is so after its fork.
 */
#define CLAIM (UINT64_C(1) << 31) /* signal 32 */

/* Returns the mask as it was. signals null: nothing changes. */
static uint64_t change_mask(int how, const uint64_t *signals)
{
	uint64_t before = 0;

	syscall(SYS_rt_sigprocmask, how, signals, &before, sizeof(before));
	return before;
}

bool fork_is_claimed(void)
{
	return (change_mask(SIG_BLOCK, NULL) & CLAIM) != 0;
}

void fork_claim(void)
{
	change_mask(SIG_BLOCK, &(uint64_t){CLAIM});
}

void fork_unclaim(void)
{
	change_mask(SIG_UNBLOCK, &(uint64_t){CLAIM});
}
