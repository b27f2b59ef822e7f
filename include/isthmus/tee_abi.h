/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Numbers and structures of the ioctl calls of Linux's /dev/teeN, as far as shared memory is concerned. All fields have a
 * fixed width, so the layout is the same on every 64-bit host. Source: include/uapi/linux/tee.h of Linux.
 */
#ifndef ISTHMUS_TEE_ABI_H
#define ISTHMUS_TEE_ABI_H

#include <isthmus/types.h>

/* The whole number is compared, as 32 bits: its direction bits do not say in which direction data really goes. */
#define IST_TEE_IOC_VERSION 0x800ca400u
#define IST_TEE_IOC_SHM_ALLOC 0xc010a401u
#define IST_TEE_IOC_OPEN_SESSION 0x8010a402u
#define IST_TEE_IOC_INVOKE 0x8010a403u
#define IST_TEE_IOC_CANCEL 0x8008a404u
#define IST_TEE_IOC_CLOSE_SESSION 0x8004a405u
#define IST_TEE_IOC_SUPPL_RECV 0x8010a406u
#define IST_TEE_IOC_SUPPL_SEND 0x8010a407u
#define IST_TEE_IOC_SHM_REGISTER_FD 0xc018a408u
#define IST_TEE_IOC_SHM_REGISTER 0xc018a409u

#define IST_TEE_IMPL_OPTEE 1u
#define IST_TEE_OPTEE_CAP_TZ 1u
/* Capabilities: of a device's version, and in ist_tee_config.caps. */
#define IST_TEE_CAP_GP 1u
#define IST_TEE_CAP_PRIVILEGED 2u
#define IST_TEE_CAP_REG_MEM 4u
#define IST_TEE_CAP_MEMREF_NULL 8u

#define IST_TEE_ARG_MAX 1024u /* bytes of an OPEN_SESSION or INVOKE buffer */
#define IST_TEE_PARAMS_MAX 6u /* of an INVOKE; two fewer of an OPEN_SESSION */
#define IST_TEE_MEMREF_NULL UINT64_MAX /* instead of an id */

/* Types of a parameter. */
#define IST_TEE_PARAM_NONE 0u
#define IST_TEE_PARAM_VALUE_IN 1u
#define IST_TEE_PARAM_VALUE_OUT 2u
#define IST_TEE_PARAM_VALUE_INOUT 3u
#define IST_TEE_PARAM_MEMREF_IN 5u
#define IST_TEE_PARAM_MEMREF_OUT 6u
#define IST_TEE_PARAM_MEMREF_INOUT 7u
#define IST_TEE_PARAM_TYPE_MASK 0xffu
#define IST_TEE_PARAM_META 0x100u

/* What a supplicant is asked for memory with: one VALUE_INOUT. ALLOC: 0, bytes, 0; it answers with an id in c. FREE: 0, the id, 0. */
#define IST_TEE_SUPPLICANT_ALLOC 6u
#define IST_TEE_SUPPLICANT_FREE 7u

/* Logins that belong to the kernel alone. */
#define IST_TEE_LOGIN_KERNEL_MIN 0x80000000u
#define IST_TEE_LOGIN_KERNEL_MAX 0xbfffffffu

struct ist_tee_version {
	uint32_t impl_id, impl_caps, gen_caps;
};

struct ist_tee_ioc_alloc {
	uint64_t size; /* in: asked for; out: whole pages */
	uint32_t flags; /* 0 */
	int32_t id; /* out */
};

struct ist_tee_ioc_register {
	uint64_t addr, length;
	uint32_t flags; /* 0 */
	int32_t id; /* out */
};

struct ist_tee_ioc_register_fd {
	int64_t fd;
	uint64_t size; /* out */
	uint32_t flags; /* 0 */
	int32_t id; /* out */
};

struct ist_tee_ioc_buf {
	uint64_t buf_ptr, buf_len;
};

struct ist_tee_ioc_param {
	uint64_t attr;
	uint64_t a, b, c; /* values; or of a memory reference: offset, size, id */
};

struct ist_tee_ioc_open {
	uint8_t uuid[16], client_uuid[16];
	uint32_t login, cancel_id;
	uint32_t session, ret, ret_origin; /* out */
	uint32_t num_params; /* that many struct ist_tee_ioc_param follow */
};

struct ist_tee_ioc_invoke {
	uint32_t func, session, cancel_id;
	uint32_t ret, ret_origin; /* out */
	uint32_t num_params;
};

struct ist_tee_ioc_recv {
	uint32_t func; /* out */
	uint32_t num_params; /* in: how many follow; out: how many are used */
};

struct ist_tee_ioc_send {
	uint32_t ret;
	uint32_t num_params;
};

struct ist_tee_ioc_cancel {
	uint32_t cancel_id, session;
};

struct ist_tee_ioc_close {
	uint32_t session;
};

/* What the trusted side answers. The ioctl itself returns 0 then. */
#define IST_TEE_SUCCESS 0u
#define IST_TEE_ERROR_GENERIC 0xffff0000u
#define IST_TEE_ERROR_ACCESS_DENIED 0xffff0001u
#define IST_TEE_ERROR_CANCEL 0xffff0002u
#define IST_TEE_ERROR_BAD_PARAMETERS 0xffff0006u
#define IST_TEE_ERROR_ITEM_NOT_FOUND 0xffff0008u
#define IST_TEE_ERROR_NOT_IMPLEMENTED 0xffff0009u
#define IST_TEE_ERROR_NOT_SUPPORTED 0xffff000au
#define IST_TEE_ERROR_OUT_OF_MEMORY 0xffff000cu
#define IST_TEE_ERROR_COMMUNICATION 0xffff000eu
#define IST_TEE_ERROR_SECURITY 0xffff000fu
#define IST_TEE_ERROR_SHORT_BUFFER 0xffff0010u
#define IST_TEE_ORIGIN_API 1u
#define IST_TEE_ORIGIN_COMMS 2u
#define IST_TEE_ORIGIN_TEE 3u
#define IST_TEE_ORIGIN_TRUSTED_APP 4u

#endif
