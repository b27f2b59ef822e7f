/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A hash index: from a hash of whatever the caller's key is to the numbers of records. The index does not know the keys: a
 * lookup offers each candidate to the caller, who compares.
 *
 *   [table.N1] Lookups are lock-free and never wait for updates. Inside a read section; a record that is offered may have been
 *        removed meanwhile, so the caller also asks whether it is still what it was. A record that is in the index
 *        during the whole lookup is offered.
 *   [table.N2] Updates are one at a time (the caller's mutex). They move at most INDEX_STEP places to a new table each, so none
 *        takes long because of growth.
 *
 * Open addressing: a place holds {hash 32, number 32}, 0 if it was never used, TOMB if what was there is removed.
 *   [table.N3] A new table is published with the old one beside it: what is in the old one is copied, not moved, so it
 *        stays to be found there until the whole old table is let go, a grace period before it is freed. A reader
 *        loads `older` before it searches the new table: if there is no older one any more, all had been copied
 *        before, and the acquire shows it the copies; otherwise the older one still holds what has not been copied. A
 *        reader that came with the old table alone may miss what was inserted since it loaded it, and that insertion
 *        came after the load, where the lookup linearizes.
 *
 * A place is emptied rather than made a tomb when the next one is empty: nothing that is searched lies behind it.
 *
 * Hashes are made with a secret, for keys are chosen by guests: who knows the hash can make every search long.
 *
 * A thread that stops in an update holds the caller's mutex; lookups go on over whatever tables are published, in which every
 * place is whole. ABA: a place is loaded once in a lookup and compared with nothing.
 */
#ifndef TABLE_INDEX_H
#define TABLE_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rcu/rcu.h"

/* Smaller in models. */
#ifndef INDEX_STEP
#define INDEX_STEP 32u
#define INDEX_PLACES_MIN 64u
#endif

struct index_table {
	struct rcu_item item;
	_Atomic(struct index_table *) older; /* [table.N3] */
	uint32_t mask; /* places - 1 */
	uint32_t used; /* places that are not empty; the writer's */
	uint64_t bytes;
	_Atomic uint64_t place[];
};

struct index {
	_Atomic(struct index_table *) table; /* null: nothing was ever in it */
	uint32_t live; /* numbers in the index */
	uint32_t moved; /* places of the older table that have been copied */
	uint64_t secret[2];
	_Atomic uint64_t bytes;
};

void index_init(struct index *index);
/* Nobody is using it. Tables that wait for readers free themselves. */
void index_drop(struct index *index);

/* For a key of two words. */
uint32_t index_hash(const struct index *index, uint64_t a, uint64_t b);

/* -ENOMEM, and nothing has changed. number is not 0 and not UINT32_MAX. */
int index_insert(struct index *index, uint32_t hash, uint32_t number);
/* It is in the index. Never fails. */
void index_remove(struct index *index, uint32_t hash, uint32_t number);

/* The first number of that hash which `matches`, or 0. Inside a read section. */
typedef bool index_match(void *context, uint32_t number);
uint32_t index_find(struct index *index, uint32_t hash, index_match *matches, void *context);

#endif
