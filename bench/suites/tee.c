/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What a TEE driver asks of the memory it shares with OP-TEE, call by call; the world switch itself is left out. Messages
 * have the ABI's sizes: 32 bytes and 32 for each parameter, of which there are 4, and 2 more to open a session.
 *
 *  call       A message goes out with so many references to client buffers, the secure world finds the message and the
 *             buffers by their physical addresses, asks for one more message to call back with, and gives it back.
 *  calls      The same by several threads, each with buffers of its own.
 *  session    Open, ten calls with four references, close.
 *  buffer     A zeroed client buffer, a call with it, and its end.
 *  temporary  Memory of the client's own: a page list is written into shared memory and registered, a call finds it by
 *             its cookie, it is unregistered. A message for each of the three.
 *
 * Peers get messages only, and their secure world adds a constant instead of translating: general allocators; best fit over
 * lists behind a mutex; and slots for a message and its callback together behind a mutex, as Linux has them since 5.18.
 * The floor writes and reads one message that is always there; that of `buffer` clears the pages as well, and that of
 * `temporary` maps and unmaps them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peers/malloc_peers.h"
#include "peers/locked_list.h"
#include "suites.h"

#define RAM_PADDR (UINT64_C(1) << 40)
#define RAM_BYTES (UINT64_C(64) << 20)
#define OFFSET_TO_PADDR (UINT64_C(1) << 41) /* of peers */
#define LIST_LINKS 511u /* pages that one page of a list names */

enum {
	BATCH = 16,
	PARAMS = 4,
	PARAM_BYTES = 32,
	CALL_BYTES = 32 + PARAM_BYTES * PARAMS,
	OPEN_BYTES = CALL_BYTES + PARAM_BYTES * 2,
	REGISTER_BYTES = 32 + PARAM_BYTES,
	CLOSE_BYTES = 32,
	CALLS = 10,
	BUFFER_PAGES = 8,
	LIST_BYTES = 8 << 20,
	SLOTS = 640,
};

struct param {
	uint64_t attributes, paddr, size, cookie;
};

struct message {
	uint32_t command, function, session, cancel_id, result, origin, unused, param_count;
	struct param param[PARAMS + 2];
};

/* Who provides messages: a general allocator, or two functions. */
struct provider {
	const char *name;
	const struct malloc_peer *allocator;
	void *(*take)(size_t size);
	void (*give)(void *memory, size_t size);
	bool has_callback; /* what it gives has room for the callback as well: struct slot */
};

static struct ist_manager *manager;
static int ram;
static uint64_t cookies; /* of what threads register */

static void fill(struct message *message, uint32_t command, unsigned references, const uint64_t *paddrs,
                 size_t size)
{
	memset(message, 0, CLOSE_BYTES);
	message->command = command;
	message->param_count = PARAMS;
	for (unsigned i = 0; i < references; i++)
		message->param[i] = (struct param){2, paddrs[i], size, 0};
	for (unsigned i = references; i < PARAMS; i++)
		message->param[i] = (struct param){0};
}

/* --- isthmus -------------------------------------------------------------------------------------------------- */

static struct message *message_at(uint64_t paddr, size_t size)
{
	void *message;

	must(ist_phys_to_virt(manager, paddr, size, &message));
	return message;
}

/* The secure world's side of a call, with what it has in hand: a physical address. */
static void serve(uint64_t paddr)
{
	struct message *message = message_at(paddr, CALL_BYTES);
	struct ist_shm callback;

	for (unsigned i = 0; i < PARAMS; i++) {
		if (message->param[i].attributes)
			*(char *)message_at(message->param[i].paddr, message->param[i].size) = 1;
	}
	must(ist_driver_pool_alloc(ist_manager_driver_pool(manager), CALL_BYTES, &callback));
	fill(message_at(callback.view.paddr, CALL_BYTES), 2, 0, NULL, 0);
	must(ist_shm_free(&callback));
	message->result = 0;
}

static void call(unsigned references, const struct ist_shm *shm)
{
	uint64_t paddrs[PARAMS] = {0};
	struct ist_shm message;

	must(ist_driver_pool_alloc(ist_manager_driver_pool(manager), CALL_BYTES, &message));
	for (unsigned i = 0; i < references; i++)
		must(ist_virt_to_phys(manager, shm[i].view.vaddr, shm[i].view.size, &paddrs[i]));
	fill(message.view.vaddr, 1, references, paddrs, references ? shm->view.size : 0);
	serve(message.view.paddr);
	must(((struct message *)message.view.vaddr)->result != 0);
	must(ist_shm_free(&message));
}

/* Any other message: its secure side does nothing with it. */
static void tell(size_t size)
{
	struct ist_shm message;

	must(ist_driver_pool_alloc(ist_manager_driver_pool(manager), size, &message));
	memset(message.view.vaddr, 0, size);
	message_at(message.view.paddr, size)->result = 0;
	must(ist_shm_free(&message));
}

