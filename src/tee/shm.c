/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Shared memory: made, found by id, addressed, exported, given back. What is particular to registered memory is in register.c. */
#include "tee/tee.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <isthmus/share.h>

#include "tee/grave.h"

#define FLAGS_KNOWN (IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF | IST_TEE_SHM_EXPORT)

static struct ist_tee_shm *shm_of(struct handle *handle)
{
	return (struct ist_tee_shm *)(void *)((char *)handle - offsetof(struct ist_tee_shm, handle));
}

static void shm_gone(struct handle *handle)
{
	struct ist_tee_shm *shm = shm_of(handle);

	atomic_fetch_sub_explicit(&shm->device->descriptors, 1, memory_order_relaxed);
	shm->keeper = handle->keeper; /* -1: it is not ours any more */
	ist_tee_shm_put(shm);
}

static bool shm_keep(struct handle *handle)
{
	return count_take(&shm_of(handle)->count);
}

static void shm_fill(struct ist_tee_shm *shm, struct ist_tee_device *device, struct ist_tee_context *context,
                     enum shm_kind kind, uint32_t id)
{
	shm->id = id;
	shm->kind = kind;
	shm->device = device;
	shm->context = context;
	shm->handle = (struct handle){.keeper = -1, .is_quick = true, .gone = shm_gone, .keep = shm_keep};
	shm->keeper = -1;
	shm->file_paddr = 0;
	shm->grave = NULL;
	if (context)
		context_get(context);
}

struct ist_tee_shm *shm_new(struct ist_tee_context *context, enum shm_kind kind)
{
	uint32_t id = ids_take(&context->device->shms);
	struct ist_tee_shm *shm = slots_at(&context->device->shms.slots, id);

	if (shm)
		shm_fill(shm, context->device, context, kind, id);
	return shm;
}

void shm_begin(struct ist_tee_shm *shm)
{
	atomic_fetch_add_explicit(&shm->device->live_shms, 1, memory_order_relaxed);
	if (shm->kind >= SHM_USER)
		atomic_fetch_add_explicit(&shm->device->registered, 1, memory_order_relaxed);
	count_begin(&shm->count); /* last: from here on it is found */
}

/* The record goes back; whatever it had is given back already. */
void shm_abandon(struct ist_tee_shm *shm)
{
	struct ist_tee_device *device = shm->device;
	struct ist_tee_context *context = shm->context;

	ids_give(&device->shms, shm->id); /* whoever takes it next may write there at once */
	context_put(context);
}

static int as_memory_error(int error)
{
	return error == -ENOSPC ? -ENOMEM : error;
}

static _Thread_local struct {
	bool on;
	unsigned count;
	struct grave *graves[SHM_DEFERRED];
} deferred;

/* Whether there was any. */
static bool bury_deferred(void)
{
	bool any = deferred.count > 0;

	while (deferred.count > 0)
		grave_bury(deferred.graves[--deferred.count]);
	return graves_retry() || any;
}

void shm_defer_begin(void)
{
	deferred.on = true;
}

void shm_defer_end(void)
{
	deferred.on = false;
	bury_deferred();
}

static int take_memory(struct ist_tee_shm *shm, size_t size)
{
	const struct ist_client_request request = {.size = size};
	struct ist_tee_device *device = shm->device;
	int error;

	if (shm->grave)
		error = ist_client_pool_alloc_isolated(device->client, &request, &shm->memory, &shm->keeper);
	else
		error = ist_client_pool_alloc(device->client, size, &shm->memory);
	if (!error)
		shm->view = shm->memory.view;
	return as_memory_error(error);
}

/* With what has ended and was not given back yet. */
static int take_memory_hard(struct ist_tee_shm *shm, size_t size)
{
	int error = take_memory(shm, size);

	if (error == -ENOMEM && bury_deferred())
		error = take_memory(shm, size);
	if (error == -ENOMEM && handles_reap(0)) { /* what others closed and we had not noticed */
		bury_deferred();
		error = take_memory(shm, size);
	}
	return error;
}

static int round_size(size_t *size, size_t granule)
{
	if (*size == 0 || *size > SIZE_MAX - granule)
		return -ENOMEM;
	*size = (*size + granule - 1) / granule * granule;
	return 0;
}

/*
 * Private: for messages, of which there are many. The record is the C library's, which has one at hand for each thread, and is
 * found by nobody else.
 */
static int alloc_private(struct ist_tee_device *device, struct ist_tee_context *context, size_t size,
                         struct ist_tee_shm **out)
{
	struct ist_tee_shm *shm;
	int error = round_size(&size, 8);

