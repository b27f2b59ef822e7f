/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A magazine: a small stack of 32-bit values that belongs to one CPU and one class, and how the words of it are
 * laid out. The assembly in arch_*.h knows this layout; the assertions below hold it to it.
 *
 * The one word that changes is {operations 52, level 12}. The level is the number of values inside. Every value that
 * goes in or out adds one to the operations, so
 *   [M1] a word never comes back to an earlier value (2^52 operations: at one in 2 ns, 104 days of one magazine
 *        within one thread's pause between two instructions);
 *   [M2] what went in and what came out can be told from the word: (operations + level) / 2 and
 *        (operations - level) / 2. No other counter is kept on the fast paths.
 */
#ifndef PERCPU_MAGAZINE_H
#define PERCPU_MAGAZINE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define MAGAZINE_LEVEL_BITS 12
#define MAGAZINE_LEVEL_MAX ((1u << MAGAZINE_LEVEL_BITS) - 1)
#define MAGAZINE_OPERATION (UINT64_C(1) << MAGAZINE_LEVEL_BITS)

struct magazine {
	_Atomic uint64_t word;
	_Atomic uint32_t capacity; /* how high the level may rise: 0 to the number of slots */
	_Atomic uint32_t
	        slots; /* bytes from this magazine to its first slot, an _Atomic uint32_t; never changes once set */
};

_Static_assert(sizeof(struct magazine) == 16 && offsetof(struct magazine, word) == 0 &&
                       offsetof(struct magazine, capacity) == 8 && offsetof(struct magazine, slots) == 12,
               "arch_*.h has these numbers in its assembly");

static inline uint32_t magazine_level(uint64_t word)
{
	return (uint32_t)word & MAGAZINE_LEVEL_MAX;
}

static inline uint64_t magazine_operations(uint64_t word)
{
	return word >> MAGAZINE_LEVEL_BITS;
}

static inline _Atomic uint32_t *magazine_slot(struct magazine *magazine, uint32_t index)
{
	uint32_t first = atomic_load_explicit(&magazine->slots, memory_order_relaxed);

	return (_Atomic uint32_t *)(void *)((char *)magazine + first) + index;
}

#endif