/* Each thread is a client with buffers of its own. */
static void take_buffers(struct ist_shm *buffers)
{
	for (unsigned i = 0; i < PARAMS; i++)
		must(ist_client_pool_alloc(ist_manager_client_pool(manager), BUFFER_PAGES * IST_PAGE_SIZE,
		                           &buffers[i]));
}

static void give_buffers(struct ist_shm *buffers)
{
	for (unsigned i = 0; i < PARAMS; i++)
		must(ist_shm_free(&buffers[i]));
}

static void call_ours(struct gbench_state *state, void *context)
{
	unsigned references = (unsigned)gbench_argument(state);
	struct ist_shm buffers[PARAMS];

	(void)context;
	pin_thread(gbench_thread_index(state));
	take_buffers(buffers);
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++)
			call(references, buffers);
	}
	give_buffers(buffers);
}

static void session_ours(struct gbench_state *state, void *context)
{
	struct ist_shm buffers[PARAMS];

	(void)context;
	take_buffers(buffers);
	while (gbench_keep_running(state)) {
		tell(OPEN_BYTES);
		for (int i = 0; i < CALLS; i++)
			call(PARAMS, buffers);
		tell(CLOSE_BYTES);
	}
	give_buffers(buffers);
}

static void buffer_ours(struct gbench_state *state, void *context)
{
	size_t size = (size_t)gbench_argument(state) * IST_PAGE_SIZE;
	struct ist_shm shm;

	(void)context;
	while (gbench_keep_running(state)) {
		must(ist_client_pool_alloc(ist_manager_client_pool(manager), size, &shm));
		call(1, &shm);
		must(ist_shm_free(&shm));
	}
}

/* A list of `pages` pages of RAM in pages of the client pool. */
static void write_list(const struct ist_shm *list, size_t pages)
{
	uint64_t *words = list->view.vaddr;

	for (size_t i = 0; i < pages; i++)
		words[i + i / LIST_LINKS] = RAM_PADDR + i * IST_PAGE_SIZE;
	for (size_t next = 1; next * LIST_LINKS < pages; next++)
		words[next * (LIST_LINKS + 1) - 1] = list->view.paddr + next * IST_PAGE_SIZE;
}

static void temporary_ours(struct gbench_state *state, void *context)
{
	size_t pages = (size_t)gbench_argument(state);
	size_t list_bytes = (pages + LIST_LINKS - 1) / LIST_LINKS * IST_PAGE_SIZE;
	uint64_t cookie = __atomic_add_fetch(&cookies, 1, __ATOMIC_RELAXED);
	struct ist_registration registration = {.size = pages * IST_PAGE_SIZE, .cookie = cookie};

	(void)context;
	while (gbench_keep_running(state)) {
		struct ist_mapping mapping;
		struct ist_shm list;

		must(ist_client_pool_alloc_nozero(ist_manager_client_pool(manager), list_bytes, &list));
		write_list(&list, pages);
		must(ist_mapping_register_list(manager, list.view.paddr, &registration, &mapping));
		tell(REGISTER_BYTES);
		must(ist_shm_free(&list));

		tell(CALL_BYTES);
		ist_read_enter();
		must(ist_mapping_find(manager, 0, cookie, &mapping));
		*(char *)mapping.vaddr = 1;
		ist_read_leave();

		tell(REGISTER_BYTES);
		must(ist_mapping_unregister(manager, 0, cookie, 0));
	}
}

/* --- peers and floors ----------------------------------------------------------------------------------------- */

static struct locked_list listed;

static void *list_take(size_t size)
{
	return locked_list_take(&listed, size);
}

static void list_give(void *memory, size_t size)
{
	locked_list_give(&listed, memory, size);
}

struct slot {
	struct message message;
	char callback[CALL_BYTES];
};

static struct {
	pthread_mutex_t mutex;
	uint64_t used[SLOTS / 64];
	struct slot slot[SLOTS];
} slots = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *slot_take(size_t size)
{
	struct slot *slot = NULL;

	(void)size;
	pthread_mutex_lock(&slots.mutex);
	for (unsigned word = 0; word < SLOTS / 64 && !slot; word++) {
		unsigned bit;

		if (slots.used[word] == UINT64_MAX)
			continue;
		bit = (unsigned)__builtin_ctzll(~slots.used[word]);
		slots.used[word] |= UINT64_C(1) << bit;
		slot = &slots.slot[word * 64 + bit];
	}
	pthread_mutex_unlock(&slots.mutex);
	return slot;
}

static void slot_give(void *memory, size_t size)
{
	unsigned number = (unsigned)((struct slot *)memory - slots.slot);

	(void)size;
	pthread_mutex_lock(&slots.mutex);
	slots.used[number / 64] &= ~(UINT64_C(1) << number % 64);
	pthread_mutex_unlock(&slots.mutex);
}

static _Thread_local struct message the_message; /* that is always there */

static void *floor_take(size_t size)
{
	(void)size;
	return &the_message;
}

