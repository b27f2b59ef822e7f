/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "guest/front.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/support.h"

#define PATIENCE_MS 20000

static char *make_memory(int *fd, size_t size)
{
	char *at;

	*fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)size), 0);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(at != MAP_FAILED);
	return at;
}

/* Rings from the start of RAM on, 16 KiB for each queue. */
static void make_queue(struct front *front, unsigned number)
{
	struct front_queue *queue = &front->queue[number];
	char *at = front->ram + number * 16 * KIB;

	queue->desc = (struct vring_desc *)(void *)at;
	queue->avail = (struct vring_avail *)(void *)(at + 4 * KIB);
	queue->used = (struct vring_used *)(void *)(at + 8 * KIB);
	queue->free = queue->seen = 0;
	queue->kick = eventfd(0, EFD_CLOEXEC);
	queue->call = eventfd(0, EFD_CLOEXEC);
	queue->err = eventfd(0, EFD_CLOEXEC);
	assert_true(queue->kick >= 0 && queue->call >= 0 && queue->err >= 0);
}

void front_open(struct front *front, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(front, 0, sizeof(*front));
	front->ram = make_memory(&front->memory, FRONT_RAM);
	front->more = make_memory(&front->extra, FRONT_EXTRA);
	front->at = (struct vu_region){0, FRONT_RAM, (uintptr_t)front->ram, 0};
	front->more_at = (struct vu_region){FRONT_RAM, FRONT_EXTRA, (uintptr_t)front->more, 0};
	for (unsigned i = 0; i < FRONT_QUEUES; i++)
		make_queue(front, i);
	front->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(front->socket, (struct sockaddr *)&address, sizeof(address)), 0);
}

void front_close(struct front *front)
{
	close(front->socket);
	for (unsigned i = 0; i < FRONT_QUEUES; i++) {
		close(front->queue[i].kick);
		close(front->queue[i].call);
		close(front->queue[i].err);
	}
	munmap(front->ram, FRONT_RAM);
	munmap(front->more, FRONT_EXTRA);
	close(front->memory);
	close(front->extra);
}

bool front_send(struct front *front, uint32_t request, uint32_t flags, const void *payload, size_t size,
                const int *fd, unsigned fds)
{
	struct vu_header header = {request, flags | VU_VERSION, (uint32_t)size};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
	} control = {0};
	struct iovec part[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
	struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

	assert_true(fds <= 64);
	if (fds > 0) {
		struct cmsghdr *rights = &control.align;

		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		memcpy(CMSG_DATA(rights), fd, sizeof(int) * fds);
	}
	return sendmsg(front->socket, &message, MSG_NOSIGNAL) == (ssize_t)(sizeof(header) + size);
}

/* False: closed. */
static bool receive_all(int from, void *to, size_t size)
{
	struct pollfd ready = {.fd = from, .events = POLLIN};
	char *at = to;

	while (size > 0) {
		ssize_t got;

		if (poll(&ready, 1, PATIENCE_MS) != 1)
			fail_msg("the back end does not answer");
		got = recv(from, at, size, 0);
		if (got <= 0)
			return false;
		at += got;
		size -= (size_t)got;
	}
	return true;
}

int front_receive(struct front *front, void *payload, size_t room)
{
	struct vu_header header;

	if (!receive_all(front->socket, &header, sizeof(header)))
		return -1;
	assert_int_equal(header.flags, VU_VERSION | VU_REPLY);
	assert_true(header.size <= room);
	return receive_all(front->socket, payload, header.size) ? (int)header.size : -1;
}

int front_ask(struct front *front, uint32_t request, const void *payload, size_t size, int fd)
{
	uint64_t answer = 0;

	if (!front_send(front, request, VU_NEED_REPLY, payload, size, &fd, fd >= 0 ? 1 : 0))
		return -1;
	if (front_receive(front, &answer, sizeof(answer)) != sizeof(answer))
		return -1;
	return answer != 0;
}

