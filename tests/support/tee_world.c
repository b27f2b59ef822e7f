/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/tee_world.h"

#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

struct tee tee_make(size_t size, const struct ist_tee_config *config)
{
	int fd = memfd_create("carve-out", MFD_CLOEXEC);
	struct tee tee = {.size = size};
	struct ist_manager_config manager = {.paddr = PADDR, .size = size};

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	tee.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(tee.memory, MAP_FAILED);
	manager.vaddr = tee.memory;
	assert_int_equal(ist_manager_create(&manager, &tee.manager), 0);
	assert_int_equal(ist_manager_set_file(tee.manager, fd, 0), 0);
	close(fd);
	assert_int_equal(ist_tee_device_create(tee.manager, config, &tee.device), 0);
	assert_int_equal(ist_tee_context_open(tee.device, &tee.context), 0);
	return tee;
}

void tee_drop(struct tee *tee)
{
	struct ist_tee_stats stats;

	ist_tee_context_close(tee->context);
	ist_tee_reap(0);
	stats = tee_stats(tee);
	assert_int_equal(stats.contexts, 0);
	assert_int_equal(stats.shms, 0);
	assert_int_equal(stats.registered, 0);
	assert_int_equal(stats.sessions, 0);
	assert_int_equal(stats.calls, 0);
	assert_int_equal(stats.descriptors, 0);
	assert_int_equal(ist_tee_device_destroy(tee->device, false), 0);
	assert_int_equal(ist_manager_destroy(tee->manager), 0);
	munmap(tee->memory, tee->size);
}

void tee_fill_open(struct tee_call *call, unsigned params)
{
	memset(call, 0, sizeof(*call));
	memset(call->u.open.arg.uuid, 7, 16);
	call->u.open.arg.num_params = params;
	call->buf.buf_ptr = (uintptr_t)&call->u;
	call->buf.buf_len = sizeof(call->u.open.arg) + params * sizeof(struct ist_tee_ioc_param);
}

void tee_fill_invoke(struct tee_call *call, uint32_t session, uint32_t func, unsigned params)
{
	memset(call, 0, sizeof(*call));
	call->u.invoke.arg.session = session;
	call->u.invoke.arg.func = func;
	call->u.invoke.arg.num_params = params;
	call->buf.buf_ptr = (uintptr_t)&call->u;
	call->buf.buf_len = sizeof(call->u.invoke.arg) + params * sizeof(struct ist_tee_ioc_param);
}

struct ist_tee_ioc_param tee_memref(uint64_t type, int32_t id, uint64_t offset, uint64_t size)
{
	return (struct ist_tee_ioc_param){type, offset, size, (uint64_t)(int64_t)id};
}

uint32_t tee_session(struct ist_tee_context *context)
{
	struct tee_call call;

	tee_fill_open(&call, 0);
	assert_int_equal(ist_tee_ioctl(context, IST_TEE_IOC_OPEN_SESSION, &call.buf), 0);
	assert_int_equal(call.u.open.arg.ret, 0);
	return call.u.open.arg.session;
}

int tee_alloc(struct ist_tee_context *context, uint64_t size, int32_t *id)
{
	struct ist_tee_ioc_alloc data = {.size = size};
	long fd = ist_tee_ioctl(context, IST_TEE_IOC_SHM_ALLOC, &data);

	assert_true(fd >= 0);
	if (id)
		*id = data.id;
	return (int)fd;
}

int tee_register(struct ist_tee_context *context, void *addr, uint64_t length, int32_t *id)
{
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)addr, .length = length};
	long fd = ist_tee_ioctl(context, IST_TEE_IOC_SHM_REGISTER, &data);

	assert_true(fd >= 0);
	if (id)
		*id = data.id;
	return (int)fd;
}

void tee_close(int fd)
{
	struct ist_tee_fd what;

	assert_int_equal(ist_tee_fd_find(fd, &what), 0);
	close(fd);
	ist_tee_reap(what.key);
}

struct ist_tee_stats tee_stats(const struct tee *tee)
{
	struct ist_tee_stats stats;

	ist_tee_device_stats(tee->device, &stats);
	return stats;
}

int tee_open_fds(void)
{
	DIR *all = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(all);
	while (readdir(all))
		count++;
	closedir(all);
	return count;
}
