/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "session.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fault.h"

#define BIT(n) (UINT64_C(1) << (n))

/* Over: why is for whoever reads what the back end prints. */
static int over(struct session *session, int error, const char *reason)
{
	if (!session->reason)
		session->reason = reason;
	return error;
}

int session_open(struct session *session, int socket, struct ist_manager *manager, uint32_t owner,
                 struct blk *blk, int epoll)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = EVENT_SOCKET};
	int error;

	memset(session, 0, sizeof(*session));
	wire_open(&session->wire, socket);
	session->blk = blk;
	session->epoll = epoll;
	for (unsigned i = 0; i < SESSION_RINGS; i++)
		ring_reset(&session->ring[i]);
	error = guest_create(&session->guest, manager, owner);
	if (!error && epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event)) {
		error = -errno;
		guest_destroy(&session->guest);
	}
	if (error)
		wire_close(&session->wire);
	return error;
}

/*
 * Tell the front end. Its eventfd may be full and of the blocking kind: then a signal that comes all the while (main.c) ends the
 * wait, and the session.
 */
static int ring_bell(struct session *session, int fd)
{
	uint64_t one = 1;

	if (fd < 0 || write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN)
		return 0;
	return over(session, -EIO, "it takes no notifications");
}

static int break_ring(struct session *session, struct ring *ring)
{
	ring->broken = true;
	return ring_bell(session, ring->err);
}

static struct request *message_for(struct session *session, struct ring *ring, const struct chain *chain,
                                   int *error)
{
	struct request *request = NULL;

	*error = blk_parse(session->blk, &session->guest, chain, &request);
	if (request) {
		request->ring = ring;
		request->is_durable = !(session->features & BIT(VIRTIO_BLK_F_FLUSH));
	}
	return request;
}

static bool is_busy(const struct session *session)
{
	for (unsigned i = 0; i < SESSION_RINGS; i++) {
		if (session->ring[i].in_flight > 0)
			return true;
	}
	return false;
}

/* In a read section: all that is in the ring now, or as much as there are messages for; requests that end make room for the rest. Negative: it is broken. */
static int take_all(struct session *session, struct ring *ring)
{
	struct ring_view view;
	struct chain chain;
	int got, error;

	if (!ring_view(ring, &session->guest, &view))
		return -EFAULT;
	for (;;) {
		struct request *request;

		got = ring_next(ring, &view, &session->guest, &chain);
		if (got <= 0)
			return got;
		request = message_for(session, ring, &chain, &error);
		ring->starved = error == -ENOSPC && is_busy(session);
		if (!request)
			return ring->starved ? 0 : error;
		ring_take(ring);
		session->requests++;
		blk_submit(session->blk, request);
	}
}

static int serve(struct session *session, struct ring *ring)
{
	int error;

	ring->starved = false;
	if (!ring_is_running(ring))
		return 0;
	ist_read_enter();
	error = take_all(session, ring);
	ist_read_leave();
	return error ? break_ring(session, ring) : 0;
}

int session_kick(struct session *session, unsigned ring)
{
	return serve(session, &session->ring[ring]);
}

/* In a read section. The status goes where the guest wants it; where that is not there, the guest gets the chain alone. */
static bool answer(struct session *session, struct request *request)
{
	void *status = guest_at(&session->guest, request->status_paddr, sizeof(request->status));
	struct ring_view view;

	if (!ring_view(request->ring, &session->guest, &view))
		return false;
	if (status && fault_write(status, &request->status, sizeof(request->status)))
		request->written++;
	return ring_give_back(request->ring, &view, request->head, request->written);
}

/* The front end may be gone already: then requests end here. */
static void finish(struct session *session, struct request *request, bool *tell)
{
	struct ring *ring = request->ring;

	ring->in_flight--;
	if (!session->closing && !ring->broken) {
		if (answer(session, request))
			tell[ring - session->ring] = true;
		else
			ring->broken = true;
	}
	blk_free(request);
}

static int tell_guest(struct session *session, struct ring *ring)
{
	struct ring_view view;
	bool wanted;

	ist_read_enter();
	wanted = ring_view(ring, &session->guest, &view) && ring_wants_call(&view);
	ist_read_leave();
	return wanted ? ring_bell(session, ring->call) : 0;
}

static int finish_all(struct session *session, bool wait)
{
	struct request *next, *done = blk_done(session->blk, wait);
	bool tell[SESSION_RINGS] = {false};
	int error = 0;

	ist_read_enter();
	for (; done; done = next) {
		next = done->next;
		finish(session, done, tell);
	}
	ist_read_leave();
	for (unsigned i = 0; i < SESSION_RINGS && !error; i++) {
		if (tell[i])
			error = tell_guest(session, &session->ring[i]);
	}
	return error;
}

