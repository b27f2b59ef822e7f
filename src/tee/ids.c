/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee/ids.h"

#include <stdlib.h>

#define ROOM_MIN 64u

void ids_init(struct ids *ids, size_t size)
{
	pthread_mutex_init(&ids->lock, NULL);
	slots_init(&ids->slots, size);
	ids->free = NULL;
	ids->free_count = ids->room = 0;
}

void ids_drop(struct ids *ids)
{
	free(ids->free);
	slots_drop(&ids->slots);
	pthread_mutex_destroy(&ids->lock);
}

static void sift_up(uint32_t *heap, uint32_t at, uint32_t id)
{
	while (at > 0 && heap[(at - 1) / 2] > id) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = id;
}

static void sift_down(uint32_t *heap, uint32_t count, uint32_t id)
{
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= id)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = id;
}

/* Room in the heap for one more than were made: so that ids_give never needs memory. */
static bool has_room(struct ids *ids)
{
	uint32_t room = ids->room ? ids->room * 2 : ROOM_MIN;
	uint32_t *grown;

	if (ids->slots.made < ids->room)
		return true;
	grown = realloc(ids->free, room * sizeof(*grown));
	if (!grown)
		return false;
	ids->free = grown;
	ids->room = room;
	return true;
}

static uint32_t make(struct ids *ids)
{
	if (ids->slots.made >= IDS_MOST || !has_room(ids))
		return 0;
	return slots_make(&ids->slots);
}

uint32_t ids_take(struct ids *ids)
{
	uint32_t id;

	pthread_mutex_lock(&ids->lock);
	if (ids->free_count) {
		id = ids->free[0];
		ids->free_count--;
		if (ids->free_count)
			sift_down(ids->free, ids->free_count, ids->free[ids->free_count]);
	} else {
		id = make(ids);
	}
	pthread_mutex_unlock(&ids->lock);
	return id;
}

void ids_give(struct ids *ids, uint32_t id)
{
	pthread_mutex_lock(&ids->lock);
	sift_up(ids->free, ids->free_count, id);
	ids->free_count++;
	pthread_mutex_unlock(&ids->lock);
}