	if (error)
		return error;
	shm = malloc(sizeof(*shm));
	if (!shm)
		return -ENOMEM;
	error = ist_driver_pool_alloc(device->driver, size, &shm->memory);
	if (error) {
		free(shm);
		return as_memory_error(error);
	}
	shm_fill(shm, device, context, SHM_PRIVATE, 0);
	shm->view = shm->memory.view;
	count_begin(&shm->count);
	*out = shm;
	return 0;
}

/* A client's. The device is kept meanwhile. */
static int alloc_client(struct ist_tee_context *context, size_t size, uint32_t flags, bool exact,
                        struct ist_tee_shm **out)
{
	size_t asked = size;
	struct ist_tee_shm *shm;
	int error = round_size(&size, IST_PAGE_SIZE);

	if (error)
		return error;
	shm = shm_new(context, SHM_POOL);
	if (!shm)
		return -ENOMEM;
	shm->grave = flags & IST_TEE_SHM_EXPORT ? grave_make() : NULL;
	error = flags & IST_TEE_SHM_EXPORT && !shm->grave ? -ENOMEM : take_memory_hard(shm, size);
	if (error) {
		grave_drop(shm->grave);
		shm_abandon(shm);
		return error;
	}
	if (exact)
		shm->view.size = asked;
	shm_begin(shm);
	*out = shm;
	return 0;
}

int ist_tee_shm_alloc(struct ist_tee_device *device, struct ist_tee_context *context, size_t size,
                      uint32_t flags, struct ist_tee_shm **out)
{
	int error;

	if (!device || !out || (context && context->device != device) || !(flags & IST_TEE_SHM_MAPPED) ||
	    flags & ~FLAGS_KNOWN || (flags & IST_TEE_SHM_EXPORT && !(flags & IST_TEE_SHM_DMA_BUF)))
		return -EINVAL;
	if (!(flags & IST_TEE_SHM_DMA_BUF)) {
		if (!device_use_private(device)) /* until it ends */
			return -EINVAL;
		error = alloc_private(device, context, size, out);
		if (error)
			device_unuse_private(device);
		return error;
	}
	if (!device_use(device))
		return -EINVAL;
	error = context ? alloc_client(context, size, flags, false, out) : -EINVAL;
	device_unuse(device);
	return error;
}

static int shadow_kept(struct ist_tee_context *context, size_t length, struct ist_tee_shm **out)
{
	const uint32_t flags = IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF | IST_TEE_SHM_EXPORT;

	if (!(context->device->config.caps & IST_TEE_CAP_REG_MEM))
		return -E_NOTSUPP;
	return alloc_client(context, length, flags, true, out);
}

int shm_alloc_shadow(struct ist_tee_context *context, uint64_t length, struct ist_tee_shm **out)
{
	int error;

	if (!device_use(context->device))
		return -EINVAL;
	error = shadow_kept(context, length, out);
	device_unuse(context->device);
	return error;
}

int ist_tee_shm_find(struct ist_tee_context *context, int32_t id, struct ist_tee_shm **out)
{
	struct ist_tee_shm *shm;

	if (!context || !out || id <= 0)
		return -EINVAL;
	shm = ids_find(&context->device->shms, (uint32_t)id);
	if (!shm)
		return -EINVAL;
	/* Only now, with a reference: the record may have begun another life since we asked for it. */
	if (shm->context != context) {
		ist_tee_shm_put(shm);
		return -EINVAL;
	}
	*out = shm;
	return 0;
}

void ist_tee_shm_get(struct ist_tee_shm *shm)
{
	if (shm)
		count_more(&shm->count);
}

static void private_end(struct ist_tee_shm *shm)
{
	struct ist_tee_device *device = shm->device;

	ist_shm_free(&shm->memory);
	if (shm->context)
		context_put(shm->context);
	free(shm);
	device_unuse_private(device);
}

static void shm_end(struct ist_tee_shm *shm)
{
	struct ist_tee_device *device = shm->device;

	atomic_fetch_sub_explicit(&device->live_shms, 1, memory_order_relaxed);
	if (shm->kind >= SHM_USER) {
		atomic_fetch_sub_explicit(&device->registered, 1, memory_order_relaxed);
		unregister_pages(shm);
		shm_forget_file(shm);
		if (shm->keeper >= 0)
			close(shm->keeper);
	} else if (!shm->grave) {
		ist_shm_free(&shm->memory);
	} else {
		grave_fill(shm->grave, device, &shm->memory, shm->keeper);
		if (deferred.on && deferred.count < SHM_DEFERRED)
			deferred.graves[deferred.count++] = shm->grave;
		else
			grave_bury(shm->grave);
	}
	shm_abandon(shm);
}

