/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Messages over the socket, with descriptors. Neither direction ever waits for the peer. */
#ifndef VHOST_USER_WIRE_H
#define VHOST_USER_WIRE_H

#include <stddef.h>

#include "protocol.h"

/* A message as it is being received. Descriptors in fd are ours to close; who takes one puts -1 in its place. */
struct wire {
	int socket;
	struct vu_header header;
	union vu_payload payload;
	int fd[VU_TABLE_REGIONS];
	unsigned fds;
	size_t have; /* bytes of header and payload */
};

void wire_open(struct wire *wire, int socket);
void wire_close(struct wire *wire);

/*
 * Receive what is there. 1: a message is whole; 0: not yet; -ECONNRESET the peer has gone; -EPROTO not of this protocol (version,
 * length, too many descriptors), or another negative errno value: the connection is of no use any more.
 */
int wire_receive(struct wire *wire);

/* Make ready for the next message: closes the descriptors that nobody took. */
void wire_next(struct wire *wire);

/* Answer the message at hand with `size` bytes. 0, or a negative errno value, also if the peer does not read its answers. */
int wire_reply(struct wire *wire, const void *payload, size_t size);

#endif