static uint64_t get_u64(struct front *front, uint32_t request)
{
	uint64_t value = 0;

	assert_true(front_send(front, request, 0, NULL, 0, NULL, 0));
	assert_int_equal(front_receive(front, &value, sizeof(value)), sizeof(value));
	return value;
}

void front_negotiate(struct front *front, uint64_t features, uint64_t protocol)
{
	uint64_t offered = get_u64(front, VU_GET_FEATURES), offered_protocol;

	assert_true((offered & features) == features);
	if (features & VU_F_PROTOCOL_FEATURES) {
		offered_protocol = get_u64(front, VU_GET_PROTOCOL_FEATURES);
		assert_true((offered_protocol & protocol) == protocol);
		assert_true(
		        front_send(front, VU_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0));
	}
	assert_true(front_send(front, VU_SET_OWNER, 0, NULL, 0, NULL, 0));
	assert_true(front_send(front, VU_SET_FEATURES, 0, &features, sizeof(features), NULL, 0));
}

void front_set_memory(struct front *front)
{
	struct vu_one_region one = {.region = front->at};

	assert_int_equal(front_ask(front, VU_ADD_MEM_REG, &one, sizeof(one), front->memory), 0);
}

int front_add_extra(struct front *front)
{
	struct vu_one_region one = {.region = front->more_at};

	return front_ask(front, VU_ADD_MEM_REG, &one, sizeof(one), front->extra);
}

int front_remove_extra(struct front *front)
{
	struct vu_one_region one = {.region = front->more_at};

	return front_ask(front, VU_REM_MEM_REG, &one, sizeof(one), -1);
}

static void set_ring_fd(struct front *front, uint32_t request, unsigned queue, int fd)
{
	uint64_t number = queue;

	assert_true(front_send(front, request, 0, &number, sizeof(number), &fd, 1));
}

void front_set_ring(struct front *front, unsigned queue)
{
	struct front_queue *ring = &front->queue[queue];
	struct vu_ring_state size = {queue, FRONT_RING}, base = {queue, 0}, on = {queue, 1};
	struct vu_ring_addr addr = {.ring = queue,
	                            .desc = (uintptr_t)ring->desc,
	                            .avail = (uintptr_t)ring->avail,
	                            .used = (uintptr_t)ring->used};

	assert_true(front_send(front, VU_SET_VRING_NUM, 0, &size, sizeof(size), NULL, 0));
	assert_true(front_send(front, VU_SET_VRING_BASE, 0, &base, sizeof(base), NULL, 0));
	assert_true(front_send(front, VU_SET_VRING_ADDR, 0, &addr, sizeof(addr), NULL, 0));
	set_ring_fd(front, VU_SET_VRING_CALL, queue, ring->call);
	set_ring_fd(front, VU_SET_VRING_ERR, queue, ring->err);
	set_ring_fd(front, VU_SET_VRING_KICK, queue, ring->kick);
	assert_true(front_send(front, VU_SET_VRING_ENABLE, 0, &on, sizeof(on), NULL, 0));
}

void front_start(struct front *front)
{
	front_negotiate(front,
	                (UINT64_C(1) << VIRTIO_F_VERSION_1) | (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC) |
	                        (UINT64_C(1) << VIRTIO_BLK_F_FLUSH) | VU_F_PROTOCOL_FEATURES,
	                VU_PROTOCOL_MQ | VU_PROTOCOL_REPLY_ACK | VU_PROTOCOL_CONFIG | VU_PROTOCOL_MEM_SLOTS);
	front_set_memory(front);
	for (unsigned i = 0; i < FRONT_QUEUES; i++)
		front_set_ring(front, i);
	front_sync(front);
}

void front_sync(struct front *front)
{
	(void)get_u64(front, VU_GET_FEATURES);
}