int session_done(struct session *session)
{
	int error = finish_all(session, false);

	for (unsigned i = 0; i < SESSION_RINGS && !error; i++) {
		if (session->ring[i].starved)
			error = serve(session, &session->ring[i]);
	}
	return error;
}

static int drain(struct session *session, struct ring *ring)
{
	int error = 0;

	while (ring->in_flight > 0) {
		int bad = finish_all(session, true);

		error = error ? error : bad;
	}
	return error;
}

/* An eventfd stays in the set as long as the front end has it, if it is not taken out. */
static void drop_kick(struct session *session, struct ring *ring)
{
	if (ring->kick < 0)
		return;
	epoll_ctl(session->epoll, EPOLL_CTL_DEL, ring->kick, NULL);
	close(ring->kick);
	ring->kick = -1;
}

int session_close(struct session *session)
{
	int error;

	session->closing = true;
	epoll_ctl(session->epoll, EPOLL_CTL_DEL, session->wire.socket, NULL);
	blk_cancel(session->blk);
	for (unsigned i = 0; i < SESSION_RINGS; i++) {
		drain(session, &session->ring[i]);
		drop_kick(session, &session->ring[i]);
		ring_close(&session->ring[i]);
	}
	error = guest_destroy(&session->guest);
	wire_close(&session->wire);
	return error;
}

/* Messages. Each handler gets one whose length is right, and returns 0 or a negative errno value. */

static uint64_t offered(const struct session *session)
{
	return BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | VU_F_PROTOCOL_FEATURES |
	       BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
	       BIT(VIRTIO_BLK_F_MQ) | (session->blk->read_only ? BIT(VIRTIO_BLK_F_RO) : 0);
}

#define OFFERED_PROTOCOL (VU_PROTOCOL_MQ | VU_PROTOCOL_REPLY_ACK | VU_PROTOCOL_CONFIG | VU_PROTOCOL_MEM_SLOTS)

static int answer_u64(struct session *session, uint64_t value)
{
	return wire_reply(&session->wire, &value, sizeof(value));
}

static int get_features(struct session *session)
{
	return answer_u64(session, offered(session));
}

static int set_features(struct session *session)
{
	uint64_t wanted = session->wire.payload.u64;

	if (wanted & ~offered(session))
		return -EINVAL;
	session->features = wanted;
	for (unsigned i = 0; i < SESSION_RINGS; i++) {
		session->ring[i].indirect = wanted & BIT(VIRTIO_RING_F_INDIRECT_DESC);
		/* Who does not know how to switch rings on has them on. */
		if (!(wanted & VU_F_PROTOCOL_FEATURES))
			session->ring[i].enabled = true;
	}
	return 0;
}

static int get_protocol_features(struct session *session)
{
	return answer_u64(session, OFFERED_PROTOCOL);
}

static int set_protocol_features(struct session *session)
{
	if (session->wire.payload.u64 & ~OFFERED_PROTOCOL)
		return -EINVAL;
	session->protocol_features = session->wire.payload.u64;
	return 0;
}

static int nothing_to_do(struct session *session)
{
	(void)session;
	return 0;
}

static int get_queue_num(struct session *session)
{
	return answer_u64(session, SESSION_RINGS);
}

static int get_max_mem_slots(struct session *session)
{
	return answer_u64(session, GUEST_REGIONS);
}

static int get_config(struct session *session)
{
	struct vu_config *config = &session->wire.payload.config;
	struct virtio_blk_config disk = {
	        .capacity = session->blk->sectors,
	        .seg_max = 126,
	        .blk_size = BLK_SECTOR,
	        .num_queues = SESSION_RINGS,
	};
	uint8_t whole[VU_CONFIG_BYTES] = {0};

	if (config->size > VU_CONFIG_BYTES || config->offset > VU_CONFIG_BYTES - config->size ||
	    session->wire.header.size != offsetof(struct vu_config, data) + config->size)
		return -EPROTO;
	memcpy(whole, &disk, sizeof(disk));
	memcpy(config->data, whole + config->offset, config->size);
	return wire_reply(&session->wire, config, session->wire.header.size);
}

/* There is nothing in it that a driver may change. */
static int set_config(struct session *session)
{
	(void)session;
	return -EINVAL;
}

/* The regions are others: rings are where the front end says that they are, or nowhere, which is seen when they are used. */
static void locate_rings(struct session *session)
{
	for (unsigned i = 0; i < SESSION_RINGS; i++) {
		if (session->ring[i].addressed)
			(void)ring_locate(&session->ring[i], &session->guest);
	}
}

