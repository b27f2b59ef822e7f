/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Packets with descriptors, over sockets. */
#ifndef TEE_PACKET_H
#define TEE_PACKET_H

#include <stdbool.h>
#include <stddef.h>

#define PACKET_FDS 2

/*
 * Receive one packet of exactly `bytes`: 1; 0 at the end of the connection; -EPROTO another size; or a negative errno value.
 * Descriptors that came (at most PACKET_FDS, others are closed) are the caller's, whatever the answer; those that did not are -1.
 */
int packet_receive(int socket, void *to, size_t bytes, int fds[PACKET_FDS]);
/* The same; the descriptors are not close-on-exec if `inherited`. */
int packet_receive_as(int socket, void *to, size_t bytes, int fds[PACKET_FDS], bool inherited);

/* Send without waiting, with a descriptor or (negative) none. 0, or a negative errno value. */
int packet_send(int socket, const void *from, size_t bytes, int fd);
/* The same, waiting until there is room, with one descriptor or (the second is not negative) two. */
int packet_send_and_wait(int socket, const void *from, size_t bytes, const int fds[PACKET_FDS]);

#endif
