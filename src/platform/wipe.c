/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a forked child must not see. The hook runs in the child before fork returns there, when it has one thread. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/platform.h"

static struct platform_wiped *all;
static pthread_mutex_t wipe_lock = PTHREAD_MUTEX_INITIALIZER;
static bool kernel_wipes = true;

void platform_pretend_no_wipe(void)
{
	kernel_wipes = false;
}

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

static void install_wipe(void)
{
	pthread_atfork(lock_all, unlock_all, wipe_all);
}

void platform_wipe_start(void)
{
	static pthread_once_t hook_once = PTHREAD_ONCE_INIT;

	pthread_once(&hook_once, install_wipe);
}

void platform_wipe_on_fork(struct platform_wiped *wiped, void *memory, size_t bytes,
                           const _Atomic uint32_t *mark)
{
	size_t page = platform_page_size();

	*wiped = (struct platform_wiped){.memory = memory, .bytes = bytes, .mark = mark};
	if (kernel_wipes)
		madvise(memory, (bytes + page - 1) / page * page, MADV_WIPEONFORK);
	platform_wipe_start();
	lock_all();
	wiped->next = all;
	wiped->link = &all;
	if (all)
		all->link = &wiped->next;
	all = wiped;
	unlock_all();
}

void platform_wipe_end(struct platform_wiped *wiped)
{
	lock_all();
	*wiped->link = wiped->next;
	if (wiped->next)
		wiped->next->link = wiped->link;
	unlock_all();
}
