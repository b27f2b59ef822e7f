/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee/grave.h"
#include "tee/tee.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int ist_tee_context_open(struct ist_tee_device *device, struct ist_tee_context **out)
{
	struct ist_tee_context *context;

	if (!device || !out || !device_use(device))
		return -EINVAL;
	context = calloc(1, sizeof(*context));
	if (!context) {
		device_unuse(device);
		return -ENOMEM;
	}
	context->device = device;
	atomic_store_explicit(&context->refs, 1, memory_order_relaxed); /* nobody else knows it */
	atomic_fetch_add_explicit(&device->contexts, 1, memory_order_relaxed);
	*out = context;
	return 0;
}

void context_get(struct ist_tee_context *context)
{
	atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
}

void context_put(struct ist_tee_context *context)
{
	struct ist_tee_device *device = context->device;

	/* What others did to it is done before it is freed. */
	if (atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(context);
	atomic_fetch_sub_explicit(&device->contexts, 1, memory_order_relaxed);
	device_unuse(device);
}

void ist_tee_context_close(struct ist_tee_context *context)
{
	if (!context)
		return;
	if (context->is_supplicant)
		supplicant_close(context);
	session_close_all(context);
	context_put(context);
}

struct ist_tee_device *ist_tee_context_device(const struct ist_tee_context *context)
{
	return context ? context->device : NULL;
}

static struct ist_tee_context *context_of(struct handle *handle)
{
	return (struct ist_tee_context *)(void *)((char *)handle - offsetof(struct ist_tee_context, handle));
}

static void fd_unuse(struct ist_tee_context *context)
{
	/* What was done on the descriptors comes before the end of the context. */
	if (atomic_fetch_sub_explicit(&context->fd_uses, 1, memory_order_acq_rel) == 1)
		ist_tee_context_close(context);
}

static void context_gone(struct handle *handle)
{
	struct ist_tee_context *context = context_of(handle);

	if (handle->keeper >= 0)
		close(handle->keeper);
	atomic_fetch_sub_explicit(&context->device->descriptors, 1, memory_order_relaxed);
	fd_unuse(context);
}

static bool context_keep(struct handle *handle)
{
	/* What is in the table has the use of its descriptors. */
	atomic_fetch_add_explicit(&context_of(handle)->fd_uses, 1, memory_order_relaxed);
	return true;
}

int ist_tee_context_export(struct ist_tee_context *context)
{
	int fd, keeper;

	if (!context || context->handle.key)
		return -EINVAL;
	keeper = handles_file();
	if (keeper < 0)
		return keeper;
	context->handle.gone = context_gone;
	context->handle.keep = context_keep;
	atomic_store_explicit(&context->fd_uses, 1, memory_order_relaxed); /* nobody finds it yet */
	fd = handles_begin(&context->handle, keeper);
	if (fd < 0)
		close(keeper);
	else
		atomic_fetch_add_explicit(&context->device->descriptors, 1, memory_order_relaxed);
	return fd;
}

/* The context of a descriptor, with a use of it; or null and the error. */
static struct ist_tee_context *context_of_fd(int fd, long *error)
{
	struct handle *handle = handles_find(fd, NULL);

	*error = -ENOTTY;
	if (!handle)
		return NULL;
	if (handle->gone == context_gone)
		return context_of(handle);
	ist_tee_shm_put(
	        (struct ist_tee_shm *)(void *)((char *)handle - offsetof(struct ist_tee_shm, handle)));
	*error = -EINVAL;
	return NULL;
}

long ist_tee_fd_ioctl(int fd, unsigned long command, void *arg)
{
	long answer;
	struct ist_tee_context *context = context_of_fd(fd, &answer);

	if (!context)
		return answer;
	answer = ist_tee_ioctl(context, command, arg);
	fd_unuse(context);
	return answer;
}

int ist_tee_fd_find(int fd, struct ist_tee_fd *out)
{
	uint64_t key = 0;
	struct handle *handle = out ? handles_find(fd, &key) : NULL;
	struct ist_tee_shm *shm;

	if (!handle)
		return out ? -ENOTTY : -EINVAL;
	if (handle->gone == context_gone) {
		*out = (struct ist_tee_fd){.key = key, .is_context = true};
		fd_unuse(context_of(handle));
		return 0;
	}
	shm = (struct ist_tee_shm *)(void *)((char *)handle - offsetof(struct ist_tee_shm, handle));
	*out = (struct ist_tee_fd){.key = key, .can_map = shm->kind == SHM_POOL, .size = shm->view.size};
	ist_tee_shm_put(shm);
	return 0;
}

unsigned ist_tee_reap(uint64_t key)
{
	unsigned count;

	graves_retry();
	if (key == 0)
		handles_settle();
	count = handles_reap(key);
	if (key == 0)
		handles_settle();
	return count;
}
