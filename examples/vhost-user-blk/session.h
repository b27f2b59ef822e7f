/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One front end, from when it connects until it has gone. All calls from the one thread that waits for events. */
#ifndef VHOST_USER_SESSION_H
#define VHOST_USER_SESSION_H

#include "blk.h"
#include "ring.h"
#include "wire.h"

#define SESSION_RINGS 4

/* What an event of the epoll instance is of. */
enum { EVENT_LISTEN, EVENT_SIGNAL, EVENT_SOCKET, EVENT_DONE, EVENT_KICK /* and the number of the ring */ };

struct session {
	struct wire wire;
	struct guest guest;
	struct blk *blk;
	int epoll;
	bool closing;
	const char *reason; /* why it is over */
	uint64_t features, protocol_features;
	uint64_t requests, refused; /* requests served; messages answered with an error */
	struct ring ring[SESSION_RINGS];
};

/* 0, or a negative errno value, with the socket closed. */
int session_open(struct session *session, int socket, struct ist_manager *manager, uint32_t owner,
                 struct blk *blk, int epoll);

/* Each returns 0, or a negative errno value when this session is over (see reason). */
int session_message(struct session *session); /* the socket can be read */
int session_kick(struct session *session, unsigned ring); /* the guest has put something into a ring */
int session_done(struct session *session); /* requests were carried out */

/* Waits for requests that are being carried out. Everything goes. 0, or a negative errno value when something of the guest is left. */
int session_close(struct session *session);

#endif