static int set_mem_table(struct session *session)
{
	const struct vu_mem_table *table = &session->wire.payload.table;
	int error;

	if (table->count > VU_TABLE_REGIONS || table->count != session->wire.fds ||
	    session->wire.header.size !=
	            offsetof(struct vu_mem_table, region) + table->count * sizeof(struct vu_region))
		return -EPROTO;
	error = guest_set_table(&session->guest, table->region, session->wire.fd, table->count);
	locate_rings(session);
	return error;
}

static int add_mem_reg(struct session *session)
{
	int error;

	if (session->wire.fds != 1)
		return -EPROTO;
	error = guest_add(&session->guest, &session->wire.payload.one.region, session->wire.fd[0]);
	locate_rings(session);
	return error;
}

/* Some front ends send the descriptor again; the addresses say which one it is. */
static int rem_mem_reg(struct session *session)
{
	int error = guest_remove(&session->guest, &session->wire.payload.one.region);

	locate_rings(session);
	return error;
}

static struct ring *ring_at(struct session *session, uint64_t number)
{
	return number < SESSION_RINGS ? &session->ring[number] : NULL;
}

/* One that may be set up: it is there and not running. */
static struct ring *idle_ring(struct session *session, uint64_t number)
{
	struct ring *ring = ring_at(session, number);

	return ring && ring->kick < 0 && ring->in_flight == 0 ? ring : NULL;
}

static int set_vring_num(struct session *session)
{
	const struct vu_ring_state *state = &session->wire.payload.state;
	struct ring *ring = idle_ring(session, state->ring);

	if (!ring || state->value == 0 || state->value > RING_SIZE_MAX || (state->value & (state->value - 1)))
		return -EINVAL;
	ring->size = (uint16_t)state->value;
	ring->addressed = false;
	return 0;
}

static int set_vring_base(struct session *session)
{
	const struct vu_ring_state *state = &session->wire.payload.state;
	struct ring *ring = idle_ring(session, state->ring);

	if (!ring || state->value > UINT16_MAX)
		return -EINVAL;
	ring->next_avail = ring->next_used = (uint16_t)state->value;
	return 0;
}

static int set_vring_addr(struct session *session)
{
	struct ring *ring = idle_ring(session, session->wire.payload.addr.ring);
	int error;

	if (!ring)
		return -EINVAL;
	ring->user = session->wire.payload.addr;
	error = ring_locate(ring, &session->guest);
	ring->addressed = error == 0;
	return error;
}

static int get_vring_base(struct session *session)
{
	struct vu_ring_state *state = &session->wire.payload.state;
	struct ring *ring = ring_at(session, state->ring);
	int error;

	if (!ring)
		return -EINVAL;
	drop_kick(session, ring);
	error = drain(session, ring);
	state->value = ring->next_avail;
	ring->broken = ring->starved = false;
	return error ? error : wire_reply(&session->wire, state, sizeof(*state));
}

static int set_vring_enable(struct session *session)
{
	const struct vu_ring_state *state = &session->wire.payload.state;
	struct ring *ring = ring_at(session, state->ring);

	if (!ring || state->value > 1 || !(session->features & VU_F_PROTOCOL_FEATURES))
		return -EINVAL;
	ring->enabled = state->value;
	return serve(session, ring);
}

/* Only an eventfd: reading and writing these has no effects elsewhere, and waits for nothing but room. */
static bool is_eventfd(int fd)
{
	char name[32], path[32];
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	size = readlink(path, name, sizeof(name));
	return size == 20 && memcmp(name, "anon_inode:[eventfd]", 20) == 0;
}

/* The descriptor of a KICK, CALL or ERR message, -1 where it says that there is none. */
static int take_eventfd(struct session *session, struct ring **ring, int *fd)
{
	struct wire *wire = &session->wire;
	bool has_fd = !(wire->payload.u64 & VU_NO_FD);

	*ring = ring_at(session, wire->payload.u64 & VU_RING_MASK);
	if (!*ring || (wire->payload.u64 & ~(VU_RING_MASK | VU_NO_FD)) || wire->fds != (has_fd ? 1 : 0))
		return -EPROTO;
	if (has_fd && !is_eventfd(wire->fd[0]))
		return -EINVAL;
	*fd = has_fd ? wire->fd[0] : -1;
	if (has_fd)
		wire->fd[0] = -1;
	return 0;
}

