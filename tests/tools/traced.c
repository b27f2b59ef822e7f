/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * usage: traced END FORK
 * A program to be recorded: threads that take and free messages in each way, buffers, registrations, refusals, and a signal handler
 * that allocates in between. It prints what it did, a line "NAME COUNT" for each operation of the trace, and ends by END: "return",
 * "exit" (_exit) or "kill" (SIGKILL). With FORK "fork" a child does the same before, with a manager of its own.
 */
#include <isthmus/isthmus.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)8 << 20)
#define THREADS 3
#define TURNS 3000
#define BULK 16u
#define MUST(what)                                                                                           \
	do {                                                                                                 \
		if (!(what)) {                                                                               \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                           \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static struct ist_manager *manager;
static _Atomic unsigned got, put, in_handler;

static void handler(int signal)
{
	struct ist_shm message;

	(void)signal;
	if (ist_driver_pool_alloc(ist_manager_driver_pool(manager), 40, &message) == 0 &&
	    ist_shm_free(&message) == 0)
		atomic_fetch_add_explicit(&in_handler, 1, memory_order_relaxed);
}

static void *work(void *context)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(manager);
	struct ist_shm kept[8] = {0};
	void *bulk[BULK];

	(void)context;
	for (unsigned i = 0; i < TURNS; i++) {
		struct ist_shm *message = &kept[i % 8], copy;

		if (message->view.vaddr) {
			copy = *message;
			MUST(ist_shm_free(message) == 0);
			MUST(ist_shm_free(&copy) != 0); /* a second free, which ends nothing */
		}
		MUST(ist_driver_pool_alloc(pool, 8 + i % 500, message) == 0);
		if (i % 100 == 0) {
			MUST(ist_driver_pool_alloc_bulk(pool, 64, BULK, bulk) == 0);
			MUST(ist_driver_pool_free_bulk(pool, bulk, BULK) == 0);
			pthread_kill(pthread_self(), SIGUSR1);
		}
	}
	for (unsigned i = 0; i < 8; i++)
		MUST(ist_shm_free(&kept[i]) == 0);
	atomic_fetch_add_explicit(&got, TURNS + TURNS / 100 * BULK, memory_order_relaxed);
	atomic_fetch_add_explicit(&put, TURNS + TURNS / 100 * BULK, memory_order_relaxed);
	return NULL;
}

static void use_buffers(void)
{
	struct ist_client_pool *pool = ist_manager_client_pool(manager);
	struct ist_client_request request = {.size = 5000, .owner = 9, .align = 8192}, much = {.size = SIZE};
	struct ist_shm buffers[3], none;

	MUST(ist_client_pool_alloc(pool, 10000, &buffers[0]) == 0);
	MUST(ist_client_pool_alloc_nozero(pool, 20000, &buffers[1]) == 0);
	MUST(ist_client_pool_alloc_request(pool, &request, &buffers[2]) == 0);
	MUST(ist_client_pool_alloc(pool, SIZE, &none) == -ENOSPC);
	MUST(ist_client_pool_alloc_request(pool, &much, &none) == -ENOSPC);
	MUST(ist_driver_pool_alloc(ist_manager_driver_pool(manager), SIZE, &none) == -ENOSPC);
	MUST(ist_shm_free(&buffers[0]) == 0);
	MUST(ist_shm_free(&buffers[1]) == 0);
	/* The third goes with its owner. */
}

static void use_registrations(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	struct ist_backing backing = {.fd = fd, .paddr = UINT64_C(1) << 32, .size = SIZE};
	struct ist_registration registration = {
	        .paddr = (UINT64_C(1) << 32) + 100, .size = 6000, .owner = 9, .cookie = 5};
	struct ist_owner_config owner = {.id = 9};
	struct ist_mapping mapping;

	MUST(fd >= 0 && ftruncate(fd, (off_t)SIZE) == 0);
	MUST(ist_owner_create(manager, &owner) == 0);
	MUST(ist_backing_add(manager, &backing) == 0);
	MUST(ist_mapping_register(manager, &registration, &mapping) == 0);
	MUST(ist_mapping_register(manager, &registration, &mapping) == -EEXIST);
	MUST(ist_mapping_unregister(manager, 9, 5, 0) == 0);
	registration.cookie = 6;
	MUST(ist_mapping_register(manager, &registration, &mapping) == 0);
	MUST(ist_mapping_unregister_one(manager, &mapping, 0) == 0);
	registration.cookie = 7;
	MUST(ist_mapping_register(manager, &registration, &mapping) == 0);
	MUST(ist_owner_destroy(manager, 9) == 0); /* and what is registered */
	close(fd);
}

static void use_all(void)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {
	        .vaddr = memory, .paddr = 0x42000000, .size = SIZE, .driver_pool_size = SIZE / 4};
	struct ist_shm left;
	pthread_t threads[THREADS];

	MUST(memory != MAP_FAILED && ist_manager_create(&config, &manager) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, work, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	use_buffers();
	use_registrations();
	MUST(ist_driver_pool_alloc(ist_manager_driver_pool(manager), 100, &left) == 0); /* never freed */
	printf("alloc_client 3\nfail_client 2\nfail_driver 1\nfail_register 1\nfree 3\nmsg_get %u\nmsg_put %u\nregister 3\nunregister 3\n",
	       got + in_handler + 1, put + in_handler);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	pid_t child;

	MUST(argc == 3);
	signal(SIGUSR1, handler);
	if (strcmp(argv[2], "fork") == 0) {
		child = fork();
		if (child == 0) {
			use_all();
			_exit(0);
		}
		MUST(waitpid(child, NULL, 0) == child);
	}
	use_all();
	if (strcmp(argv[1], "kill") == 0)
		raise(SIGKILL);
	if (strcmp(argv[1], "exit") == 0)
		_exit(3);
	return 3;
}
