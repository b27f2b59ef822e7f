/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The process that test_kill_everywhere.c steps: the operations, the others' work, and what is counted. */
#include "kill_process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

struct shared *shared;
const struct series *series;
char *carve_out;
int orders[2], done[2];

static struct ist_manager *manager;
static struct ist_driver_pool *driver;
static struct ist_client_pool *client;
static struct ist_shm handle, theirs;
static struct ist_mapping mapping, other;
static void *message[MESSAGES];
static void *piece[DRIVER / GRANULE];
static struct ist_shm page[PAGES];

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition) && !shared->wrong)                                                          \
			shared->wrong = __LINE__;                                                            \
	} while (0)

static int client_alloc(size_t size, struct ist_shm *out)
{
	const struct ist_client_request request = {.size = size, .owner = OWNER, .flags = IST_CLIENT_NOZERO};

	return ist_client_pool_alloc_request(client, &request, out);
}

/* The operations, and what there is before. */

static void nothing(void)
{
}

static void some_client_memory(void)
{
	for (int i = 0; i < 4; i++) {
		MUST(client_alloc(series->size, &handle) == 0);
		MUST(ist_shm_free(&handle) == 0);
	}
}

static void a_client_buffer(void)
{
	some_client_memory();
	MUST(client_alloc(series->size, &handle) == 0);
}

static void some_messages(void)
{
	for (int i = 0; i < 4; i++) {
		MUST(ist_driver_pool_alloc(driver, series->size, &handle) == 0);
		MUST(ist_shm_free(&handle) == 0);
	}
}

static void a_message(void)
{
	some_messages();
	MUST(ist_driver_pool_alloc(driver, series->size, &handle) == 0);
}

static void some_bulks(void)
{
	for (int i = 0; i < 4; i++) {
		MUST(ist_driver_pool_alloc_bulk(driver, series->size, series->count, message) == 0);
		MUST(ist_driver_pool_free_bulk(driver, message, series->count) == 0);
	}
}

static void a_bulk(void)
{
	some_bulks();
	MUST(ist_driver_pool_alloc_bulk(driver, series->size, series->count, message) == 0);
}

static void a_reference(void)
{
	MUST(ist_mapping_get(manager, &mapping) == 0);
}

static void the_last_reference(void)
{
	a_reference();
	MUST(ist_owner_destroy(manager, OWNER) == -EBUSY);
}

static int alloc_client(void)
{
	return client_alloc(series->size, &handle);
}

static int alloc_message(void)
{
	return ist_driver_pool_alloc(driver, series->size, &handle);
}

static int free_handle(void)
{
	return ist_shm_free(&handle);
}

static int alloc_bulk(void)
{
	return ist_driver_pool_alloc_bulk(driver, series->size, series->count, message);
}

static int free_bulk(void)
{
	return ist_driver_pool_free_bulk(driver, message, series->count);
}

static int look_up(void)
{
	void *found;
	int error;

	ist_read_enter();
	error = ist_phys_to_virt(manager, GUEST_PADDR + IST_PAGE_SIZE, 8, &found);
	ist_read_leave();
	return error;
}

static int find_and_get(void)
{
	struct ist_mapping found;

	return ist_mapping_find_get(manager, OWNER, 1, &found);
}

static int get(void)
{
	return ist_mapping_get(manager, &mapping);
}

static int put(void)
{
	return ist_mapping_put(manager, &mapping);
}

const struct series all_series[] = {
        {"client, allocate", some_client_memory, alloc_client, 3000, 1, false},
        {"client, the first", nothing, alloc_client, 3000, 1, false},
        {"client, free", a_client_buffer, free_handle, 3000, 1, false},
        {"client, allocate 20 pages", some_client_memory, alloc_client, 20 * IST_PAGE_SIZE, 1, false},
        {"client, free 20 pages", a_client_buffer, free_handle, 20 * IST_PAGE_SIZE, 1, false},
        {"message, allocate", some_messages, alloc_message, 100, 1, false},
        {"message, the first", nothing, alloc_message, 100, 1, false},
        {"message, free", a_message, free_handle, 100, 1, false},
        {"bulk of 1, allocate", some_bulks, alloc_bulk, 100, 1, false},
        {"bulk of 1, free", a_bulk, free_bulk, 100, 1, false},
        {"bulk of 32, allocate", some_bulks, alloc_bulk, 100, MESSAGES, false},
        {"bulk of 32, free", a_bulk, free_bulk, 100, MESSAGES, false},
        {"look-up", nothing, look_up, 0, 0, false},
        {"get", nothing, get, 0, 0, false},
        {"find and get", nothing, find_and_get, 0, 0, false},
        {"put", a_reference, put, 0, 0, false},
        {"the last put", the_last_reference, put, 0, 0, true},
};

