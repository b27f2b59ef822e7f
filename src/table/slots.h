/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Records of one size under numbers from 1 up, in blocks of doubling size that never move and go only with all of them: a
 * stale number still names memory of the right kind. Any number of records up to 2^32.
 */
#ifndef TABLE_SLOTS_H
#define TABLE_SLOTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

#define SLOTS_FIRST 64u
#define SLOTS_BLOCKS 26u /* 64 * (2^26 - 1): the last that 32 bits can name */

struct slots {
	size_t size; /* of a record */
	uint32_t made; /* numbers 1 to made exist */
	uint64_t bytes;
	_Atomic(char *) block[SLOTS_BLOCKS];
};

void slots_init(struct slots *slots, size_t size);
void slots_drop(struct slots *slots);

/* The next number, its record zeroed when it is made first; 0: no memory. One thread at a time. */
uint32_t slots_make(struct slots *slots);

static inline unsigned slots_block_of(uint32_t number, uint64_t *index)
{
	uint64_t at = (uint64_t)number - 1 + SLOTS_FIRST;
	unsigned block = bits_highest(at / SLOTS_FIRST);

	*index = at - ((uint64_t)SLOTS_FIRST << block);
	return block;
}

/* The record, or null if there is none of that number. Wait-free. */
static inline void *slots_at(struct slots *slots, uint32_t number)
{
	uint64_t index;
	unsigned block;
	char *records;

	if (number == 0)
		return NULL;
	block = slots_block_of(number, &index);
	if (block >= SLOTS_BLOCKS)
		return NULL;
	/* Acquire: pairs with the release in slots_make; the block is zeroed before it is seen. */
	records = atomic_load_explicit(&slots->block[block], memory_order_acquire);
	return records ? records + index * slots->size : NULL;
}

/* The same for a number that slots_make has given, to whoever told it: it is neither 0 nor too large. */
static inline void *slots_known(const struct slots *slots, uint32_t number)
{
	uint64_t index;
	unsigned block = slots_block_of(number, &index);

	/* Acquire: pairs with the release in slots_make, for who was told of a number in another way than its maker. */
	return atomic_load_explicit(&slots->block[block], memory_order_acquire) + index * slots->size;
}

#endif
