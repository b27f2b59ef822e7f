/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/platform.h"

static _Atomic uint32_t *known; /* in a page that a forked child finds zeroed; null: there is none */
static pthread_once_t known_once = PTHREAD_ONCE_INIT;

static void known_make(void)
{
	static struct platform_wiped wiped;
	size_t bytes = platform_page_size();
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (platform_wipe_on_fork(&wiped, page, bytes, page))
		munmap(page, bytes);
	else
		known = page;
}

int platform_pid(void)
{
	uint32_t pid;

	pthread_once(&known_once, known_make);
	if (!known)
		return (int)getpid();
	/* Relaxed: whoever asks the system first, the answer is the same. */
	pid = atomic_load_explicit(known, memory_order_relaxed);
	if (pid)
		return (int)pid;
	pid = (uint32_t)getpid();
	atomic_store_explicit(known, pid, memory_order_relaxed);
	return (int)pid;
}
