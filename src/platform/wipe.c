/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a forked child must not see. The hook runs in the child before fork returns there, when it has one thread. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/fork.h"
#include "platform/platform.h"

static struct platform_wiped *all;
static pthread_mutex_t wipe_lock = PTHREAD_MUTEX_INITIALIZER;

#ifdef ISTHMUS_TEST_HOOKS
static bool kernel_wipes = true;

void platform_pretend_no_wipe(void)
{
	kernel_wipes = false;
}
#else
enum { kernel_wipes = true };
#endif

static void lock_all(void)
{
	pthread_mutex_lock(&wipe_lock);
}

static void unlock_all(void)
{
	pthread_mutex_unlock(&wipe_lock);
}

/* Relaxed: there is nobody else. What the kernel has wiped is not touched. */
static void wipe_all(void)
{
	for (struct platform_wiped *wiped = all; wiped; wiped = wiped->next) {
		if (atomic_load_explicit(wiped->mark, memory_order_relaxed))
			memset(wiped->memory, 0, wiped->bytes);
	}
	unlock_all();
}

int platform_wipe_start(void)
{
	static const struct fork_hook hook = {lock_all, unlock_all, wipe_all};

	return fork_hook_add(FORK_WIPES, &hook);
}

int platform_wipe_on_fork(struct platform_wiped *wiped, void *memory, size_t bytes,
                          const _Atomic uint32_t *mark)
{
	size_t page = platform_page_size();
	int error = platform_wipe_start();

	if (error)
		return error;
	*wiped = (struct platform_wiped){.memory = memory, .bytes = bytes, .mark = mark};
	if (kernel_wipes)
		madvise(memory, (bytes + page - 1) / page * page, MADV_WIPEONFORK);
	lock_all();
	wiped->next = all;
	wiped->link = &all;
	if (all)
		all->link = &wiped->next;
	all = wiped;
	unlock_all();
	return 0;
}

void platform_wipe_end(struct platform_wiped *wiped)
{
	lock_all();
	*wiped->link = wiped->next;
	if (wiped->next)
		wiped->next->link = wiped->link;
	unlock_all();
}
