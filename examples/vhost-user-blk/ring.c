/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "ring.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

/* Bytes of the three parts, without the event indices, which this device does not offer. */
static size_t desc_bytes(const struct ring *ring)
{
	return sizeof(struct vring_desc) * ring->size;
}

static size_t avail_bytes(const struct ring *ring)
{
	return sizeof(struct vring_avail) + sizeof(uint16_t) * ring->size;
}

static size_t used_bytes(const struct ring *ring)
{
	return offsetof(struct vring_used, ring) + sizeof(struct vring_used_elem) * ring->size;
}

void ring_reset(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->kick = ring->call = ring->err = -1;
}

void ring_close(struct ring *ring)
{
	const int fd[] = {ring->kick, ring->call, ring->err};

	for (unsigned i = 0; i < 3; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
	}
	ring_reset(ring);
}

int ring_locate(struct ring *ring, const struct guest *guest)
{
	const struct vu_ring_addr *user = &ring->user;

	ring->located = false;
	if (user->desc % sizeof(struct vring_desc) || user->avail % sizeof(uint16_t) ||
	    user->used % sizeof(uint32_t) || ring->size == 0)
		return -EINVAL;
	if (guest_user_to_paddr(guest, user->desc, desc_bytes(ring), &ring->desc) ||
	    guest_user_to_paddr(guest, user->avail, avail_bytes(ring), &ring->avail) ||
	    guest_user_to_paddr(guest, user->used, used_bytes(ring), &ring->used))
		return -ENOENT;
	ring->located = true;
	return 0;
}

bool ring_is_running(const struct ring *ring)
{
	return ring->addressed && ring->enabled && !ring->broken && ring->kick >= 0;
}

bool ring_view(const struct ring *ring, const struct guest *guest, struct ring_view *view)
{
	if (!ring->located)
		return false;
	view->desc = guest_at(guest, ring->desc, desc_bytes(ring));
	view->avail = guest_at(guest, ring->avail, avail_bytes(ring));
	view->used = guest_at(guest, ring->used, used_bytes(ring));
	return view->desc && view->avail && view->used;
}

/* A table of descriptors: the ring's own, or an indirect one. */
struct table {
	const struct guest *guest;
	const char *at; /* the ring's own; null: indirect, at paddr */
	uint64_t paddr;
	uint32_t count;
};

static bool read_desc(const struct table *table, uint32_t index, struct vring_desc *out)
{
	size_t offset = index * sizeof(*out), size = sizeof(*out);
	const char *at =
	        table->at ? table->at + offset : guest_piece(table->guest, table->paddr + offset, &size);

	/* A descriptor that lies across two regions (a table may begin anywhere) is one that no guest makes. */
	return at && size == sizeof(*out) && fault_read(out, at, size);
}

/* 1: goes on behind this segment, 0: was the last one. */
static int add_segment(struct chain *chain, const struct vring_desc *desc)
{
	bool is_written = desc->flags & VRING_DESC_F_WRITE;

	if (chain->count == CHAIN_SEGMENTS)
		return -EMSGSIZE;
	if (!is_written && chain->readable != chain->count)
		return -EPROTO;
	chain->segment[chain->count++] = (struct segment){desc->addr, desc->len};
	chain->readable += !is_written;
	return desc->flags & VRING_DESC_F_NEXT ? 1 : 0;
}

static int enter_indirect(const struct ring *ring, struct table *table, const struct vring_desc *desc)
{
	if (!ring->indirect || !table->at || (desc->flags & VRING_DESC_F_NEXT) || desc->len == 0 ||
	    desc->len % sizeof(*desc) || desc->addr > GUEST_LIMIT)
		return -EPROTO;
	table->at = NULL;
	table->paddr = desc->addr;
	table->count = desc->len / (uint32_t)sizeof(*desc);
	return 0;
}

/* Each turn adds a segment, of which there are not too many, but for the one that enters an indirect table; so it ends. */
static int walk(const struct ring *ring, struct table table, uint32_t index, struct chain *chain)
{
	struct vring_desc desc;
	int more = 1;

	while (more > 0) {
		if (index >= table.count)
			return -EPROTO;
		if (!read_desc(&table, index, &desc))
			return -EFAULT;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			more = enter_indirect(ring, &table, &desc) ? -EPROTO : 1;
			index = 0;
		} else {
			more = add_segment(chain, &desc);
			index = desc.next;
		}
	}
	return more;
}

int ring_next(const struct ring *ring, const struct ring_view *view, const struct guest *guest,
              struct chain *chain)
{
	struct table table = {.guest = guest, .at = view->desc, .count = ring->size};
	size_t slot = ring->next_avail & (ring->size - 1u);
	uint16_t avail;
	int error;

	if (!fault_load16(view->avail + offsetof(struct vring_avail, idx), &avail))
		return -EFAULT;
	if (avail == ring->next_avail)
		return 0;
	/* More than the ring has room for, those included that are still with us. */
	if ((uint16_t)(avail - ring->next_avail) > ring->size || ring->in_flight >= ring->size)
		return -EPROTO;
	if (!fault_read(&chain->head,
	                view->avail + offsetof(struct vring_avail, ring) + sizeof(uint16_t) * slot,
	                sizeof(chain->head)))
		return -EFAULT;
	chain->readable = chain->count = 0;
	error = walk(ring, table, chain->head, chain);
	return error ? error : 1;
}

void ring_take(struct ring *ring)
{
	ring->next_avail++;
	ring->in_flight++;
}

bool ring_give_back(struct ring *ring, const struct ring_view *view, uint16_t head, uint32_t written)
{
	struct vring_used_elem element = {head, written};
	size_t slot = ring->next_used & (ring->size - 1u);

	if (!fault_write(view->used + offsetof(struct vring_used, ring) + sizeof(element) * slot, &element,
	                 sizeof(element)))
		return false;
	ring->next_used++;
	return fault_store16(view->used + offsetof(struct vring_used, idx), ring->next_used);
}

/*
 * The fence pairs with the one in the guest, between storing avail->flags and loading used->idx: one of the two sees what the other
 * stored, so no chain is given back unseen and untold.
 */
bool ring_wants_call(const struct ring_view *view)
{
	uint16_t flags;

	atomic_thread_fence(memory_order_seq_cst);
	return fault_load16(view->avail + offsetof(struct vring_avail, flags), &flags) &&
	       !(flags & VRING_AVAIL_F_NO_INTERRUPT);
}
