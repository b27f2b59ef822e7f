/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A split virtqueue, seen from the device. All of it is used by one thread. What is in the ring is the guest's word, and is checked:
 * an index that is impossible, a chain that is longer than it can be (so also one that bites its own tail), or is not built
 * as it must be, breaks the ring, which is then left alone until the front end sets it up anew. Source: virtio 1.2, section 2.7.
 */
#ifndef VHOST_USER_RING_H
#define VHOST_USER_RING_H

#include "guest.h"

#define RING_SIZE_MAX 1024
#define CHAIN_SEGMENTS 256 /* of one request, indirect ones included */

struct ring {
	uint16_t size; /* descriptors, a power of two; 0: not set */
	uint16_t next_avail, next_used; /* free-running, as in the ring */
	bool addressed, located, enabled, broken, indirect; /* located: the addresses are in guest memory */
	struct vu_ring_addr user; /* as the front end said it */
	uint64_t desc, avail, used; /* the same, as the guest's physical addresses */
	int kick, call, err; /* eventfds of the front end, or -1 */
	unsigned in_flight;
	bool starved; /* it has more, but there is no memory for messages */
};

/* A stretch of guest memory as a descriptor names it. */
struct segment {
	uint64_t paddr;
	uint32_t size;
};

/* Segments that the device reads come first, then those that it writes. */
struct chain {
	uint16_t head;
	unsigned readable, count;
	struct segment segment[CHAIN_SEGMENTS];
};

/* Where the ring is in this process. Until the read section ends. */
struct ring_view {
	const char *desc, *avail;
	char *used;
};

void ring_reset(struct ring *ring);

/* Closes what the front end gave, and forgets the rest. */
void ring_close(struct ring *ring);

/* Find where the ring is in guest memory, again after its regions changed. 0; -EINVAL misaligned, no size; -ENOENT in no region. */
int ring_locate(struct ring *ring, const struct guest *guest);

/* Whether there is all that it takes to look into it. */
bool ring_is_running(const struct ring *ring);

/* Where it is in this process; false: not there (any more). In a read section, as all that follows. */
bool ring_view(const struct ring *ring, const struct guest *guest, struct ring_view *view);

/*
 * The next chain; it stays the next until ring_take. 1: *chain has it; 0: there is none; negative: the ring is broken.
 */
int ring_next(const struct ring *ring, const struct ring_view *view, const struct guest *guest,
              struct chain *chain);
void ring_take(struct ring *ring);

/* Give a chain back, with `written` bytes written. False: the ring is not there. */
bool ring_give_back(struct ring *ring, const struct ring_view *view, uint16_t head, uint32_t written);

/* Whether the guest wants to be told. */
bool ring_wants_call(const struct ring_view *view);

#endif
