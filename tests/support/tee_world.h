/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A TEE device over a carve-out in a memory file, a client's context in it, and the ioctls by name. */
#ifndef TESTS_TEE_WORLD_H
#define TESTS_TEE_WORLD_H

#include "support/support.h"

#include <errno.h>
#include <string.h>

struct tee {
	struct ist_manager *manager;
	void *memory;
	size_t size;
	struct ist_tee_device *device;
	struct ist_tee_context *context;
};

struct tee tee_make(size_t size, const struct ist_tee_config *config);
/* Asserts that nothing is left. */
void tee_drop(struct tee *tee);

/* A call as a client makes it: the header, and up to 8 parameters behind it. */
struct tee_call {
	struct ist_tee_ioc_buf buf;
	union {
		struct {
			struct ist_tee_ioc_open arg;
			struct ist_tee_ioc_param param[8];
		} open;
		struct {
			struct ist_tee_ioc_invoke arg;
			struct ist_tee_ioc_param param[8];
		} invoke;
	} u;
};

/* With a UUID of all 7; all parameters none. */
void tee_fill_open(struct tee_call *call, unsigned params);
void tee_fill_invoke(struct tee_call *call, uint32_t session, uint32_t func, unsigned params);
struct ist_tee_ioc_param tee_memref(uint64_t type, int32_t id, uint64_t offset, uint64_t size);

/* Asserts success: a session; a descriptor, and the id. */
uint32_t tee_session(struct ist_tee_context *context);
int tee_alloc(struct ist_tee_context *context, uint64_t size, int32_t *id);
int tee_register(struct ist_tee_context *context, void *addr, uint64_t length, int32_t *id);
/* Close, and let the library notice. */
void tee_close(int fd);

struct ist_tee_stats tee_stats(const struct tee *tee);
/* Descriptors of this process. */
int tee_open_fds(void);

#endif
