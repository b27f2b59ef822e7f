/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * How a thread asks a server (tee/remote.h): with each request it sends one end of a pair of sockets, to be answered on the other.
 * If it asks much over one context, it gets a line of that context, over which both go without a descriptor; for any other
 * context the pair is still there.
 */
#ifndef PRELOAD_LINES_H
#define PRELOAD_LINES_H

#include "tee/remote.h"

/*
 * Ask over the socket of a context, whose key is `context` (0: not open yet, or what is asked for may last, and must not be cut off when
 * somebody closes the socket meanwhile: then no line is used), and wait for the answer; `file` goes with it if it is not
 * negative. A descriptor that comes with the answer, not close-on-exec, is in *fd, or -1. 0; -EMFILE, -ENOMEM nothing was sent;
 * -EBADF; -ENODEV the server, or the context, is gone.
 */
int lines_ask(int socket, uint64_t context, const struct remote_request *request, int file,
              struct remote_reply *reply, int *fd);

#endif
