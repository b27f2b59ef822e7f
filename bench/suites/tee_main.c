/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The TEE front: the Client API in process, calls beside the registrations they need, ids beside addresses; and (with --device, run with
 * the preloaded library) shared memory through /dev/tee0 beside a memory file. Each figure is the median of rounds that take turns.
 *
 * usage: bench-tee [--device | --replay RECORDING...]
 */
#include <isthmus/isthmus.h>
#include <isthmus/tee_client.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/median.h"
#include "tee_floor.h"
#include "tee_replay.h"

enum { ROUNDS = 11, TIMES = 20000, FEW = 2000, REFS = 4, SIZE = 1024, ECHO = 0, NOTHING = 2, PAUSE_US = 300 };

static TEEC_Context context;
static TEEC_Session session;
static char buffer[REFS][2 * SIZE];

static void need(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench-tee: %s failed\n", what);
	exit(1);
}

static double allocate(void)
{
	double begin = clock_seconds();

	for (int i = 0; i < TIMES; i++) {
		TEEC_SharedMemory shm = {.size = SIZE, .flags = TEEC_MEM_INPUT};

		need(TEEC_AllocateSharedMemory(&context, &shm) == 0, "allocate");
		TEEC_ReleaseSharedMemory(&shm);
	}
	return (clock_seconds() - begin) * 1e9 / TIMES;
}

static double register_four(void)
{
	double begin = clock_seconds();

	for (int i = 0; i < FEW; i++) {
		struct ist_tee_shm *shm[REFS];

		for (int k = 0; k < REFS; k++)
			need(ist_tee_shm_register(context.imp, buffer[k] + 100, SIZE, &shm[k]) == 0,
			     "register");
		for (int k = 0; k < REFS; k++)
			ist_tee_shm_put(shm[k]);
	}
	return (clock_seconds() - begin) * 1e9 / FEW;
}

/* The trusted side copies two of them into the others. */
static double invoke_four(void)
{
	TEEC_Operation op = {.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT,
	                                                    TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT)};
	double begin = clock_seconds();

	for (int i = 0; i < FEW; i++) {
		for (int k = 0; k < REFS; k++)
			op.params[k].tmpref = (TEEC_TempMemoryReference){buffer[k] + 100, SIZE};
		need(TEEC_InvokeCommand(&session, NOTHING, &op, NULL) == 0, "invoke");
	}
	return (clock_seconds() - begin) * 1e9 / FEW;
}

static struct ist_tee_shm *many[1000];
static uint64_t paddr[1000];
static struct ist_manager *manager;

static double look_up_ids(void)
{
	double begin = clock_seconds();

	for (int i = 0; i < TIMES; i++) {
		struct ist_tee_shm *shm;

		need(ist_tee_shm_find(context.imp, ist_tee_shm_id(many[i * 7 % 1000]), &shm) == 0, "find");
		ist_tee_shm_put(shm);
	}
	return (clock_seconds() - begin) * 1e9 / TIMES;
}

/* A dynamic address, in a read section, as one looks up what will be used. */
static double look_up_addresses(void)
{
	double begin = clock_seconds();

	for (int i = 0; i < TIMES; i++) {
		void *vaddr;

		ist_read_enter();
		need(ist_phys_to_virt(manager, paddr[i * 7 % 1000], 64, &vaddr) == 0, "translate");
		ist_read_leave();
	}
	return (clock_seconds() - begin) * 1e9 / TIMES;
}

static int device_fd;

static void one_of_device(void)
{
	struct ist_tee_ioc_alloc data = {.size = 4096};
	int fd = ioctl(device_fd, IST_TEE_IOC_SHM_ALLOC, &data);
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	need(fd >= 0 && at != MAP_FAILED, "SHM_ALLOC");
	munmap(at, 4096);
	close(fd);
}

static void one_of_memfd(void)
{
	int fd = memfd_create("bench", 0);
	void *at;

	need(ftruncate(fd, 4096) == 0, "ftruncate");
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(at != MAP_FAILED, "mmap");
	munmap(at, 4096);
	close(fd);
}

