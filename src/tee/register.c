/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Registered memory: the driver's half lists the pages, and tells the trusted one by a message. The cookie is the address of
 * the record, which nobody else has while it is registered.
 */
#include "tee/tee.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <isthmus/backing.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Where registered files lie physically: above all that stands for addresses of this process; no address is used twice. */
#define FILES_PADDR (UINT64_C(1) << 63)
static _Atomic uint64_t next_file = FILES_PADDR;

static uint64_t cookie_of(const struct ist_tee_shm *shm)
{
	return (uintptr_t)shm;
}

/* Send a message of one parameter to the trusted side; `set` has filled it. */
static int send_one(struct ist_tee_shm *shm, const struct ist_msg *message)
{
	uint32_t ret, origin;

	trusted_call(shm->device, ist_msg_paddr(message), ist_msg_bytes(1), NULL, NULL);
	ist_msg_result(message, &ret, &origin);
	return ret == IST_TEE_SUCCESS ? 0 : ret == IST_TEE_ERROR_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static int send_list(struct ist_tee_shm *shm, uint64_t list)
{
	struct ist_msg message;
	int error = ist_msg_create(shm->device->driver, IST_MSG_REGISTER_SHM, 1, &message);

	if (error)
		return -ENOMEM;
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_OUT, list, shm->view.size, cookie_of(shm));
	error = send_one(shm, &message);
	ist_msg_free(&message);
	return error;
}

/*
 * A list of any length lies in memory of this process, which has a physical address if clients may register it at all; else in
 * the client pool.
 */
struct list {
	void *at;
	uint64_t paddr;
	struct ist_shm memory;
};

static int list_alloc(struct ist_tee_device *device, size_t bytes, struct list *out)
{
	*out = (struct list){.at = NULL};
	if (!(device->config.caps & IST_TEE_CAP_REG_MEM)) {
		if (ist_client_pool_alloc_nozero(device->client, bytes, &out->memory) != 0)
			return -ENOMEM;
		out->at = out->memory.view.vaddr;
		out->paddr = out->memory.view.paddr;
		return 0;
	}
	if (posix_memalign(&out->at, IST_PAGE_SIZE, bytes) != 0)
		return -ENOMEM;
	out->paddr = device->config.user_paddr + (uintptr_t)out->at;
	if (user_memory(device, (uintptr_t)out->at, bytes) == 0)
		return 0;
	free(out->at);
	return -ENOMEM;
}

static void list_free(struct list *list)
{
	if (list->memory.view.size)
		ist_shm_free(&list->memory);
	else
		free(list->at);
}

int register_pages(struct ist_tee_shm *shm, uint64_t paddr)
{
	size_t bytes = ist_msg_list_bytes(paddr % IST_PAGE_SIZE, shm->view.size);
	struct list list;
	uint64_t name;
	int error = list_alloc(shm->device, bytes, &list);

	if (error)
		return error;
	error = ist_msg_list_fill(list.at, list.paddr, NULL, paddr, shm->view.size, &name);
	if (!error)
		error = send_list(shm, name);
	list_free(&list);
	return error;
}

void unregister_pages(struct ist_tee_shm *shm)
{
	struct ist_tee_device *device = shm->device;
	struct ist_msg message;

	/* The record of it must go, messages or not. */
	if (ist_msg_create(device->driver, IST_MSG_UNREGISTER_SHM, 1, &message) != 0) {
		ist_mapping_unregister(device->manager, 0, cookie_of(shm), 0);
		return;
	}
	ist_msg_set_rmem(&message, 0, IST_MSG_RMEM_IN, cookie_of(shm), 0, 0);
	send_one(shm, &message);
	ist_msg_free(&message);
}

/* An atomic operation of the kernel's that changes nothing, for kernels that cannot fault pages in as asked: 0 or -EFAULT. */
static int touch(uintptr_t word)
{
	uint32_t other = 0;
	long woken = syscall(SYS_futex, &other, FUTEX_WAKE_OP_PRIVATE, 0, 0, word & ~(uintptr_t)3,
	                     FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0));

	return woken < 0 && errno == EFAULT ? -EFAULT : 0;
}

static bool knows_advice(void)
{
	char here[2 * IST_PAGE_SIZE];
	uintptr_t page = ((uintptr_t)here | (IST_PAGE_SIZE - 1)) + 1;

	return madvise((void *)page, IST_PAGE_SIZE, MADV_POPULATE_READ) == 0;
}

