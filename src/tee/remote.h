/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What a client (preload/remote.c) and the server (teed/) say to each other: packets over a SOCK_SEQPACKET socket of the UNIX
 * family. A connection is a context: all who have its descriptor share it, and it ends with the last of them.
 *
 * A request brings a socket on which to answer it, so that several threads and processes can ask over one connection. Who asks
 * often hands in such a socket once, as a line: from then on he asks and is answered over it, with no descriptor sent along. A line
 * does not keep the context, and is shut with it. Both sides trust nothing: packets have one size each, and what is in them is checked like an ioctl's arguments.
 *
 * Memory that a client registers stays the client's: the server gives it a shadow, a memory file of the same length, and the client
 * copies before and after each call. No process reads another one's memory.
 */
#ifndef TEE_REMOTE_H
#define TEE_REMOTE_H

#include <isthmus/tee_abi.h>

#define REMOTE_MAGIC 0x74656531u
#define REMOTE_PRIVILEGED 16u
#define REMOTE_KEYS 16u
#define REMOTE_ALL_KEYS UINT32_MAX /* in the place of their number: too many, or unknown which */

enum remote_op {
	REMOTE_OPEN, /* the first of a connection: `device` is opened */
	REMOTE_IOCTL,
	REMOTE_CLOSED, /* keys alone; no answer, and no socket for one */
	REMOTE_LINE, /* the socket that comes along is a line from now on, if it is answered with 0 */
};

struct remote_request {
	uint32_t magic, op;
	uint32_t device, command; /* device: REMOTE_PRIVILEGED more for a supplicant's */
	uint32_t key_count, buf_bytes;
	uint64_t key[REMOTE_KEYS]; /* of descriptors that were closed (ist_tee_reap) */
	uint64_t arg[3]; /* the ioctl's; buf_ptr means nothing */
	unsigned char buf[IST_TEE_ARG_MAX];
};

struct remote_reply {
	int64_t answer; /* 0, or a negative errno value; a descriptor comes beside it, and counts as 0 */
	uint64_t key; /* of that descriptor; 0: there is none. The client says so if it got lost on the way */
	uint64_t arg[3];
	unsigned char buf[IST_TEE_ARG_MAX];
};

/* What descriptors are known by, wherever they came from: the permissions of their file, and of the client's socket. */
#define REMOTE_MODE_MASK 07777u
#define REMOTE_MODE_MAP 01602u
#define REMOTE_MODE_REGISTERED 01604u
#define REMOTE_MODE_CONTEXT 01606u

#endif