static double in_a_row(void (*one)(void))
{
	double begin = clock_seconds();

	for (int i = 0; i < FEW; i++)
		one();
	return (clock_seconds() - begin) * 1e6 / FEW;
}

/* Each a while after the one before, as by who does something with it; the time between is not counted. */
static double apart(void (*one)(void))
{
	double seconds = 0;

	for (int i = 0; i < FEW / 10; i++) {
		double begin;

		usleep(PAUSE_US);
		begin = clock_seconds();
		one();
		seconds += clock_seconds() - begin;
	}
	return seconds * 1e6 / (FEW / 10);
}

static double through_device(void)
{
	return in_a_row(one_of_device);
}

static double through_memfd(void)
{
	return in_a_row(one_of_memfd);
}

static double device_apart(void)
{
	return apart(one_of_device);
}

static double memfd_apart(void)
{
	return apart(one_of_memfd);
}

static double round_trip(void)
{
	double begin = clock_seconds();

	for (int i = 0; i < FEW; i++) {
		int fd = tee_floor_ask();

		need(fd >= 0, "round trip");
		close(fd);
	}
	return (clock_seconds() - begin) * 1e6 / FEW;
}

/* Both in turns; their medians, and how many times the first takes the second. */
static void compare(const char *what, double (*one)(void), const char *beside, double (*other)(void),
                    const char *unit, double goal)
{
	double a[ROUNDS], b[ROUNDS], ratio;

	for (int i = 0; i < ROUNDS; i++) {
		a[i] = one();
		b[i] = other();
	}
	ratio = median_sort(a, ROUNDS) / median_sort(b, ROUNDS);
	printf("%-36s %8.2f %s; %-32s %8.2f %s: %.2f times, goal %.0f\n", what, median_sort(a, ROUNDS), unit,
	       beside, median_sort(b, ROUNDS), unit, ratio, goal);
}

static void in_process(void)
{
	static const TEEC_UUID uuid = {1, 2, 3, {4}};
	double times[ROUNDS];

	need(TEEC_InitializeContext(NULL, &context) == 0, "context");
	need(TEEC_OpenSession(&context, &session, &uuid, 0, NULL, NULL, NULL) == 0, "session");
	for (int i = 0; i < ROUNDS; i++)
		times[i] = allocate();
	printf("%-36s %8.2f ns: %.2f million a second, goal 1\n", "TEEC allocate and release",
	       median_sort(times, ROUNDS), 1e3 / median_sort(times, ROUNDS));
	compare("invoke, 4 temporary references", invoke_four, "4 registrations", register_four, "ns", 3);
	for (int i = 0; i < 1000; i++) {
		need(ist_tee_shm_register(context.imp, buffer[i % REFS] + i, SIZE, &many[i]) == 0,
		     "register");
		need(ist_tee_shm_get_pa(many[i], 0, &paddr[i]) == 0, "address");
	}
	manager = ist_tee_device_manager(ist_tee_context_device(context.imp));
	compare("look-up by id, with a reference", look_up_ids, "physical address, read section",
	        look_up_addresses, "ns", 3);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--device") == 0) {
		device_fd = open("/dev/tee0", O_RDWR);
		need(device_fd >= 0, "/dev/tee0 (is the library preloaded?)");
		need(tee_floor_begin(), "another process");
		compare("SHM_ALLOC, mmap, munmap, close", through_device, "memfd, ftruncate, mmap, ...",
		        through_memfd, "us", 3);
		compare("the same, 300 us apart", device_apart, "the same, 300 us apart", memfd_apart, "us",
		        3);
		compare("floor of a server: bare round trip", round_trip, "memfd, ftruncate, mmap, ...",
		        through_memfd, "us", 3);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--replay") == 0) {
		tee_replay(argv + 2, argc - 2);
		return 0;
	}
	in_process();
	return 0;
}
