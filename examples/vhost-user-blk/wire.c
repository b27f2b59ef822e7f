/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void wire_open(struct wire *wire, int socket)
{
	memset(wire, 0, sizeof(*wire));
	wire->socket = socket;
}

void wire_next(struct wire *wire)
{
	for (unsigned i = 0; i < wire->fds; i++) {
		if (wire->fd[i] >= 0)
			close(wire->fd[i]);
	}
	wire->fds = 0;
	wire->have = 0;
}

void wire_close(struct wire *wire)
{
	wire_next(wire);
	close(wire->socket);
	wire->socket = -1;
}

/* Every descriptor that came is either kept or closed, also if there were more than fit. */
static int keep_descriptors(struct wire *wire, struct msghdr *message)
{
	int error = message->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		const unsigned char *at = CMSG_DATA(part);
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, at + i * sizeof(int), sizeof(fd));
			if (wire->fds < VU_TABLE_REGIONS) {
				wire->fd[wire->fds++] = fd;
			} else {
				close(fd);
				error = -EPROTO;
			}
		}
	}
	return error;
}

static int receive_some(struct wire *wire, void *to, size_t room)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * VU_TABLE_REGIONS)];
	} control;
	struct iovec part = {to, room};
	struct msghdr message = {
	        .msg_iov = &part,
	        .msg_iovlen = 1,
	        .msg_control = &control,
	        .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(wire->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int error;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	error = keep_descriptors(wire, &message);
	if (error)
		return error;
	if (got == 0)
		return -ECONNRESET;
	wire->have += (size_t)got;
	return 1;
}

static int check_header(const struct vu_header *header)
{
	return (header->flags & VU_VERSION_MASK) != VU_VERSION || (header->flags & VU_REPLY) ||
	                       header->size > sizeof(union vu_payload)
	               ? -EPROTO
	               : 0;
}

int wire_receive(struct wire *wire)
{
	for (;;) {
		size_t head = sizeof(wire->header), have = wire->have;
		char *to =
		        have < head ? (char *)&wire->header + have : (char *)&wire->payload + (have - head);
		size_t whole = have < head ? head : head + wire->header.size;
		int got = have < whole ? receive_some(wire, to, whole - have) : 1;

		if (got <= 0)
			return got;
		if (have < head && wire->have == head) {
			memset(&wire->payload, 0, sizeof(wire->payload));
			got = check_header(&wire->header);
			if (got)
				return got;
		}
		if (wire->have >= head && wire->have == head + wire->header.size)
			return 1;
	}
}

int wire_reply(struct wire *wire, const void *payload, size_t size)
{
	char bytes[sizeof(struct vu_header) + sizeof(union vu_payload)];
	struct vu_header header = {wire->header.request, VU_VERSION | VU_REPLY, (uint32_t)size};
	size_t whole = sizeof(header) + size;
	ssize_t sent;

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), payload, size);
	sent = send(wire->socket, bytes, whole, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return (size_t)sent == whole ? 0 : -EPROTO;
}
