/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee/tee.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define CAPS_KNOWN                                                                                           \
	(IST_TEE_CAP_GP | IST_TEE_CAP_PRIVILEGED | IST_TEE_CAP_REG_MEM | IST_TEE_CAP_MEMREF_NULL |           \
	 IST_TEE_CAP_NONE)
#define CAPS_DEFAULT (IST_TEE_CAP_GP | IST_TEE_CAP_REG_MEM | IST_TEE_CAP_MEMREF_NULL)
#define USER_PADDR (UINT64_C(1) << 56)
#define USER_PADDR_MAX (UINT64_C(1) << 62)
#define WAIT_NS 2000000

static int fill_config(struct ist_tee_device *device, const struct ist_tee_config *config)
{
	if (config)
		device->config = *config;
	if (device->config.caps & ~CAPS_KNOWN || device->config.user_paddr % IST_PAGE_SIZE ||
	    device->config.user_paddr > USER_PADDR_MAX)
		return -EINVAL;
	if (!device->config.caps)
		device->config.caps = CAPS_DEFAULT;
	device->config.caps &= ~IST_TEE_CAP_NONE;
	if (!device->config.user_paddr)
		device->config.user_paddr = USER_PADDR;
	if (!device->config.handler)
		device->config.handler = ist_tee_builtin();
	return 0;
}

int ist_tee_device_create(struct ist_manager *manager, const struct ist_tee_config *config,
                          struct ist_tee_device **out)
{
	struct ist_tee_device *device;
	int error;

	if (!manager || !out)
		return -EINVAL;
	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->manager = manager;
	device->driver = ist_manager_driver_pool(manager);
	device->client = ist_manager_client_pool(manager);
	error = fill_config(device, config);
	if (error) {
		free(device);
		return error;
	}
	ids_init(&device->shms, sizeof(struct ist_tee_shm));
	ids_init(&device->sessions, sizeof(struct session));
	supplicant_init(&device->supplicant);
	pthread_mutex_init(&device->lock, NULL);
	*out = device;
	return 0;
}

/* Release: pairs with the load in destroy, after which the device is freed. */
static inline void unuse(struct ist_tee_device *device, uint64_t how)
{
	atomic_fetch_sub_explicit(&device->users, how, memory_order_release);
}

/* Sequentially consistent, both here and in destroy: either we see that it is detached, or it sees us. */
static inline bool use(struct ist_tee_device *device, uint64_t how)
{
	atomic_fetch_add_explicit(&device->users, how, memory_order_seq_cst);
	if (!atomic_load_explicit(&device->detached, memory_order_seq_cst))
		return true;
	unuse(device, how);
	return false;
}

bool device_use(struct ist_tee_device *device)
{
	return use(device, 1);
}

void device_use_more(struct ist_tee_device *device)
{
	/* Relaxed: destroy finds the use that there is. */
	atomic_fetch_add_explicit(&device->users, 1, memory_order_relaxed);
}

void device_unuse(struct ist_tee_device *device)
{
	unuse(device, 1);
}

bool device_use_private(struct ist_tee_device *device)
{
	return use(device, DEVICE_PRIVATE);
}

void device_unuse_private(struct ist_tee_device *device)
{
	unuse(device, DEVICE_PRIVATE);
}

void ist_tee_device_detach(struct ist_tee_device *device)
{
	if (device)
		atomic_store_explicit(&device->detached, true, memory_order_seq_cst);
}

static void wait_for_users(struct ist_tee_device *device)
{
	const struct timespec moment = {.tv_nsec = WAIT_NS};

	while (atomic_load_explicit(&device->users, memory_order_seq_cst)) {
		if (!ist_tee_reap(0))
			nanosleep(&moment, NULL);
	}
}

int ist_tee_device_destroy(struct ist_tee_device *device, bool wait)
{
	if (!device)
		return -EINVAL;
	ist_tee_device_detach(device);
	ist_tee_reap(0);
	if (wait)
		wait_for_users(device);
	if (atomic_load_explicit(&device->users, memory_order_seq_cst))
		return -EBUSY;
	ids_drop(&device->shms);
	ids_drop(&device->sessions);
	supplicant_drop(&device->supplicant);
	pthread_mutex_destroy(&device->lock);
	free(device);
	return 0;
}

struct ist_manager *ist_tee_device_manager(const struct ist_tee_device *device)
{
	return device ? device->manager : NULL;
}

void ist_tee_device_version(struct ist_tee_device *device, struct ist_tee_version *out)
{
	if (device && out)
		*out = (struct ist_tee_version){IST_TEE_IMPL_OPTEE, IST_TEE_OPTEE_CAP_TZ,
		                                device->config.caps};
}

void ist_tee_device_stats(struct ist_tee_device *device, struct ist_tee_stats *out)
{
	if (!device || !out)
		return;
	/* Relaxed: counters that nobody draws conclusions from. */
	out->contexts = atomic_load_explicit(&device->contexts, memory_order_relaxed);
	out->shms = atomic_load_explicit(&device->live_shms, memory_order_relaxed) +
	            atomic_load_explicit(&device->users, memory_order_relaxed) / DEVICE_PRIVATE;
	out->registered = atomic_load_explicit(&device->registered, memory_order_relaxed);
	out->sessions = atomic_load_explicit(&device->live_sessions, memory_order_relaxed);
	out->calls = atomic_load_explicit(&device->calls, memory_order_relaxed);
	out->descriptors = atomic_load_explicit(&device->descriptors, memory_order_relaxed);
	out->messages = atomic_load_explicit(&device->messages, memory_order_relaxed);
}