/* All pages are there, and may be written; then they stay like that unless the client changes it. */
static int check_pages(uintptr_t start, size_t length)
{
	uintptr_t page = start & ~(uintptr_t)(IST_PAGE_SIZE - 1), end = start + length - 1;
	size_t bytes = (end | (IST_PAGE_SIZE - 1)) + 1 - page;

	if (madvise((void *)page, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -EFAULT;
	/* Not permitted, or not memory, or a kernel that does not know the advice. */
	if (madvise((void *)page, bytes, MADV_POPULATE_READ) == 0)
		return -EFAULT;
	for (; page <= end; page += IST_PAGE_SIZE)
		if (touch(page) != 0)
			return -EFAULT;
	return knows_advice() ? -EINVAL : 0; /* there, and no memory: a device's registers */
}

static bool is_user_range(uintptr_t start, size_t length)
{
	const uintptr_t top = (uintptr_t)1 << 48;

	return start >= IST_PAGE_SIZE && start < top - IST_PAGE_SIZE && length <= top - start - IST_PAGE_SIZE;
}

int register_check(uintptr_t start, size_t length)
{
	return is_user_range(start, length) ? check_pages(start, length) : -EFAULT;
}

static int register_kept(struct ist_tee_context *context, void *addr, size_t length, struct ist_tee_shm **out)
{
	struct ist_tee_shm *shm;
	int error;

	if (!(context->device->config.caps & IST_TEE_CAP_REG_MEM))
		return -EOPNOTSUPP;
	if (length == 0)
		return -ENOMEM;
	error = register_check((uintptr_t)addr, length);
	if (!error)
		error = user_memory(context->device, (uintptr_t)addr, length);
	if (error)
		return error;
	shm = shm_new(context, SHM_USER);
	if (!shm)
		return -ENOMEM;
	shm->view = (struct ist_view){addr, context->device->config.user_paddr + (uintptr_t)addr, length};
	error = register_pages(shm, shm->view.paddr);
	if (error) {
		shm_abandon(shm);
		return error;
	}
	shm_begin(shm);
	*out = shm;
	return 0;
}

int ist_tee_shm_register(struct ist_tee_context *context, void *addr, size_t length, struct ist_tee_shm **out)
{
	int error;

	if (!context || !out || !device_use(context->device))
		return -EINVAL;
	error = register_kept(context, addr, length, out);
	device_unuse(context->device);
	return error;
}

/* The bytes of a file that nobody can shorten. */
static int check_file(int fd, size_t *bytes)
{
	struct stat file;
	int seals;

	if (fstat(fd, &file) != 0)
		return -EBADF;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || !S_ISREG(file.st_mode) || file.st_size <= 0 ||
	    file.st_size % IST_PAGE_SIZE)
		return -EINVAL;
	*bytes = (size_t)file.st_size;
	return 0;
}

static int add_file(struct ist_tee_shm *shm, int fd)
{
	/* Relaxed: only that it is nobody else's matters. */
	uint64_t paddr = atomic_fetch_add_explicit(&next_file, shm->view.size, memory_order_relaxed);
	const struct ist_backing backing = {.paddr = paddr, .size = shm->view.size, .fd = fd};
	struct ist_mapping mapping;
	int error = ist_backing_add(shm->device->manager, &backing);

	if (error)
		return error;
	shm->file_paddr = shm->view.paddr = paddr;
	error = register_pages(shm, paddr);
	if (!error && ist_mapping_find(shm->device->manager, 0, cookie_of(shm), &mapping) == 0)
		shm->view.vaddr = mapping.vaddr;
	return error;
}

void shm_forget_file(struct ist_tee_shm *shm)
{
	if (shm->file_paddr)
		ist_backing_remove(shm->device->manager, shm->file_paddr);
	shm->file_paddr = 0;
}

static int register_file_kept(struct ist_tee_context *context, int fd, struct ist_tee_shm **out)
{
	struct ist_tee_shm *shm;
	size_t bytes;
	int error = check_file(fd, &bytes);

	if (error)
		return error;
	shm = shm_new(context, SHM_FILE);
	if (!shm)
		return -ENOMEM;
	shm->view = (struct ist_view){.size = bytes};
	error = add_file(shm, fd);
	if (error) {
		shm_forget_file(shm);
		shm_abandon(shm);
		return error;
	}
	shm_begin(shm);
	*out = shm;
	return 0;
}

int ist_tee_shm_register_fd(struct ist_tee_context *context, int fd, struct ist_tee_shm **out)
{
	int error;

	if (!context || !out || !device_use(context->device))
		return -EINVAL;
	error = register_file_kept(context, fd, out);
	device_unuse(context->device);
	return error;
}
