/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What is closed while a call runs: close returns, the call goes on until its application ends it, and then all of it is gone.
 * usage: during (local|server) (full|pool)
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WATCH = 4, ROUNDS = 8 };

struct call {
	struct ist_tee_ioc_invoke arg;
	struct ist_tee_ioc_param param[1];
	int tee, result, error;
	_Atomic bool begun, ended;
};

static uint32_t session(int tee)
{
	struct ist_tee_ioc_open arg = {.uuid = {1}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&arg, sizeof(arg)};

	CHECK(ioctl(tee, IST_TEE_IOC_OPEN_SESSION, &buf) == 0 && arg.ret == 0);
	return arg.session;
}

static void *invoke(void *of)
{
	struct call *call = of;
	struct ist_tee_ioc_buf buf = {(uintptr_t)call, sizeof(call->arg) + sizeof(call->param)};

	atomic_store(&call->begun, true);
	call->result = ioctl(call->tee, IST_TEE_IOC_INVOKE, &buf);
	call->error = errno;
	atomic_store(&call->ended, true);
	return NULL;
}

/* With the memory closed too, but for a mapping, or with it kept. */
static void close_during(bool with_memory)
{
	int tee = open("/dev/tee7", O_RDWR), fd;
	struct ist_tee_ioc_alloc data = {.size = 4096};
	struct call call = {.arg = {.func = WATCH, .num_params = 1}, .tee = tee};
	void *at;
	pthread_t thread;

	call.arg.session = session(tee);
	fd = ioctl(tee, IST_TEE_IOC_SHM_ALLOC, &data);
	CHECK(data.id == 1);
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(fd >= 0 && at != MAP_FAILED);
	call.param[0] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_INOUT, 0, 4096, (uint64_t)data.id};
	CHECK(pthread_create(&thread, NULL, invoke, &call) == 0);
	while (!atomic_load(&call.begun))
		usleep(1000);
	for (int i = 0; i < 30000 && atomic_load((_Atomic unsigned char *)at + 1) == 0; i++)
		usleep(1000); /* until it is over there, which it says */
	CHECK(atomic_load((_Atomic unsigned char *)at + 1) == 1);
	if (with_memory)
		CHECK(close(fd) == 0);
	CHECK(close(tee) == 0);
	usleep(50000);
	CHECK(!atomic_load(&call.ended));
	atomic_store((_Atomic unsigned char *)at, 1);
	pthread_join(thread, NULL);
	CHECK(call.result == 0 && call.arg.ret == IST_TEE_SUCCESS);
	if (!with_memory)
		CHECK(close(fd) == 0);
	munmap(at, 4096);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int main(void)
{
	int before = 0;

	for (int i = 0; i < ROUNDS; i++) {
		close_during(i % 2);
		if (i == 3)
			before = count_fds();
	}
	CHECK(count_fds() == before);
	return faults != 0;
}
