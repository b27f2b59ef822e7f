/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A magazine: a small stack of 32-bit values that belongs to one CPU and one class, and how the words of it are
 * laid out. The assembly in arch_*.h knows this layout; the assertions below hold it to it.
 *
 * The one word that changes is {operations 48, position 16}. The position is the place of the next slot to be filled,
 * counted in slots from the magazine itself, so that a slot is found with one addition; what it is above `base` is the
 * level, the number of values inside. Every value that goes in or out adds one to the operations, so
 *   [percpu.M1] a word never comes back to an earlier value (2^48 operations: at one in 2 ns, 6 days of one magazine within one
 *        thread's pause between two instructions);
 *   [percpu.M2] what went in and what came out can be told from the word: (operations + level) / 2 and
 *        (operations - level) / 2. No other counter is kept on the fast paths.
 * A magazine of zeroes is empty and full.
 */
#ifndef PERCPU_MAGAZINE_H
#define PERCPU_MAGAZINE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define MAGAZINE_POSITION_BITS 16
#define MAGAZINE_POSITION_MAX ((1u << MAGAZINE_POSITION_BITS) - 1)
#define MAGAZINE_OPERATION (UINT64_C(1) << MAGAZINE_POSITION_BITS)

struct magazine {
	_Atomic uint64_t word;
	_Atomic uint32_t limit; /* how high the position may rise: base and the capacity */
	_Atomic uint32_t base; /* position of the first slot, an _Atomic uint32_t; never changes once set */
};

_Static_assert(sizeof(struct magazine) == 16 && offsetof(struct magazine, word) == 0 &&
                       offsetof(struct magazine, limit) == 8 && offsetof(struct magazine, base) == 12,
               "arch_*.h has these numbers in its assembly");

static inline uint32_t magazine_position(uint64_t word)
{
	return (uint32_t)word & MAGAZINE_POSITION_MAX;
}

static inline uint64_t magazine_operations(uint64_t word)
{
	return word >> MAGAZINE_POSITION_BITS;
}

static inline uint32_t magazine_base(const struct magazine *magazine)
{
	return atomic_load_explicit(&magazine->base, memory_order_relaxed);
}

/* Its first use: any number of threads may do this, also later ones. The slots begin `base` slots behind it. */
static inline void magazine_begin(struct magazine *magazine, uint32_t base)
{
	uint64_t none = 0;

	atomic_store_explicit(&magazine->base, base, memory_order_relaxed);
	/* No word is ever 0 again. Release: the base comes with it. */
	atomic_compare_exchange_strong_explicit(&magazine->word, &none, base, memory_order_release,
	                                        memory_order_relaxed);
}

/* How many values are inside, by a word of it; 0 before its first use. */
static inline uint32_t magazine_level(const struct magazine *magazine, uint64_t word)
{
	uint32_t base = magazine_base(magazine);

	return base ? magazine_position(word) - base : 0;
}

/* How many there may be: 0 until it is set, which is after the first use. */
static inline uint32_t magazine_capacity(const struct magazine *magazine)
{
	uint32_t limit = atomic_load_explicit(&magazine->limit, memory_order_relaxed);

	return limit ? limit - magazine_base(magazine) : 0;
}

static inline void magazine_set_capacity(struct magazine *magazine, uint32_t capacity)
{
	atomic_store_explicit(&magazine->limit, magazine_base(magazine) + capacity, memory_order_relaxed);
}

static inline _Atomic uint32_t *magazine_slot(struct magazine *magazine, uint32_t position)
{
	return (_Atomic uint32_t *)(void *)magazine + position;
}

#endif