const size_t all_series_count = sizeof(all_series) / sizeof(all_series[0]);

bool keeps_reference(const struct series *of)
{
	return of->operate == get || of->operate == find_and_get || of->operate == put;
}

static void make_mappings(void)
{
	const struct ist_owner_config owner = {.id = OWNER};
	struct ist_backing backing = {.paddr = GUEST_PADDR, .size = RAM};
	struct ist_registration r = {
	        .paddr = GUEST_PADDR, .size = 4 * IST_PAGE_SIZE, .owner = OWNER, .cookie = 1};

	backing.fd = memfd_create("guest", MFD_CLOEXEC);
	MUST(backing.fd >= 0 && ftruncate(backing.fd, RAM) == 0);
	MUST(ist_backing_add(manager, &backing) == 0);
	MUST(ist_owner_create(manager, &owner) == 0);
	MUST(ist_mapping_register(manager, &r, &mapping) == 0);
	r = (struct ist_registration){
	        .paddr = GUEST_PADDR + 8 * IST_PAGE_SIZE, .size = IST_PAGE_SIZE, .cookie = 2};
	MUST(ist_mapping_register(manager, &r, &other) == 0);
}

static void make_manager(void)
{
	struct ist_manager_config config = {
	        .vaddr = carve_out, .paddr = PADDR, .size = CARVE_OUT, .driver_pool_size = DRIVER};

	MUST(ist_manager_create(&config, &manager) == 0);
	driver = ist_manager_driver_pool(manager);
	client = ist_manager_client_pool(manager);
	if (series->size == 0)
		make_mappings();
	MUST(ist_driver_pool_alloc(driver, 40, &theirs) == 0);
}

bool try_manager(void)
{
	series = all_series;
	make_manager();
	return ist_shm_free(&theirs) == 0 && ist_manager_destroy(manager) == 0 && !shared->wrong;
}

/* Between two stops of its own lies the operation. */
static void *victim(void *unused)
{
	(void)unused;
	ist_read_enter(); /* a thread's first section takes a lock */
	ist_read_leave();
	atomic_store_explicit(&shared->thread, (int)gettid(), memory_order_relaxed);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(77);
	raise(SIGSTOP);
	shared->result = series->operate();
	atomic_store_explicit(&shared->has_run, 1, memory_order_release);
	raise(SIGSTOP);
	return NULL;
}

_Noreturn void leave(void)
{
	for (;;)
		syscall(SYS_exit, 0);
}

static void work_with_mappings(void)
{
	const struct ist_registration r = {
	        .paddr = GUEST_PADDR + 9 * IST_PAGE_SIZE, .size = IST_PAGE_SIZE, .cookie = 3};
	struct ist_mapping mine;
	void *found;

	ist_read_enter();
	MUST(ist_phys_to_virt(manager, GUEST_PADDR + 8 * IST_PAGE_SIZE, 8, &found) == 0);
	MUST(ist_mapping_find_get(manager, 0, 2, &mine) == 0);
	ist_read_leave();
	MUST(ist_mapping_get(manager, &mine) == 0);
	MUST(ist_mapping_put(manager, &mine) == 0 && ist_mapping_put(manager, &mine) == 0);
	if (series->takes_lock)
		return;
	MUST(ist_mapping_register(manager, &r, &mine) == 0);
	MUST(ist_mapping_find(manager, 0, 3, &mine) == 0);
	MUST(ist_mapping_unregister(manager, 0, 3, 0) == 0);
}