/*
 * From here on the ring runs. Edge-triggered: each kick is an event, and nobody has to read the eventfd, which could block if the front
 * end reads it too. A ring without kicks would have to be polled, which this device does not do.
 */
static int set_vring_kick(struct session *session)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct ring *ring;
	int fd, error = take_eventfd(session, &ring, &fd);

	if (error)
		return error;
	if (fd < 0)
		return -EINVAL;
	event.data.u32 = EVENT_KICK + (uint32_t)(ring - session->ring);
	if (epoll_ctl(session->epoll, EPOLL_CTL_ADD, fd, &event)) {
		error = -errno;
		close(fd);
		return error;
	}
	drop_kick(session, ring);
	ring->kick = fd;
	return serve(session, ring);
}

static int set_other_fd(struct session *session)
{
	struct ring *ring;
	int fd, error = take_eventfd(session, &ring, &fd), *place;

	if (error)
		return error;
	place = session->wire.header.request == VU_SET_VRING_CALL ? &ring->call : &ring->err;
	if (*place >= 0)
		close(*place);
	*place = fd;
	return 0;
}

#define ANY_SIZE UINT32_MAX

static const struct handler {
	int (*handle)(struct session *session);
	uint32_t size; /* of the payload */
	bool answers; /* by itself: an error ends the session */
} handlers[VU_REQUESTS] = {
        [VU_GET_FEATURES] = {get_features, 0, true},
        [VU_SET_FEATURES] = {set_features, 8, false},
        [VU_SET_OWNER] = {nothing_to_do, 0, false},
        [VU_RESET_OWNER] = {nothing_to_do, 0, false},
        [VU_SET_MEM_TABLE] = {set_mem_table, ANY_SIZE, false},
        [VU_SET_VRING_NUM] = {set_vring_num, sizeof(struct vu_ring_state), false},
        [VU_SET_VRING_ADDR] = {set_vring_addr, sizeof(struct vu_ring_addr), false},
        [VU_SET_VRING_BASE] = {set_vring_base, sizeof(struct vu_ring_state), false},
        [VU_GET_VRING_BASE] = {get_vring_base, sizeof(struct vu_ring_state), true},
        [VU_SET_VRING_KICK] = {set_vring_kick, 8, false},
        [VU_SET_VRING_CALL] = {set_other_fd, 8, false},
        [VU_SET_VRING_ERR] = {set_other_fd, 8, false},
        [VU_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, true},
        [VU_SET_PROTOCOL_FEATURES] = {set_protocol_features, 8, false},
        [VU_GET_QUEUE_NUM] = {get_queue_num, 0, true},
        [VU_SET_VRING_ENABLE] = {set_vring_enable, sizeof(struct vu_ring_state), false},
        [VU_GET_CONFIG] = {get_config, ANY_SIZE, true},
        [VU_SET_CONFIG] = {set_config, ANY_SIZE, false},
        [VU_GET_MAX_MEM_SLOTS] = {get_max_mem_slots, 0, true},
        [VU_ADD_MEM_REG] = {add_mem_reg, sizeof(struct vu_one_region), false},
        [VU_REM_MEM_REG] = {rem_mem_reg, sizeof(struct vu_one_region), false},
};

static bool wants_ack(const struct session *session)
{
	return (session->protocol_features & VU_PROTOCOL_REPLY_ACK) &&
	       (session->wire.header.flags & VU_NEED_REPLY);
}

/* What fails is said where it was asked for; where not, the front end would go on as if it had not failed: this is the end. */
static int handle(struct session *session)
{
	const struct vu_header *header = &session->wire.header;
	const struct handler *handler = header->request < VU_REQUESTS ? &handlers[header->request] : NULL;
	int error;

	if (!handler || !handler->handle)
		return over(session, -EPROTO, "it sent an unknown message");
	if (handler->size != ANY_SIZE && header->size != handler->size)
		return over(session, -EPROTO, "it sent a message of the wrong length");
	error = handler->handle(session);
	session->refused += error != 0;
	if (handler->answers || session->reason)
		return error ? over(session, error, "it sent what cannot be answered") : 0;
	if (wants_ack(session))
		return answer_u64(session, error != 0)
		               ? over(session, -EPROTO, "it does not read its answers")
		               : 0;
	return error ? over(session, error, "it sent what cannot be done") : 0;
}

int session_message(struct session *session)
{
	int got = wire_receive(&session->wire);

	if (got == -ECONNRESET)
		return over(session, got, "it closed the connection");
	if (got <= 0)
		return got ? over(session, got, "it does not speak vhost-user") : 0;
	got = handle(session);
	wire_next(&session->wire);
	return got;
}