void ist_tee_shm_put(struct ist_tee_shm *shm)
{
	if (!shm)
		return;
	if (shm->kind == SHM_PRIVATE) {
		if (count_drop_unfound(&shm->count))
			private_end(shm);
	} else if (count_drop(&shm->count)) {
		shm_end(shm);
	}
}

int shm_export(struct ist_tee_shm *shm)
{
	int fd;

	if (shm->handle.key)
		return -EINVAL;
	if (shm->keeper < 0) {
		shm->keeper = handles_file();
		if (shm->keeper < 0)
			return shm->keeper;
	}
	fd = handles_begin(&shm->handle, shm->keeper);
	if (fd >= 0)
		atomic_fetch_add_explicit(&shm->device->descriptors, 1, memory_order_relaxed);
	return fd;
}

static void ready_bury(struct ready *ready)
{
	grave_fill(ready->grave, NULL, &ready->memory, ready->keeper);
	grave_bury(ready->grave);
}

int ready_make(struct ist_manager *manager, size_t size, struct ready *out)
{
	const struct ist_client_request request = {.size = size};
	struct ready ready = {.manager = manager, .grave = grave_make()};
	int error = !ready.grave ? -ENOMEM
	                         : ist_client_pool_alloc_isolated(ist_manager_client_pool(manager), &request,
	                                                          &ready.memory, &ready.keeper);

	if (error) {
		grave_drop(ready.grave);
		return error;
	}
	ready.fd = handles_open(&ready.handle, ready.keeper);
	if (ready.fd < 0) {
		ready_bury(&ready);
		return ready.fd;
	}
	*out = ready;
	return 0;
}

void ready_drop(struct ready *ready)
{
	close(ready->fd);
	ready_bury(ready);
}

static int adopt_kept(struct ist_tee_context *context, const struct ready *ready, struct ist_tee_shm **out)
{
	struct ist_tee_shm *shm = shm_new(context, SHM_POOL);
	int error;

	if (!shm)
		return -ENOMEM;
	shm->memory = ready->memory;
	shm->view = shm->memory.view;
	shm->keeper = ready->keeper;
	shm->grave = ready->grave;
	shm->handle.key = ready->handle.key;
	shm->handle.device = ready->handle.device;
	error = handles_enter(&shm->handle, shm->keeper); /* its descriptor is ours, so nobody takes it out */
	if (error) {
		shm_abandon(shm);
		return error;
	}
	atomic_fetch_add_explicit(&shm->device->descriptors, 1, memory_order_relaxed);
	shm_begin(shm);
	*out = shm;
	return ready->fd;
}

int shm_adopt(struct ist_tee_context *context, const struct ready *ready, struct ist_tee_shm **out)
{
	int fd;

	if (!device_use(context->device))
		return -EINVAL;
	fd = adopt_kept(context, ready, out);
	device_unuse(context->device);
	return fd;
}

int ist_tee_shm_export(struct ist_tee_shm *shm)
{
	if (!shm || (shm->kind == SHM_POOL && shm->keeper < 0) || shm->kind == SHM_PRIVATE)
		return -EINVAL;
	return shm_export(shm);
}

int32_t ist_tee_shm_id(const struct ist_tee_shm *shm)
{
	return shm && shm->id ? (int32_t)shm->id : -1;
}

size_t ist_tee_shm_size(const struct ist_tee_shm *shm)
{
	return shm ? shm->view.size : 0;
}

int ist_tee_shm_get_va(const struct ist_tee_shm *shm, size_t offset, void **out)
{
	if (!shm || !out || offset >= shm->view.size)
		return -EINVAL;
	*out = (char *)shm->view.vaddr + offset;
	return 0;
}

int ist_tee_shm_get_pa(const struct ist_tee_shm *shm, size_t offset, uint64_t *out)
{
	if (!shm || !out || offset >= shm->view.size)
		return -EINVAL;
	*out = shm->view.paddr + offset;
	return 0;
}

int ist_tee_shm_va2pa(const struct ist_tee_shm *shm, const void *vaddr, uint64_t *out)
{
	if (!shm || !out || !ist_view_contains_vaddr(&shm->view, vaddr))
		return -EINVAL;
	*out = shm->view.paddr + (uint64_t)((uintptr_t)vaddr - (uintptr_t)shm->view.vaddr);
	return 0;
}

int ist_tee_shm_pa2va(const struct ist_tee_shm *shm, uint64_t paddr, void **out)
{
	if (!shm || !out || !ist_view_contains_paddr(&shm->view, paddr))
		return -EINVAL;
	*out = (char *)shm->view.vaddr + (paddr - shm->view.paddr);
	return 0;
}
