/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Owners: who is there, what each may have and has. Records live in slots (table/slots.h), the number of the slot is the
 * owner's number in the PA maps; an index finds them by id.
 *
 * State: LIVE until begin of destroy, DYING from then on, GONE when the last thing of it is gone. `left` counts the mappings
 * that count for the quota or are still referenced, and one for everything else until the teardown has walked through.
 *   [owner.O1] Who brings it to 0 has ended the owner's life: the linearization point of that is this decrement.
 *
 * A GONE owner stays findable by id until somebody who holds space.lock clears it away; a grace period later its number is used
 * again. All but owner_put and the reading of `state` is under space.lock.
 *
 * A thread that stops between its decrement to 0 and the store of GONE keeps that one id busy, nothing else.
 */
#ifndef OWNER_OWNER_H
#define OWNER_OWNER_H

#include <isthmus/owner.h>

#include <pthread.h>
#include <stdalign.h>

#include "base/bits.h"
#include "table/index.h"
#include "table/slots.h"

enum owner_state { OWNER_NONE, OWNER_LIVE, OWNER_DYING, OWNER_GONE };

#define OWNER_HOST 1u /* the number of owner 0 */
#define OWNER_NUMBER_MAX 65535u

/* Slots that wait for a batch, first to last: see reclaim/resting.h. Under the lock; the atomics are read without. */
struct resting {
	uint32_t first, last;
	_Atomic uint64_t count, batch;
};

struct owner {
	/* Aligned, and so is the next one: two owners' threads write to no line together. */
	alignas(CACHE_LINE)
	        pthread_mutex_t lock; /* what one owner does holds up no other: see space/space.h */
	uint32_t number;
	uint32_t unused; /* slots of mappings, a list */
	_Atomic uint32_t released; /* the same, of the limbo: only ever taken as a whole, so no ABA */
	struct resting resting[2]; /* slots whose readers may still be there */
	uint8_t youngest; /* which of the two has the higher batch */
	/* From here on anew in each life, written under both locks: */
	uint32_t id;
	struct index cookies; /* its mappings */
	_Atomic uint32_t state;
	uint64_t ticket; /* not 0: cleared away, waiting for readers */
	_Atomic uint32_t hidden; /* when its end began: a number that the space counts (space.hiding) */
	bool shown_again; /* nothing of it is hidden any more: there is nothing */
	bool walked; /* teardown has been everywhere */
	bool client_done; /* teardown has walked through the client pool */
	bool regions_done; /* and through what the client pool has grown by */
	uint64_t client_at, regions_at; /* or has come so far */
	_Atomic uint64_t left; /* [owner.O1] */
	_Atomic uint64_t pages, stretches; /* those that count */
	_Atomic uint64_t registered, registered_pages; /* alive: changed under its lock, read without */
	uint64_t cached, refused;
	uint64_t owed; /* mappings that have ended and are still to be put */
	uint32_t next_owed;
	uint32_t first,
	        first_cached; /* of its mappings, a list through their slots; and of those in the cache, under space.lock */
	uint32_t next; /* of unused ones, of those that are gone, of those that wait for readers */
	struct owner_table *table;
	struct ist_owner_config config;
};

struct owner_table {
	struct slots slots;
	struct index index;
	uint32_t unused; /* a list */
	_Atomic uint32_t gone; /* a list of those that nobody has cleared away yet */
	uint64_t alive;
};

/* Makes the host. -ENOMEM */
int owner_table_init(struct owner_table *table);
void owner_table_drop(struct owner_table *table);

static inline struct owner *owner_at(struct owner_table *table, uint32_t number)
{
	return slots_at(&table->slots, number);
}

static inline bool owner_is_live(struct owner *owner)
{
	/* Relaxed: who must not miss a store of DYING is ordered after it by something else (begin returned before). */
	return atomic_load_explicit(&owner->state, memory_order_relaxed) == OWNER_LIVE;
}

/* By id, in whatever state; null: none. In a read section for those without the lock. */
struct owner *owner_find(struct owner_table *table, uint32_t id);

/* Errors as of ist_owner_create. */
int owner_create(struct owner_table *table, const struct ist_owner_config *config);

/* Count a mapping in, if the owner is live and its quota allows it: 0, -ESHUTDOWN or -EDQUOT. */
int owner_charge(struct owner *owner, uint64_t pages, uint64_t stretches);
/* The same, whatever the quota says. */
void owner_hold(struct owner *owner, uint64_t pages, uint64_t stretches);
/* Count it out, or (0 mappings) the walk of the teardown; may call the owner's `gone`. Lock-free. */
void owner_put(struct owner *owner, uint64_t pages, uint64_t stretches, uint64_t count);
/* The share alone, of a mapping that is put later. */
void owner_give_back(struct owner *owner, uint64_t pages, uint64_t stretches);

/* All that are GONE since the last time, as a list through next; 0: none. */
uint32_t owner_take_gone(struct owner_table *table);

/* Nothing of it is left: out of the index. A grace period later: owner_recycle. */
void owner_forget(struct owner_table *table, struct owner *owner);
void owner_recycle(struct owner_table *table, struct owner *owner);

#endif