static void floor_give(void *memory, size_t size)
{
	(void)memory, (void)size;
}

static const struct provider providers[] = {
        {.name = "floor", .take = floor_take, .give = floor_give},
        {.name = "mutex, best fit", .take = list_take, .give = list_give},
        {.name = "mutex, slots", .take = slot_take, .give = slot_give, .has_callback = true},
};
static struct provider allocators[MALLOC_PEERS];

static inline void *take(const struct provider *provider, size_t size)
{
	void *memory = provider->allocator ? provider->allocator->alloc(size) : provider->take(size);

	must(!memory);
	return memory;
}

static inline void give(const struct provider *provider, void *memory, size_t size)
{
	if (provider->allocator)
		provider->allocator->free(memory);
	else
		provider->give(memory, size);
}

/* As call(), with messages of the provider's. */
static void call_by(const struct provider *provider, unsigned references)
{
	static _Thread_local char buffer[PARAMS];
	struct message *message = take(provider, CALL_BYTES), *callback;
	uint64_t paddrs[PARAMS] = {0};

	for (unsigned i = 0; i < references; i++)
		paddrs[i] = (uint64_t)(uintptr_t)&buffer[i] + OFFSET_TO_PADDR;
	fill(message, 1, references, paddrs, 1);
	for (unsigned i = 0; i < references; i++)
		*(char *)(uintptr_t)(message->param[i].paddr - OFFSET_TO_PADDR) = 1;
	if (provider->has_callback) {
		fill((struct message *)(void *)((struct slot *)(void *)message)->callback, 2, 0, NULL, 0);
	} else {
		callback = take(provider, CALL_BYTES);
		fill(callback, 2, 0, NULL, 0);
		give(provider, callback, CALL_BYTES);
	}
	message->result = 0;
	give(provider, message, CALL_BYTES);
}

static void call_peer(struct gbench_state *state, void *context)
{
	unsigned references = (unsigned)gbench_argument(state);

	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++)
			call_by(context, references);
	}
}

static void buffer_floor(struct gbench_state *state, void *context)
{
	size_t size = (size_t)gbench_argument(state) * IST_PAGE_SIZE;
	struct ist_shm shm;

	(void)context;
	must(ist_client_pool_alloc(ist_manager_client_pool(manager), size, &shm));
	while (gbench_keep_running(state)) {
		memset(shm.view.vaddr, 0, size);
		__asm__ volatile("" : : "r"(shm.view.vaddr) : "memory");
		call_by(&providers[0], 1);
	}
	must(ist_shm_free(&shm));
}

static void temporary_floor(struct gbench_state *state, void *context)
{
	size_t size = (size_t)gbench_argument(state) * IST_PAGE_SIZE;

	(void)context;
	while (gbench_keep_running(state)) {
		void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);

		must(at == MAP_FAILED);
		*(char *)at = 1;
		munmap(at, size);
	}
}

/* --- registration --------------------------------------------------------------------------------------------- */

static void add_calls(const char *who, gbench_function *function, void *context)
{
	struct gbench *b;

	b = gbench_register(function, context, "tee/call/%s", who);
	gbench_over(b, "references", 0, 1, PARAMS);
	b = gbench_register(function, context, "tee/calls/%s", who);
	gbench_over(b, "references", PARAMS);
	suites_thread_counts(b);
	gbench_use_real_time(b);
}

static void add_sizes(const char *name, gbench_function *function)
{
	struct gbench *b = gbench_register(function, NULL, "%s", name);

	gbench_over(b, "pages", 1, BUFFER_PAGES, 256);
}

static void make_memory(void)
{
	struct ist_backing backing = {.paddr = RAM_PADDR, .size = RAM_BYTES};

	manager = suites_manager(64 << 10, 16 << 20);
	ram = memfd_create("client", MFD_CLOEXEC);
	must(ram < 0 || ftruncate(ram, (off_t)RAM_BYTES));
	backing.fd = ram;
	must(ist_backing_add(manager, &backing));
	must(!locked_list_init(&listed, LIST_BYTES));
}

/* suite_driver.c has loaded the general allocators. */
void suite_tee_register(void)
{
	make_memory();
	add_calls("isthmus", call_ours, NULL);
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		add_calls(providers[i].name, call_peer, (void *)(uintptr_t)&providers[i]);
	for (int i = 0; i < MALLOC_PEERS; i++) {
		allocators[i] =
		        (struct provider){.name = malloc_peers[i].name, .allocator = &malloc_peers[i]};
		if (malloc_peers[i].alloc)
			add_calls(allocators[i].name, call_peer, &allocators[i]);
	}
	gbench_register(session_ours, NULL, "tee/session/isthmus");
	add_sizes("tee/buffer/isthmus", buffer_ours);
	add_sizes("tee/buffer/floor", buffer_floor);
	add_sizes("tee/temporary/isthmus", temporary_ours);
	add_sizes("tee/temporary/floor", temporary_floor);
}
