/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee/packet.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one more than wanted: who sends more has sent too many. */
#define ROOM (PACKET_FDS + 2)

static void take_fds(struct msghdr *message, int fds[PACKET_FDS])
{
	int count = 0;

	for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each)) {
		size_t here = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(each) + i * sizeof(fd), sizeof(fd));
			if (count < PACKET_FDS)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
}

int packet_receive(int socket, void *to, size_t bytes, int fds[PACKET_FDS])
{
	return packet_receive_as(socket, to, bytes, fds, false);
}

int packet_receive_as(int socket, void *to, size_t bytes, int fds[PACKET_FDS], bool inherited)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(ROOM * sizeof(int))];
	} control;
	struct iovec data = {to, bytes};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = sizeof(control)};
	ssize_t got;

	for (int i = 0; i < PACKET_FDS; i++)
		fds[i] = -1;
	do
		got = recvmsg(socket, &message, inherited ? 0 : MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	take_fds(&message, fds);
	if (got == 0)
		return 0;
	return (size_t)got == bytes && !(message.msg_flags & MSG_TRUNC) ? 1 : -EPROTO;
}

/* With the first `count` of the descriptors. */
static ssize_t send_with(int socket, const void *from, size_t bytes, const int fds[PACKET_FDS], size_t count,
                         int flags)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(PACKET_FDS * sizeof(int))];
	} control = {.room = {0}};
	struct iovec data = {(void *)(uintptr_t)from, bytes};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	struct cmsghdr *header;

	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | flags);
}

int packet_send(int socket, const void *from, size_t bytes, int fd)
{
	const int fds[PACKET_FDS] = {fd, -1};

	return send_with(socket, from, bytes, fds, fd >= 0, MSG_DONTWAIT) == (ssize_t)bytes ? 0 : -errno;
}

int packet_send_and_wait(int socket, const void *from, size_t bytes, const int fds[PACKET_FDS])
{
	ssize_t sent;

	do
		sent = send_with(socket, from, bytes, fds, fds[1] >= 0 ? 2 : 1, 0);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}