void front_await(int event)
{
	struct pollfd ready = {.fd = event, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

static void fill_desc(struct vring_desc *desc, const struct part *part, bool is_last, uint16_t next)
{
	desc->addr = part->paddr;
	desc->len = part->size;
	desc->flags =
	        (uint16_t)((part->written ? VRING_DESC_F_WRITE : 0) | (is_last ? 0 : VRING_DESC_F_NEXT));
	desc->next = is_last ? 0 : next;
}

uint16_t front_chain(struct front *front, unsigned queue, const struct part *part, unsigned parts)
{
	struct front_queue *ring = &front->queue[queue];
	uint16_t head = ring->free;

	for (unsigned i = 0; i < parts; i++) {
		uint16_t at = ring->free;

		ring->free = (uint16_t)((at + 1) % FRONT_RING);
		fill_desc(&ring->desc[at], &part[i], i + 1 == parts, ring->free);
	}
	return head;
}

uint16_t front_indirect(struct front *front, unsigned queue, uint64_t table, const struct part *part,
                        unsigned parts)
{
	struct vring_desc *desc = (struct vring_desc *)(void *)(front->ram + table);
	struct part whole = {table, (uint32_t)sizeof(*desc) * parts, false};
	uint16_t head = front_chain(front, queue, &whole, 1);

	for (unsigned i = 0; i < parts; i++)
		fill_desc(&desc[i], &part[i], i + 1 == parts, (uint16_t)(i + 1));
	front->queue[queue].desc[head].flags = VRING_DESC_F_INDIRECT;
	return head;
}

/* What is in the chain is seen by whoever sees the index. */
void front_submit(struct front *front, unsigned queue, uint16_t head)
{
	struct front_queue *ring = &front->queue[queue];
	uint16_t index = ring->avail->idx;

	ring->avail->ring[index % FRONT_RING] = head;
	atomic_store_explicit((_Atomic uint16_t *)&ring->avail->idx, (uint16_t)(index + 1),
	                      memory_order_release);
	assert_int_equal(eventfd_write(ring->kick, 1), 0);
}

/* Whether there is something, which is then taken. */
static bool take_used(struct front_queue *ring, struct vring_used_elem *element)
{
	if (atomic_load_explicit((_Atomic uint16_t *)&ring->used->idx, memory_order_acquire) == ring->seen)
		return false;
	*element = ring->used->ring[ring->seen++ % FRONT_RING];
	return true;
}

int front_wait(struct front *front, unsigned queue, struct vring_used_elem *element)
{
	struct front_queue *ring = &front->queue[queue];
	struct pollfd events[3] = {
	        {ring->call, POLLIN, 0}, {ring->err, POLLIN, 0}, {front->socket, POLLIN, 0}};
	eventfd_t count;

	for (;;) {
		if (take_used(ring, element))
			return 1;
		if (poll(events, 3, PATIENCE_MS) < 1)
			fail_msg("nothing comes back");
		if (events[0].revents) {
			eventfd_read(ring->call, &count);
			if (take_used(ring, element))
				return 1;
		}
		if (events[1].revents) {
			eventfd_read(ring->err, &count);
			return 0;
		}
		if (events[2].revents)
			return -1;
	}
}

int front_request(struct front *front, unsigned queue, uint32_t type, uint64_t sector, uint64_t data,
                  uint32_t size, uint64_t header)
{
	struct virtio_blk_outhdr *head = (struct virtio_blk_outhdr *)(void *)(front->ram + header);
	struct part part[3] = {{header, sizeof(*head), false},
	                       {data, size, type != VIRTIO_BLK_T_OUT},
	                       {header + sizeof(*head), 1, true}};
	struct vring_used_elem element;
	uint16_t chain;
	int got;

	*head = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	front->ram[header + sizeof(*head)] = 77;
	if (size == 0)
		part[1] = part[2];
	chain = front_chain(front, queue, part, size ? 3 : 2);
	front_submit(front, queue, chain);
	got = front_wait(front, queue, &element);
	if (got <= 0)
		return got - 1;
	assert_int_equal(element.id, chain);
	return front->ram[header + sizeof(*head)];
}
