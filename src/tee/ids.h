/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Records under ids from 1 up, the lowest free id first. Records never move and stay until all of them go, so that a stale id
 * still leads to a record of the right kind, whose count (count.h) says that it is dead. A record begins with its count.
 */
#ifndef TEE_IDS_H
#define TEE_IDS_H

#include <pthread.h>

#include "table/slots.h"
#include "tee/count.h"

#define IDS_MOST ((uint32_t)INT32_MAX)

struct ids {
	pthread_mutex_t lock; /* for take and give; held for log n steps, nests inside all others */
	struct slots slots;
	uint32_t *free; /* a heap, the lowest first; room for all that were made */
	uint32_t free_count, room;
};

void ids_init(struct ids *ids, size_t size);
/* Nobody uses it any more. */
void ids_drop(struct ids *ids);

/* The lowest id that is free, with a dead count; 0: no memory. */
uint32_t ids_take(struct ids *ids);
/* Never fails. */
void ids_give(struct ids *ids, uint32_t id);

/* The record if it is alive, with a reference; or null. Wait-free. */
static inline void *ids_find(struct ids *ids, uint32_t id)
{
	struct count *record = slots_at(&ids->slots, id);

	if (!record || id > IDS_MOST)
		return NULL;
	return count_take(record) ? record : NULL;
}

#endif
