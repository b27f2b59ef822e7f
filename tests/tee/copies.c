/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A client of /dev/teeN that has isthmus itself, so that the process has the library twice, and liburcu once. It forks: parent and
 * child go on with both.
 * usage: copies (local|server) (full|pool)
 */
#include <isthmus/isthmus.h>

#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 20, SIZE = 1 << 20 };

static _Atomic int stop;

static struct ist_manager *new_manager(void *memory, const char *map)
{
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x40000000, .size = SIZE};
	struct ist_backing backing = {.paddr = 0x80000000, .size = SIZE, .vaddr = (void *)(uintptr_t)map};
	struct ist_manager *manager = NULL;

	CHECK(ist_manager_create(&config, &manager) == 0);
	CHECK(ist_backing_add(manager, &backing) == 0);
	return manager;
}

/* Read sections, grace periods and the device, as they are used all the time. */
static void use(struct ist_manager *manager, uint64_t cookie)
{
	struct ist_registration registration = {.paddr = 0x80000000, .size = 4096, .cookie = cookie};
	struct ist_mapping mapping;
	void *vaddr;
	int tee = open("/dev/tee0", O_RDWR);

	CHECK(tee >= 0 && close(tee) == 0);
	CHECK(ist_mapping_register(manager, &registration, &mapping) == 0);
	ist_read_enter();
	CHECK(ist_phys_to_virt(manager, 0x80000000, 1, &vaddr) == 0);
	ist_read_leave();
	CHECK(ist_mapping_unregister(manager, 0, cookie, 0) == 0);
	CHECK(ist_mapping_drain(manager) == 0);
}

static void *use_meanwhile(void *manager)
{
	for (uint64_t cookie = 1; !atomic_load_explicit(&stop, memory_order_relaxed); cookie++)
		use(manager, 2 * cookie);
	return NULL;
}

static bool is_same_mask(const sigset_t *a, const sigset_t *b)
{
	for (int signal = 1; signal < NSIG; signal++)
		if (sigismember(a, signal) != sigismember(b, signal))
			return false;
	return true;
}

int main(void)
{
	char *memory = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager *manager;
	sigset_t before, after;
	pthread_t thread;

	alarm(60); /* it hung here once */
	CHECK(memory != MAP_FAILED);
	manager = new_manager(memory, memory + SIZE);
	use(manager, 1);
	CHECK(pthread_create(&thread, NULL, use_meanwhile, manager) == 0);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	for (int i = 0; i < FORKS; i++) {
		pid_t child = fork();
		int status = -1;

		CHECK(child >= 0);
		if (child == 0) {
			alarm(20);
			use(manager, 1);
			_exit(faults ? 1 : 0);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		use(manager, 1);
		pthread_sigmask(SIG_SETMASK, NULL, &after);
		CHECK(is_same_mask(&before, &after));
	}
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	pthread_join(thread, NULL);
	CHECK(ist_backing_remove(manager, 0x80000000) == 0);
	CHECK(ist_manager_destroy(manager) == 0);
	return faults ? 1 : 0;
}
