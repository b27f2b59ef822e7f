/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A front end of vhost-user without a hypervisor: a memory file as the guest's memory, split virtqueues in it, and the protocol. What is
 * wrong in it is wrong on purpose: the parts are here for tests to put together as they should not be.
 */
#ifndef TESTS_GUEST_FRONT_H
#define TESTS_GUEST_FRONT_H

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* The guest's memory, physically: RAM at 0, with the rings and some pages for each request; another region right behind it. */
#define FRONT_RAM (2u << 20)
#define FRONT_EXTRA (1u << 20)
#define FRONT_QUEUES 2
#define FRONT_RING 64
#define FRONT_DATA (1u << 20) /* where data may be, in RAM */

struct front_queue {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t free, seen; /* next descriptor to use, used entries seen */
	int kick, call, err;
};

struct front {
	int socket, memory, extra;
	char *ram, *more; /* mapped: the guest's view */
	struct vu_region at, more_at;
	struct front_queue queue[FRONT_QUEUES];
};

/* Connect; the memory is made, nothing is said yet. False: the back end has closed the connection. */
void front_open(struct front *front, const char *path);
void front_close(struct front *front);

/* Send a message. False: the back end has closed the connection. */
bool front_send(struct front *front, uint32_t request, uint32_t flags, const void *payload, size_t size,
                const int *fd, unsigned fds);

/* Receive an answer of at most `room` bytes. Negative: the connection is closed; otherwise its length. */
int front_receive(struct front *front, void *payload, size_t room);

/* Send with NEED_REPLY: 0: done, 1: refused, -1: the connection was closed. */
int front_ask(struct front *front, uint32_t request, const void *payload, size_t size, int fd);

/* Asserting. Up to running rings: features, protocol features, memory, rings. With or without acknowledgements. */
void front_negotiate(struct front *front, uint64_t features, uint64_t protocol);
void front_set_memory(struct front *front);
void front_set_ring(struct front *front, unsigned queue);
void front_start(struct front *front);

/* The back end has done all that it was sent before. */
void front_sync(struct front *front);

/* Asserts that there is something to be read before long from an eventfd (call, err), or the socket; it is not read. */
void front_await(int event);

/* 0, 1, -1 as of front_ask. */
int front_add_extra(struct front *front);
int front_remove_extra(struct front *front);

/* A piece of a request: device-writable or not, at a guest physical address. */
struct part {
	uint64_t paddr;
	uint32_t size;
	bool written;
};

/* Put a chain into descriptors from queue->free on; returns its head. indirect: by way of a table in RAM at that address. */
uint16_t front_chain(struct front *front, unsigned queue, const struct part *part, unsigned parts);
uint16_t front_indirect(struct front *front, unsigned queue, uint64_t table, const struct part *part,
                        unsigned parts);

/* Make a head available, and kick. */
void front_submit(struct front *front, unsigned queue, uint16_t head);

/* Wait for something to be given back. 1: *element has it; 0: the ring's err was signalled; -1: the connection was closed. */
int front_wait(struct front *front, unsigned queue, struct vring_used_elem *element);

/* A whole request of `size` bytes of data at `data`, header and status at `header` in RAM. The status, or a negative value of front_wait - 1. */
int front_request(struct front *front, unsigned queue, uint32_t type, uint64_t sector, uint64_t data,
                  uint32_t size, uint64_t header);

#endif
