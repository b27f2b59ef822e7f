/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef TEED_SERVER_H
#define TEED_SERVER_H

#include <isthmus/tee.h>

#define SERVER_DEVICES 10

struct server {
	struct ist_manager *manager;
	struct ist_tee_device *device[SERVER_DEVICES];
};

/* Serve a connection until it ends, by threads of its own. The socket is its own from now on. 0, or a negative errno value. */
int client_serve(struct server *server, int socket);

/* How many are connected. */
unsigned client_count(void);

#endif
