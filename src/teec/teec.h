/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef TEEC_TEEC_H
#define TEEC_TEEC_H

#include <isthmus/tee_client.h>

/* What a TEEC_SharedMemory is. Zero: none; whatever else is not of these: not ours either. */
enum shared_kind {
	SHARED_NONE,
	SHARED_ALLOCATED = 0x15e0001,
	SHARED_REGISTERED,
	SHARED_SHADOW, /* registered, but the trusted side sees a copy */
	SHARED_EMPTY, /* registered with size 0: there is nothing to share */
	SHARED_FILE,
};

/* device.c: null and an error code: there is none. */
struct ist_tee_device *teec_device(void);

/* memory.c: whether it was made by this library and is alive, as far as the struct itself says. */
bool shared_is_good(const TEEC_SharedMemory *shared);
/* Memory of the caller for the trusted side, until ist_tee_shm_put: itself, or (*shadow) a copy that is still empty. */
TEEC_Result shared_make(struct ist_tee_context *context, void *buffer, size_t size, struct ist_tee_shm **out,
                        bool *shadow);
bool context_has(struct ist_tee_context *context, uint32_t capability);

#endif
