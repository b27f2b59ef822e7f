/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Signal handlers and children: doc/guides/signals-and-forks.md. */
#include <isthmus/isthmus.h>

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define BYTES ((size_t)1 << 20)

/* [handler] */
static struct ist_driver_pool *pool;
static volatile sig_atomic_t handled;

/* Messages may be taken and given back in a handler, whatever it has interrupted, an allocation of the same pool included. */
static void on_signal(int signal)
{
	struct ist_shm message;

	(void)signal;
	if (ist_driver_pool_alloc(pool, 64, &message) == 0) {
		*(int *)message.view.vaddr = 1;
		ist_shm_free(&message);
		handled = handled + 1;
	}
}
/* [end] */

/* [child] */
/* A child has its parent's memory and no part in its bookkeeping: every call is answered with -ECHILD, and changes nothing. */
static int in_child(struct ist_shm *of_parent, void *memory)
{
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x50000000, .size = BYTES};
	struct ist_manager *own;
	struct ist_shm message;

	if (ist_driver_pool_alloc(pool, 64, &message) != -ECHILD || ist_shm_free(of_parent) != -ECHILD)
		return 1;
	/* One of its own, over memory of its own. */
	if (ist_manager_create(&config, &own))
		return 2;
	return ist_manager_destroy(own) ? 3 : 0;
}
/* [end] */

int main(void)
{
	char *memory = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x42000000, .size = BYTES};
	struct ist_manager *manager;
	struct ist_shm message;
	int status;
	pid_t child;

	must(memory != MAP_FAILED && ist_manager_create(&config, &manager) == 0);
	pool = ist_manager_driver_pool(manager);
	must(signal(SIGUSR1, on_signal) != SIG_ERR);
	must(ist_driver_pool_alloc(pool, 64, &message) == 0);
	raise(SIGUSR1);
	must(handled == 1);
	child = fork();
	must(child >= 0);
	if (child == 0)
		_exit(in_child(&message, memory + BYTES));
	must(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	must(ist_shm_free(&message) == 0); /* the child has changed nothing */
	must(ist_manager_destroy(manager) == 0);
	printf("a handler and a child\n");
	return 0;
}
