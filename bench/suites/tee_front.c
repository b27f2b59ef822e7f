/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The TEE front: the Client API in process, calls beside the registrations they need, ids beside addresses; and (with --device, in
 * a program with the preloaded library) shared memory through it beside a memory file.
 */
#include <isthmus/tee_client.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "suites.h"
#include "tee_floor.h"

enum { REFS = 4, SIZE = 1024, NOTHING = 2, MANY = 1000, PAUSE_NS = 300000, DEVICE_BYTES = 4096 };

static TEEC_Context client;
static TEEC_Session session;
static char buffer[REFS][2 * SIZE];
static struct ist_tee_shm *many[MANY];
static uint64_t paddr[MANY];

/* --- the Client API, in process ------------------------------------------------------------------------------------ */

static void allocate(struct gbench_state *state, void *context)
{
	(void)context;
	while (gbench_keep_running(state)) {
		TEEC_SharedMemory shm = {.size = SIZE, .flags = TEEC_MEM_INPUT};

		must(TEEC_AllocateSharedMemory(&client, &shm) != 0);
		TEEC_ReleaseSharedMemory(&shm);
	}
}

static void register_four(struct gbench_state *state, void *context)
{
	(void)context;
	while (gbench_keep_running(state)) {
		struct ist_tee_shm *shm[REFS];

		for (int k = 0; k < REFS; k++)
			must(ist_tee_shm_register(client.imp, buffer[k] + 100, SIZE, &shm[k]));
		for (int k = 0; k < REFS; k++)
			ist_tee_shm_put(shm[k]);
	}
}

static void invoke_four(struct gbench_state *state, void *context)
{
	TEEC_Operation op = {.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT,
	                                                    TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT)};

	(void)context;
	while (gbench_keep_running(state)) {
		for (int k = 0; k < REFS; k++)
			op.params[k].tmpref = (TEEC_TempMemoryReference){buffer[k] + 100, SIZE};
		must(TEEC_InvokeCommand(&session, NOTHING, &op, NULL) != 0);
	}
}

static void look_up_ids(struct gbench_state *state, void *context)
{
	unsigned i = 0;

	(void)context;
	while (gbench_keep_running(state)) {
		struct ist_tee_shm *shm;

		must(ist_tee_shm_find(client.imp, ist_tee_shm_id(many[i++ * 7 % MANY]), &shm));
		ist_tee_shm_put(shm);
	}
}

/* A dynamic address, in a read section, as one looks up what will be used. */
static void look_up_addresses(struct gbench_state *state, void *context)
{
	struct ist_manager *manager = ist_tee_device_manager(ist_tee_context_device(client.imp));
	unsigned i = 0;

	(void)context;
	while (gbench_keep_running(state)) {
		void *vaddr;

		ist_read_enter();
		must(ist_phys_to_virt(manager, paddr[i++ * 7 % MANY], 64, &vaddr));
		ist_read_leave();
	}
}

static void begin(void)
{
	static const TEEC_UUID uuid = {1, 2, 3, {4}};

	must(TEEC_InitializeContext(NULL, &client) != 0);
	must(TEEC_OpenSession(&client, &session, &uuid, 0, NULL, NULL, NULL) != 0);
	for (int i = 0; i < MANY; i++) {
		must(ist_tee_shm_register(client.imp, buffer[i % REFS] + i, SIZE, &many[i]));
		must(ist_tee_shm_get_pa(many[i], 0, &paddr[i]));
	}
}

/* --- /dev/tee0 beside a memory file ---------------------------------------------------------------------------------- */

static int device_fd;

static void one_of_device(void)
{
	struct ist_tee_ioc_alloc data = {.size = DEVICE_BYTES};
	int fd = ioctl(device_fd, IST_TEE_IOC_SHM_ALLOC, &data);
	void *at = mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(fd < 0 || at == MAP_FAILED);
	munmap(at, DEVICE_BYTES);
	close(fd);
}

static void one_of_memfd(void)
{
	int fd = memfd_create("bench", 0);
	void *at;

	must(ftruncate(fd, DEVICE_BYTES));
	at = mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(at == MAP_FAILED);
	munmap(at, DEVICE_BYTES);
	close(fd);
}

static void one_round_trip(void)
{
	int fd = tee_floor_ask();

	must(fd < 0);
	close(fd);
}

static const struct way {
	const char *who;
	void (*once)(void);
	bool apart; /* also each a while after the one before */
} ways[] = {
        {"isthmus", one_of_device, true},
        {"memory file", one_of_memfd, true},
        {"floor of a server, a round trip", one_round_trip, false},
};

static void in_a_row(struct gbench_state *state, void *context)
{
	const struct way *way = context;

	while (gbench_keep_running(state))
		way->once();
}

/* Each a while after the one before, as by who does something with it; the time between is not counted. */
static void apart(struct gbench_state *state, void *context)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const struct way *way = context;

	while (gbench_keep_running(state)) {
		double start;

		nanosleep(&pause, NULL);
		start = clock_seconds();
		way->once();
		gbench_set_iteration_seconds(state, clock_seconds() - start);
	}
}

/*
 * Nothing else may be measured in this program: the preloaded library has an isthmus of its own, and of two that are in use in a
 * process, neither can be forked (both would take liburcu's lock), which a server's floor must be.
 */
void suite_tee_device_register(void)
{
	device_fd = open("/dev/tee0", O_RDWR | O_CLOEXEC);
	must(device_fd < 0); /* is the library preloaded? */
	must(!tee_floor_begin());
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		void *way = (void *)(uintptr_t)&ways[i];

		gbench_use_real_time(gbench_register(in_a_row, way, "tee/device/%s", ways[i].who));
		if (ways[i].apart)
			gbench_use_manual_time(
			        gbench_register(apart, way, "tee/device_apart/%s", ways[i].who));
	}
}

void suite_tee_front_register(void)
{
	begin();
	gbench_register(allocate, NULL, "tee/allocate/isthmus");
	gbench_register(invoke_four, NULL, "tee/four_temporary/isthmus");
	gbench_register(register_four, NULL, "tee/four_temporary/isthmus, registrations alone");
	gbench_register(look_up_ids, NULL, "tee/look_up/isthmus, id, with a reference");
	gbench_register(look_up_addresses, NULL, "tee/look_up/isthmus, physical address, read section");
}
