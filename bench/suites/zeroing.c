/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Zeroed client memory in a memory file, beside the zeroing alone: memset, or the pages given back to the file and taken anew. */
#include <stdatomic.h>
#include <unistd.h>

#include "suites.h"

#define FILE_BYTES ((size_t)80 << 20)

/* The first allocation lies at the start of the client pool: all three work on the same pages. */
static struct {
	struct ist_client_pool *pool;
	char *memory;
} zeroed;

static size_t bytes_of(const struct gbench_state *state)
{
	size_t bytes = (size_t)gbench_argument(state) * IST_PAGE_SIZE;

	memset(zeroed.memory, 1,
	       bytes); /* after a hole was punched, nobody shall pay for the system's new pages */
	return bytes;
}

static void allocation(struct gbench_state *state, void *context)
{
	size_t bytes = bytes_of(state);
	struct ist_shm shm;

	(void)context;
	while (gbench_keep_running(state)) {
		if (ist_client_pool_alloc(zeroed.pool, bytes, &shm) || ist_shm_free(&shm))
			abort();
	}
}

static void by_memset(struct gbench_state *state, void *context)
{
	size_t bytes = bytes_of(state);

	(void)context;
	while (gbench_keep_running(state)) {
		memset(zeroed.memory, 0, bytes);
		atomic_signal_fence(memory_order_seq_cst); /* the next memset may not swallow this one */
	}
}

/* A touch of each new page: what a user of the buffer pays for. */
static void by_punching(struct gbench_state *state, void *context)
{
	size_t bytes = bytes_of(state);

	(void)context;
	while (gbench_keep_running(state)) {
		if (madvise(zeroed.memory, bytes, MADV_REMOVE))
			abort();
		for (size_t at = 0; at < bytes; at += IST_PAGE_SIZE)
			__atomic_store_n(&zeroed.memory[at], 0, __ATOMIC_RELAXED);
	}
}

static void add(const char *who, gbench_function *function)
{
	gbench_over(gbench_register(function, NULL, "client/zeroed/%s", who), "pages", 1, 4, 16, 64, 1024,
	            16384);
}

void suite_zeroing_register(void)
{
	struct ist_manager_config config = {.size = FILE_BYTES, .paddr = 1u << 30};
	struct ist_manager *manager;
	int fd = memfd_create("bench", MFD_CLOEXEC);

	must(fd < 0 || ftruncate(fd, (off_t)FILE_BYTES));
	config.vaddr = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(config.vaddr == MAP_FAILED);
	must(ist_manager_create(&config, &manager));
	zeroed.pool = ist_manager_client_pool(manager);
	zeroed.memory = (char *)config.vaddr + 4 * IST_PAGE_SIZE;
	add("isthmus", allocation);
	add("memset", by_memset);
	add("punch a hole, touch", by_punching);
}
