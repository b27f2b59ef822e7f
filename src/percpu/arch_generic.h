/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The C11 fallback of the restartable sequences: the same operations on a magazine that any number of threads may use at
 * once. It is what runs without rseq (an old kernel, seccomp, valgrind, emulation, ThreadSanitizer), what the models
 * check, and what drains a magazine whose CPU has been fenced off.
 *
 * Taking out is one compare-exchange, for anybody at any time. Linearization point: the compare-exchange. ABA: none,
 * by [percpu.M1]. So a thread that stops anywhere keeps at most the values it has already taken.
 *
 * Putting in writes a slot above the level and then raises the level, so there may be only one thread at it: the
 * one that holds the block's claim. Who finds it held does not wait but goes elsewhere (percpu.c). A holder that
 * stops for good costs the others that place to put things into, and nothing that is inside.
 *   [percpu.T1] The slot is written before the compare-exchange that raises the level (release); who takes out reads the
 *        word with acquire and then the slot. It may read a slot that a holder has overwritten since: then the
 *        word has changed too, and its compare-exchange fails.
 *   Release and acquire also carry the contents of the objects from who put in to who takes out: the word is only
 *   ever changed by read-modify-writes while the fallback is in use, so every later one reads from the release sequence.
 */
#ifndef PERCPU_ARCH_GENERIC_H
#define PERCPU_ARCH_GENERIC_H

#include <stdbool.h>

#include "base/mutant.h"
#include "percpu/magazine.h"

/* Faults that the tests must find. */
#define MUTANT_POP_WITHOUT_VERSION 301 /* operations are not counted: ABA */
#define MUTANT_PUSH_WITHOUT_CLAIM 302 /* two threads put in at once */
#define MUTANT_PUSH_RELAXED 303 /* the level is raised without release */

static inline bool fallback_pop(struct magazine *magazine, uint32_t *value)
{
	uint64_t next, word = atomic_load_explicit(&magazine->word, memory_order_acquire); /* [percpu.T1] */

	do {
		if (magazine_position(word) == magazine_base(magazine))
			return false;
		*value = atomic_load_explicit(magazine_slot(magazine, magazine_position(word) - 1),
		                              memory_order_relaxed);
		next = IS_MUTANT(MUTANT_POP_WITHOUT_VERSION) ? word - 1 : word - 1 + MAGAZINE_OPERATION;
		/* Acquire for the next round and for the object; release only keeps the sequence whole, so none. */
	} while (!atomic_compare_exchange_weak_explicit(&magazine->word, &word, next, memory_order_acquire,
	                                                memory_order_acquire));
	return true;
}

/* The caller holds the block's claim. */
static inline bool fallback_push(struct magazine *magazine, uint32_t value)
{
	uint64_t next, word = atomic_load_explicit(&magazine->word, memory_order_relaxed);

	do {
		if (magazine_position(word) >= atomic_load_explicit(&magazine->limit, memory_order_relaxed))
			return false;
		atomic_store_explicit(magazine_slot(magazine, magazine_position(word)), value,
		                      memory_order_relaxed);
		next = IS_MUTANT(MUTANT_POP_WITHOUT_VERSION) ? word + 1 : word + 1 + MAGAZINE_OPERATION;
	} while (!atomic_compare_exchange_weak_explicit(&magazine->word, &word, next,
	                                                IS_MUTANT(MUTANT_PUSH_RELAXED)
	                                                        ? memory_order_relaxed
	                                                        : memory_order_release, /* [percpu.T1] */
	                                                memory_order_relaxed));
	return true;
}

static inline bool fallback_claim(_Atomic uint32_t *claim)
{
	/* Acquire: pairs with the release in fallback_let_go, so that slots are written one holder after the other. */
	return IS_MUTANT(MUTANT_PUSH_WITHOUT_CLAIM) ||
	       (atomic_load_explicit(claim, memory_order_relaxed) == 0 &&
	        atomic_exchange_explicit(claim, 1, memory_order_acquire) == 0);
}

static inline void fallback_let_go(_Atomic uint32_t *claim)
{
	atomic_store_explicit(claim, 0, memory_order_release);
}

#endif
