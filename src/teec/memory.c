/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Shared memory of the TEE Client API. */
#include "teec/teec.h"

#include <errno.h>

#define CLIENT (IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF)
#define FLAGS_KNOWN (TEEC_MEM_INPUT | TEEC_MEM_OUTPUT)
#define SALT UINT64_C(0x1d872b41c5a3f96e)

/* Tells what this library wrote from whatever else may stand there: callers do not initialise it. */
static uint64_t check_of(const TEEC_SharedMemory *shared)
{
	return SALT ^ (uintptr_t)shared->imp.shm ^ (uintptr_t)shared->imp.context << 7 ^
	       shared->imp.size << 19 ^ shared->imp_kind;
}

bool shared_is_good(const TEEC_SharedMemory *shared)
{
	return shared->imp_kind >= SHARED_ALLOCATED && shared->imp_kind <= SHARED_FILE &&
	       shared->imp.check == check_of(shared);
}

static void fill(TEEC_SharedMemory *shared, enum shared_kind kind, TEEC_Context *context,
                 struct ist_tee_shm *shm)
{
	shared->imp_kind = kind;
	shared->imp.shm = shm;
	shared->imp.context = context->imp;
	shared->imp.size = shared->size;
	shared->imp.check = check_of(shared);
}

bool context_has(struct ist_tee_context *context, uint32_t capability)
{
	struct ist_tee_version version = {.gen_caps = 0};

	ist_tee_device_version(ist_tee_context_device(context), &version);
	return version.gen_caps & capability;
}

/* Whether all of it can be read: a byte of each page, copied by the system. */
static bool is_there(const char *buffer, size_t size)
{
	char byte;

	for (size_t at = 0; at < size;) {
		if (ist_tee_copy(&byte, buffer + at, 1) != 0)
			return false;
		at += IST_PAGE_SIZE - ((uintptr_t)buffer + at) % IST_PAGE_SIZE;
	}
	return ist_tee_copy(&byte, buffer + size - 1, 1) == 0;
}

TEEC_Result shared_make(struct ist_tee_context *context, void *buffer, size_t size, struct ist_tee_shm **out,
                        bool *shadow)
{
	int error = ist_tee_shm_register(context, buffer, size, out);

	*shadow = error != 0;
	if (!error)
		return TEEC_SUCCESS;
	if (size > UINTPTR_MAX - (uintptr_t)buffer)
		return TEEC_ERROR_OUT_OF_MEMORY; /* more than there can be */
	if (!is_there(buffer, size))
		return TEEC_ERROR_BAD_PARAMETERS;
	error = ist_tee_shm_alloc(ist_tee_context_device(context), context, size, CLIENT, out);
	return error == -ENOMEM ? TEEC_ERROR_OUT_OF_MEMORY : error ? TEEC_ERROR_GENERIC : TEEC_SUCCESS;
}

static bool is_bad(TEEC_Context *context, const TEEC_SharedMemory *shared)
{
	return !context || !context->imp || !shared || shared->flags == 0 ||
	       shared->flags & ~(uint32_t)FLAGS_KNOWN;
}

TEEC_Result TEEC_RegisterSharedMemory(TEEC_Context *context, TEEC_SharedMemory *shared)
{
	struct ist_tee_shm *shm = NULL;
	TEEC_Result result = TEEC_SUCCESS;
	bool shadow = false;

	if (is_bad(context, shared) || !shared->buffer)
		return TEEC_ERROR_BAD_PARAMETERS;
	if (shared->size)
		result = shared_make(context->imp, shared->buffer, shared->size, &shm, &shadow);
	if (result == TEEC_SUCCESS)
		fill(shared, !shm ? SHARED_EMPTY : shadow ? SHARED_SHADOW : SHARED_REGISTERED, context, shm);
	else
		shared->imp_kind = SHARED_NONE;
	return result;
}

TEEC_Result TEEC_RegisterSharedMemoryFileDescriptor(TEEC_Context *context, TEEC_SharedMemory *shared, int fd)
{
	struct ist_tee_shm *shm;

	if (is_bad(context, shared) || fd < 0)
		return TEEC_ERROR_BAD_PARAMETERS;
	if (ist_tee_shm_register_fd(context->imp, fd, &shm) != 0)
		return TEEC_ERROR_BAD_PARAMETERS;
	shared->buffer = NULL;
	shared->size = ist_tee_shm_size(shm);
	fill(shared, SHARED_FILE, context, shm);
	return TEEC_SUCCESS;
}

TEEC_Result TEEC_AllocateSharedMemory(TEEC_Context *context, TEEC_SharedMemory *shared)
{
	struct ist_tee_shm *shm;

	if (shared)
		shared->buffer = NULL;
	if (is_bad(context, shared))
		return TEEC_ERROR_BAD_PARAMETERS;
	shared->imp_kind = SHARED_NONE;
	if (ist_tee_shm_alloc(ist_tee_context_device(context->imp), context->imp,
	                      shared->size ? shared->size : 1, CLIENT, &shm))
		return TEEC_ERROR_OUT_OF_MEMORY;
	ist_tee_shm_get_va(shm, 0, &shared->buffer);
	fill(shared, SHARED_ALLOCATED, context, shm);
	return TEEC_SUCCESS;
}

void TEEC_ReleaseSharedMemory(TEEC_SharedMemory *shared)
{
	if (!shared || !shared_is_good(shared))
		return;
	if (shared->imp_kind == SHARED_ALLOCATED) {
		shared->buffer = NULL;
		shared->size = 0;
	}
	ist_tee_shm_put(shared->imp.shm);
	shared->imp_kind = SHARED_NONE;
	shared->imp.shm = NULL;
}
