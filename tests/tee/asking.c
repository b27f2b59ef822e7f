/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Many who ask at once: threads over one context, a thread over several, parent and child; and none of them leaves a descriptor behind.
 * usage: asking (local|server) (full|pool)
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 50, TIMES = 40, SUM = 1 };

static int device;
static pthread_barrier_t barrier;

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static uint32_t session(int tee)
{
	struct ist_tee_ioc_open arg = {.uuid = {1}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&arg, sizeof(arg)};

	CHECK(ioctl(tee, IST_TEE_IOC_OPEN_SESSION, &buf) == 0 && arg.ret == 0);
	return arg.session;
}

/* A buffer of one's own, written here, summed over there. */
static void ask(int tee, uint32_t in, unsigned char byte)
{
	struct {
		struct ist_tee_ioc_invoke arg;
		struct ist_tee_ioc_param param[2];
	} call = {.arg = {.session = in, .func = SUM, .num_params = 2}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&call, sizeof(call)};
	struct ist_tee_ioc_alloc data = {.size = 4096};
	int fd = ioctl(tee, IST_TEE_IOC_SHM_ALLOC, &data);
	unsigned char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && at != MAP_FAILED);
	if (at == MAP_FAILED)
		return;
	memset(at, byte, 4096);
	call.param[0] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_IN, 0, 4096, (uint64_t)data.id};
	call.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
	CHECK(ioctl(tee, IST_TEE_IOC_INVOKE, &buf) == 0 && call.arg.ret == 0);
	CHECK(call.param[1].a == 4096u * byte);
	munmap(at, 4096);
	close(fd);
}

static void *work(void *of)
{
	unsigned char byte = (unsigned char)(uintptr_t)of;
	uint32_t in = session(device);
	struct ist_tee_ioc_close closing = {.session = in};

	for (int i = 0; i < times(TIMES); i++)
		ask(device, in, byte);
	CHECK(ioctl(device, IST_TEE_IOC_CLOSE_SESSION, &closing) == 0);
	pthread_barrier_wait(&barrier); /* all have what they have at one time */
	return NULL;
}

static void many_threads(void)
{
	pthread_t thread[THREADS];
	int before;

	for (int round = 0; round < 2; round++) {
		before = count_fds();
		pthread_barrier_init(&barrier, NULL, THREADS);
		for (int i = 0; i < THREADS; i++)
			CHECK(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		pthread_barrier_destroy(&barrier);
		CHECK(count_fds() == before);
	}
}

static void several_contexts(void)
{
	int tee[3], before = 0;
	uint32_t in[3];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 3; i++) {
			tee[i] = open(i == 1 ? "/dev/tee4" : "/dev/tee5", O_RDWR);
			in[i] = session(tee[i]);
		}
		for (int i = 0; i < 60; i++) /* now one by one, now in turns */
			ask(tee[i < 30 ? i / 10 : i % 3], in[i < 30 ? i / 10 : i % 3], (unsigned char)i);
		for (int i = 0; i < 3; i++)
			close(tee[i]);
		if (round == 1)
			before = count_fds();
	}
	CHECK(count_fds() == before);
}

/* Both over the same context, with a server; in the process the child opens its own. */
static void parent_and_child(bool is_server)
{
	uint32_t in = session(device);
	int status;
	pid_t child;

	for (int i = 0; i < 10; i++)
		ask(device, in, 7);
	child = fork();
	if (child == 0) {
		int own = is_server ? device : open("/dev/tee0", O_RDWR);
		uint32_t of_child = is_server ? in : session(own);

		for (int i = 0; i < times(300); i++)
			ask(own, of_child, 3);
		_exit(faults != 0);
	}
	for (int i = 0; i < times(300); i++)
		ask(device, in, 5);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
	bool is_server = argc > 1 && strcmp(argv[1], "server") == 0;

	device = open("/dev/tee0", O_RDWR);
	CHECK(device > 2);
	ask(device, session(device), 1);
	many_threads();
	several_contexts();
	parent_and_child(is_server);
	close(device);
	return faults != 0;
}
