/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Contexts, and the device they are of. */
#include "teec/teec.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CARVE_OUT ((size_t)64 << 20)
#define DRIVER_POOL ((size_t)1 << 20)
#define PADDR UINT64_C(0x42000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ist_tee_device *chosen, *own; /* under the lock */
static void *own_carve_out;

/* At the end of the process, or when the library is closed: if nothing of it is in use. */
static void drop_own(void)
{
	struct ist_manager *manager = ist_tee_device_manager(own);
	void *carve_out = own_carve_out;

	if (own && ist_tee_device_destroy(own, false) == 0 && ist_manager_destroy(manager) == 0)
		munmap(carve_out, CARVE_OUT);
	own = NULL;
}

/* Under the lock. */
static struct ist_tee_device *make_own(void)
{
	struct ist_manager_config config = {
	        .paddr = PADDR, .size = CARVE_OUT, .driver_pool_size = DRIVER_POOL};
	struct ist_manager *manager;

	config.vaddr = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (config.vaddr == MAP_FAILED)
		return NULL;
	own_carve_out = config.vaddr;
	if (ist_manager_create(&config, &manager) != 0) {
		munmap(config.vaddr, CARVE_OUT);
		return NULL;
	}
	if (ist_tee_device_create(manager, NULL, &own) != 0) {
		ist_manager_destroy(manager);
		munmap(config.vaddr, CARVE_OUT);
		return NULL;
	}
	atexit(drop_own); /* without it, it stays */
	return own;
}

struct ist_tee_device *teec_device(void)
{
	struct ist_tee_device *device;

	pthread_mutex_lock(&lock);
	device = chosen ? chosen : own ? own : make_own();
	pthread_mutex_unlock(&lock);
	return device;
}

void TEEC_IsthmusUseDevice(struct ist_tee_device *device)
{
	pthread_mutex_lock(&lock);
	chosen = device;
	pthread_mutex_unlock(&lock);
}

TEEC_Result TEEC_InitializeContext(const char *name, TEEC_Context *context)
{
	struct ist_tee_version version = {.gen_caps = 0};
	struct ist_tee_device *device;

	if (!context)
		return TEEC_ERROR_BAD_PARAMETERS;
	if (name && strcmp(name, "optee-tz") != 0)
		return TEEC_ERROR_ITEM_NOT_FOUND;
	device = teec_device();
	ist_tee_device_version(device, &version);
	if (!(version.gen_caps & IST_TEE_CAP_GP) || ist_tee_context_open(device, &context->imp) != 0)
		return TEEC_ERROR_ITEM_NOT_FOUND;
	return TEEC_SUCCESS;
}

void TEEC_FinalizeContext(TEEC_Context *context)
{
	if (!context)
		return;
	ist_tee_context_close(context->imp);
	context->imp = NULL;
}