/* All kinds of operations, each of which must succeed. */
static void work(void)
{
	static const size_t sizes[] = {8, 100, 1, 5000, 100};
	struct ist_shm one[5], small, large;
	void *bulk[MESSAGES], *found;

	for (int i = 0; i < 5; i++)
		MUST(ist_driver_pool_alloc(driver, sizes[i], &one[i]) == 0);
	MUST(ist_driver_pool_alloc_bulk(driver, 100, MESSAGES, bulk) == 0);
	MUST(client_alloc(3000, &small) == 0 && client_alloc(20 * IST_PAGE_SIZE, &large) == 0);
	MUST(ist_phys_to_virt(manager, small.view.paddr, 3000, &found) == 0 && found == small.view.vaddr);
	MUST(ist_driver_pool_free_bulk(driver, bulk, MESSAGES) == 0);
	MUST(ist_driver_pool_alloc_bulk(driver, 60, 1, bulk) == 0);
	MUST(ist_driver_pool_free_bulk(driver, bulk, 1) == 0);
	for (int i = 0; i < 5; i++)
		MUST(ist_shm_free(&one[i]) == 0);
	MUST(ist_shm_free(&small) == 0 && ist_shm_free(&large) == 0);
	if (series->size == 0)
		work_with_mappings();
}

/* Everything, in the smallest pieces, each at a place of its own. */
static struct room count_room(void)
{
	static unsigned char has[DRIVER / GRANULE], has_page[PAGES];
	struct room room = {0, 0};

	memset(has, 0, sizeof(has));
	memset(has_page, 0, sizeof(has_page));
	while (room.messages + MESSAGES <= DRIVER / GRANULE &&
	       ist_driver_pool_alloc_bulk(driver, GRANULE, MESSAGES, piece + room.messages) == 0)
		room.messages += MESSAGES;
	while (room.messages < DRIVER / GRANULE &&
	       ist_driver_pool_alloc_bulk(driver, GRANULE, 1, piece + room.messages) == 0)
		room.messages++;
	while (room.pages < PAGES && client_alloc(1, &page[room.pages]) == 0)
		room.pages++;
	for (size_t i = 0; i < room.messages; i++)
		MUST(has[((char *)piece[i] - carve_out) / GRANULE]++ == 0);
	for (size_t i = 0; i < room.pages; i++)
		MUST(has_page[((char *)page[i].view.vaddr - carve_out) / IST_PAGE_SIZE]++ == 0);
	for (size_t i = 0; i < room.pages; i++)
		MUST(ist_shm_free(&page[i]) == 0);
	MUST(room.messages == 0 || ist_driver_pool_free_bulk(driver, piece, (unsigned)room.messages) == 0);
	return room;
}

/* What the operation is about, as the free space shows it: of both states of it, the one with less. */
static void measure_own(void)
{
	struct room before, after;

	series->prepare();
	before = count_room();
	MUST(series->operate() == 0);
	after = count_room();
	shared->room.messages = before.messages < after.messages ? before.messages : after.messages;
	shared->room.pages = before.pages < after.pages ? before.pages : after.pages;
}

static void end_all(void)
{
	MUST(ist_shm_free(&theirs) == 0);
	if (series->takes_lock)
		return;
	if (series->size == 0)
		MUST(ist_mapping_unregister_one(manager, &other, 0) == 0);
	shared->owner_end = ist_owner_destroy(manager, OWNER);
	shared->room = count_room();
	if (series->size != 0) /* with mappings it waits for readers */
		shared->manager_end = ist_manager_destroy(manager);
}

_Noreturn void obey(void)
{
	pthread_t thread;
	char order;

	make_manager();
	while (read(orders[0], &order, 1) == 1) {
		if (order == PREPARE)
			series->prepare();
		else if (order == STEP)
			MUST(pthread_create(&thread, NULL, victim, NULL) == 0);
		else if (order == WORK)
			work();
		else if (order == COUNT)
			shared->room = count_room();
		else if (order == OWN)
			measure_own();
		else
			end_all();
		if (write(done[1], &order, 1) != 1)
			break;
	}
	_exit(1);
}
