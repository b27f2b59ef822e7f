/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee_floor.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tee/packet.h"

enum { BYTES = 64 };

static int floor_socket = -1;

bool tee_floor_begin(void)
{
	char data[BYTES];
	int both[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both) != 0)
		return false;
	floor_socket = both[0];
	switch (fork()) {
	case -1:
		return false;
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(both[0]);
		fd = memfd_create("floor", MFD_CLOEXEC);
		while (recv(both[1], data, sizeof(data), 0) > 0)
			packet_send(both[1], data, sizeof(data), fd);
		_exit(0);
	default:
		close(both[1]);
		return true;
	}
}

int tee_floor_ask(void)
{
	char data[BYTES] = {0};
	int fds[PACKET_FDS];

	if (packet_send(floor_socket, data, sizeof(data), -1) != 0 ||
	    packet_receive(floor_socket, data, sizeof(data), fds) != 1)
		return -1;
	return fds[0];
}
