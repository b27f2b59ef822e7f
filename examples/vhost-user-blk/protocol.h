/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * vhost-user messages, as they come over the socket: those that a block device needs.
 * Source: docs/interop/vhost-user.rst of QEMU.
 */
#ifndef VHOST_USER_PROTOCOL_H
#define VHOST_USER_PROTOCOL_H

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "virtio 1 is little endian, and so must be this host");

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_REQUESTS
};

/* Flags of a message. */
#define VU_VERSION 1u
#define VU_VERSION_MASK 3u
#define VU_REPLY 4u
#define VU_NEED_REPLY 8u

/* Beside virtio's own features: the front end knows protocol features. */
#define VU_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)

#define VU_PROTOCOL_MQ (UINT64_C(1) << 0)
#define VU_PROTOCOL_REPLY_ACK (UINT64_C(1) << 3)
#define VU_PROTOCOL_CONFIG (UINT64_C(1) << 9)
#define VU_PROTOCOL_MEM_SLOTS (UINT64_C(1) << 15)

/* Of KICK, CALL and ERR: which ring, and that no descriptor comes with it. */
#define VU_RING_MASK UINT64_C(0xff)
#define VU_NO_FD UINT64_C(0x100)

#define VU_TABLE_REGIONS 8 /* in one SET_MEM_TABLE, and descriptors of a message */
#define VU_CONFIG_BYTES 256

struct vu_header {
	uint32_t request, flags, size; /* size: bytes of what follows */
};

/* A stretch of guest memory: where the guest has it, where the front end has it, and where in the descriptor's file it begins. */
struct vu_region {
	uint64_t paddr, size, user, offset;
};

struct vu_ring_state {
	uint32_t ring, value;
};

/* Addresses are the front end's own (`user` of a region), not the guest's. */
struct vu_ring_addr {
	uint32_t ring, flags;
	uint64_t desc, used, avail, log;
};

struct vu_mem_table {
	uint32_t count, padding;
	struct vu_region region[VU_TABLE_REGIONS];
};

struct vu_one_region {
	uint64_t padding;
	struct vu_region region;
};

struct vu_config {
	uint32_t offset, size, flags;
	uint8_t data[VU_CONFIG_BYTES];
};

union vu_payload {
	uint64_t u64;
	struct vu_ring_state state;
	struct vu_ring_addr addr;
	struct vu_mem_table table;
	struct vu_one_region one;
	struct vu_config config;
};

#endif
