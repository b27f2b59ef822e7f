/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The TEE Client API of GlobalPlatform, version 1.0, over a TEE device of this process: for programs that are written against it,
 * and want a TEE that is a library (libisthmus-teec). Types, values and sizes are those of OP-TEE's library, so it is a matter of
 * linking. What a function returns in which case is the specification's; where that leaves it open, OP-TEE's. Different on
 * purpose, for safety:
 *
 *  - releasing a zeroed TEEC_SharedMemory does nothing; a second release does nothing; release leaves buffer (of allocated
 *    memory) null and size 0;
 *  - a failed allocation leaves buffer null;
 *  - memory that is not there is refused when it is registered (TEEC_ERROR_BAD_PARAMETERS);
 *  - a `size` that was enlarged since is refused when it is used (TEEC_ERROR_BAD_PARAMETERS, TEEC_ORIGIN_API).
 *
 * Memory that cannot be registered (read-only; a device without that capability) is copied before and after each call.
 * Each function may be called by any thread, for different operations also at once. They may block. Not after fork in the child.
 */
#ifndef ISTHMUS_TEE_CLIENT_H
#define ISTHMUS_TEE_CLIENT_H

#include <isthmus/tee.h>

IST_BEGIN_DECLS

#define TEEC_CONFIG_PAYLOAD_REF_COUNT 4
#define TEEC_CONFIG_SHAREDMEM_MAX_SIZE SIZE_MAX

#define TEEC_NONE 0x0
#define TEEC_VALUE_INPUT 0x1
#define TEEC_VALUE_OUTPUT 0x2
#define TEEC_VALUE_INOUT 0x3
#define TEEC_MEMREF_TEMP_INPUT 0x5
#define TEEC_MEMREF_TEMP_OUTPUT 0x6
#define TEEC_MEMREF_TEMP_INOUT 0x7
#define TEEC_MEMREF_WHOLE 0xc
#define TEEC_MEMREF_PARTIAL_INPUT 0xd
#define TEEC_MEMREF_PARTIAL_OUTPUT 0xe
#define TEEC_MEMREF_PARTIAL_INOUT 0xf

#define TEEC_MEM_INPUT 0x1
#define TEEC_MEM_OUTPUT 0x2

#define TEEC_SUCCESS 0x00000000
#define TEEC_ERROR_GENERIC 0xffff0000
#define TEEC_ERROR_ACCESS_DENIED 0xffff0001
#define TEEC_ERROR_CANCEL 0xffff0002
#define TEEC_ERROR_ACCESS_CONFLICT 0xffff0003
#define TEEC_ERROR_EXCESS_DATA 0xffff0004
#define TEEC_ERROR_BAD_FORMAT 0xffff0005
#define TEEC_ERROR_BAD_PARAMETERS 0xffff0006
#define TEEC_ERROR_BAD_STATE 0xffff0007
#define TEEC_ERROR_ITEM_NOT_FOUND 0xffff0008
#define TEEC_ERROR_NOT_IMPLEMENTED 0xffff0009
#define TEEC_ERROR_NOT_SUPPORTED 0xffff000a
#define TEEC_ERROR_NO_DATA 0xffff000b
#define TEEC_ERROR_OUT_OF_MEMORY 0xffff000c
#define TEEC_ERROR_BUSY 0xffff000d
#define TEEC_ERROR_COMMUNICATION 0xffff000e
#define TEEC_ERROR_SECURITY 0xffff000f
#define TEEC_ERROR_SHORT_BUFFER 0xffff0010
#define TEEC_ERROR_EXTERNAL_CANCEL 0xffff0011
#define TEEC_ERROR_TARGET_DEAD 0xffff3024

#define TEEC_ORIGIN_API 0x1
#define TEEC_ORIGIN_COMMS 0x2
#define TEEC_ORIGIN_TEE 0x3
#define TEEC_ORIGIN_TRUSTED_APP 0x4

#define TEEC_LOGIN_PUBLIC 0x0
#define TEEC_LOGIN_USER 0x1
#define TEEC_LOGIN_GROUP 0x2
#define TEEC_LOGIN_APPLICATION 0x4
#define TEEC_LOGIN_USER_APPLICATION 0x5
#define TEEC_LOGIN_GROUP_APPLICATION 0x6

#define TEEC_PARAM_TYPES(p0, p1, p2, p3) ((p0) | ((p1) << 4) | ((p2) << 8) | ((p3) << 12))
#define TEEC_PARAM_TYPE_GET(p, i) (((p) >> ((i)*4)) & 0xf)

typedef uint32_t TEEC_Result;

/* Members named imp are the library's. */
typedef struct {
	struct ist_tee_context *imp;
} TEEC_Context;

typedef struct {
	uint32_t timeLow;
	uint16_t timeMid, timeHiAndVersion;
	uint8_t clockSeqAndNode[8];
} TEEC_UUID;

typedef struct {
	void *buffer;
	size_t size;
	uint32_t flags;
	uint32_t imp_kind;
	struct {
		struct ist_tee_shm *shm;
		struct ist_tee_context *context;
		size_t size; /* as it was when it was made */
		uint64_t check;
	} imp;
} TEEC_SharedMemory;

typedef struct {
	void *buffer;
	size_t size;
} TEEC_TempMemoryReference;

typedef struct {
	TEEC_SharedMemory *parent;
	size_t size;
	size_t offset;
} TEEC_RegisteredMemoryReference;

typedef struct {
	uint32_t a, b;
} TEEC_Value;

typedef union {
	TEEC_TempMemoryReference tmpref;
	TEEC_RegisteredMemoryReference memref;
	TEEC_Value value;
} TEEC_Parameter;

typedef struct {
	TEEC_Context *context;
	uint32_t imp;
} TEEC_Session;

typedef struct {
	uint32_t started;
	uint32_t paramTypes;
	TEEC_Parameter params[TEEC_CONFIG_PAYLOAD_REF_COUNT];
	TEEC_Session *imp;
} TEEC_Operation;

IST_API TEEC_Result TEEC_InitializeContext(const char *name, TEEC_Context *context);
IST_API void TEEC_FinalizeContext(TEEC_Context *context);
IST_API TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session,
                                     const TEEC_UUID *destination, uint32_t connectionMethod,
                                     const void *connectionData, TEEC_Operation *operation,
                                     uint32_t *returnOrigin);
IST_API void TEEC_CloseSession(TEEC_Session *session);
IST_API TEEC_Result TEEC_InvokeCommand(TEEC_Session *session, uint32_t commandID, TEEC_Operation *operation,
                                       uint32_t *returnOrigin);
IST_API TEEC_Result TEEC_RegisterSharedMemory(TEEC_Context *context, TEEC_SharedMemory *sharedMem);
IST_API TEEC_Result TEEC_RegisterSharedMemoryFileDescriptor(TEEC_Context *context,
                                                            TEEC_SharedMemory *sharedMem, int fd);
IST_API TEEC_Result TEEC_AllocateSharedMemory(TEEC_Context *context, TEEC_SharedMemory *sharedMem);
IST_API void TEEC_ReleaseSharedMemory(TEEC_SharedMemory *sharedMem);
IST_API void TEEC_RequestCancellation(TEEC_Operation *operation);

/*
 * Which device contexts are made of from now on; null: the library's own, which it makes at the first need, with ist_tee_builtin and a
 * carve-out of 64 MiB. The device stays there as long as contexts of it.
 */
IST_API void TEEC_IsthmusUseDevice(struct ist_tee_device *device);

IST_END_DECLS

#endif
