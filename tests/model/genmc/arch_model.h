/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Restartable sequences as GenMC can run them, for src/percpu/arch.h: what a sequence does, with the memory orders that the
 * assembly has, between taking and giving back its CPU; a fence takes each CPU once. That is what the kernel makes of the
 * two: a sequence has ended before a fence, and then the fence's caller sees its stores; or it starts after it, and then
 * sees what the caller stored before the fence. Nothing else is ordered by it: what the caller stores after the fence
 * may be seen late. (A sequence that is cut short has stored nothing that counts, so it need not be tried.)
 */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "percpu/magazine.h"

#define PERCPU_HAVE_RSEQ 1

/* Faults that must be found. */
#define MUTANT_PLUG_RELAXED 313 /* the sequence that plugs reads `drainers` with a plain load, as ldr does */
#define MUTANT_RETIRE_UNTOKENED 310

#ifndef MODEL_CPUS
#define MODEL_CPUS 2
#endif

/* From CPU -1 on, where whoever has no block is. */
static _Atomic uint32_t genmc_taken[MODEL_CPUS + 1];
static __thread int genmc_cpu;

static inline void genmc_take(int cpu)
{
	uint32_t none = 0;

	__VERIFIER_assume(atomic_compare_exchange_strong_explicit(
	        &genmc_taken[cpu + 1], &none, 1, memory_order_acquire, memory_order_relaxed));
}

static inline void genmc_give(int cpu)
{
	atomic_store_explicit(&genmc_taken[cpu + 1], 0, memory_order_release);
}

#define arch_number() genmc_cpu
#define arch_load bytes_load
#define arch_store bytes_store
#define arch_publish bytes_publish
#define arch_load_acquire bytes_load_acquire

static inline char *genmc_block(char *const *table)
{
	/* Its low half would be enough; addresses are made of the entry alone. */
	return *table +
	       atomic_load_explicit((_Atomic int64_t *)(void *)*table + genmc_cpu, memory_order_relaxed);
}

static inline uint64_t genmc_token(char *block)
{
	return atomic_load_explicit((_Atomic uint64_t *)(void *)block - 1, memory_order_relaxed);
}

/* Slots begin behind the magazine: there where its layout is not seen yet, this would be the magazine itself. */
static inline _Atomic uint32_t *genmc_slot(struct magazine *magazine, uint32_t position)
{
	assert(position >= sizeof(*magazine) / sizeof(uint32_t));
	return magazine_slot(magazine, position);
}

static inline bool arch_pop(char *const *table, size_t at, uint64_t *value, uint64_t *token)
{
	bool done = false;
	char *block;
	struct magazine *magazine;
	uint64_t word;

	genmc_take(genmc_cpu);
	block = genmc_block(table);
	*token = genmc_token(block);
	magazine = (struct magazine *)(void *)(block + at);
	word = atomic_load_explicit(&magazine->word, memory_order_relaxed);
	if (magazine_position(word) != magazine_base(magazine)) {
		*value = atomic_load_explicit(genmc_slot(magazine, magazine_position(word) - 1),
		                              memory_order_relaxed);
		atomic_store_explicit(&magazine->word, word - 1 + MAGAZINE_OPERATION, memory_order_relaxed);
		done = true;
	}
	genmc_give(genmc_cpu);
	return done;
}

static inline bool arch_push(char *const *table, size_t at, uint32_t value)
{
	bool done = false;
	struct magazine *magazine;
	uint64_t word;

	genmc_take(genmc_cpu);
	magazine = (struct magazine *)(void *)(genmc_block(table) + at);
	word = atomic_load_explicit(&magazine->word, memory_order_relaxed);
	if (magazine_position(word) < atomic_load_explicit(&magazine->limit, memory_order_relaxed)) {
		atomic_store_explicit(genmc_slot(magazine, magazine_position(word)), value,
		                      memory_order_relaxed);
		atomic_store_explicit(&magazine->word, word + 1 + MAGAZINE_OPERATION, memory_order_relaxed);
		done = true;
	}
	genmc_give(genmc_cpu);
	return done;
}

static inline unsigned arch_pop_batch(char *const *table, size_t at, uint32_t *values, uint64_t most)
{
	uint64_t value, token;

	if (!most || !arch_pop(table, at, &value, &token))
		return 0;
	*values = (uint32_t)value;
	return 1;
}

static inline unsigned arch_push_batch(char *const *table, size_t at, const uint32_t *values, uint64_t count)
{
	return count && arch_push(table, at, values[0]);
}

static inline bool genmc_retire(char *const *table, uint64_t token, _Atomic uint8_t *state, unsigned bytes,
                                uint32_t number)
{
	bool done = false;

	genmc_take(genmc_cpu);
	if ((genmc_token(genmc_block(table)) == token || IS_MUTANT(MUTANT_RETIRE_UNTOKENED)) &&
	    bytes_load(state, bytes) == number) {
		atomic_store_explicit(state, (uint8_t)(number & 0x7f), memory_order_relaxed);
		done = true;
	}
	genmc_give(genmc_cpu);
	return done;
}

#define arch_retire_1(table, token, states, place, use, base)                                                \
	genmc_retire(table, token, &(states)[place], 1, *(use) + (base))
#define arch_retire_2(table, token, states, place, use, base)                                                \
	genmc_retire(table, token, &(states)[place], 2, *(use) + (base))

static inline enum arch_retired genmc_retire_push(char *const *table, uint64_t token, size_t at,
                                                  _Atomic uint8_t *state, unsigned bytes, uint32_t place,
                                                  uint32_t number)
{
	enum arch_retired done = ARCH_REFUSED;
	struct magazine *magazine;
	uint64_t word;
	char *block;

	genmc_take(genmc_cpu);
	block = genmc_block(table);
	magazine = (struct magazine *)(void *)(block + at);
	if ((genmc_token(block) == token || IS_MUTANT(MUTANT_RETIRE_UNTOKENED)) && token & 1 &&
	    bytes_load(state, bytes) == number) {
		word = atomic_load_explicit(&magazine->word, memory_order_relaxed);
		if (magazine_position(word) <
		    atomic_load_explicit(&magazine->limit, memory_order_relaxed)) {
			atomic_store_explicit(genmc_slot(magazine, magazine_position(word)), place,
			                      memory_order_relaxed);
			atomic_store_explicit(state, (uint8_t)(number & 0x7f), memory_order_relaxed);
			atomic_store_explicit(&magazine->word, word + 1 + MAGAZINE_OPERATION,
			                      memory_order_relaxed);
			done = ARCH_PUSHED;
		}
	}
	genmc_give(genmc_cpu);
	return done;
}

#define arch_retire_push_1(table, token, at, states, place, use, base)                                        \
	genmc_retire_push(table, token, at, &(states)[place], 1, (uint32_t)(place), *(use) + (base))
#define arch_retire_push_2(table, token, at, states, place, use, base)                                        \
	genmc_retire_push(table, token, at, &(states)[place], 2, (uint32_t)(place), *(use) + (base))

/* One by one, as each number has a commit of its own. */
#include "percpu/arch_each.h"

static inline bool arch_replace(char *const *table, uint64_t token, _Atomic uint64_t *at, uint64_t expected,
                                uint64_t next)
{
	bool done = false;

	genmc_take(genmc_cpu);
	if ((genmc_token(genmc_block(table)) == token || IS_MUTANT(MUTANT_RETIRE_UNTOKENED)) &&
	    atomic_load_explicit(at, memory_order_relaxed) == expected) {
		atomic_store_explicit(at, next, memory_order_relaxed);
		done = true;
	}
	genmc_give(genmc_cpu);
	return done;
}

static inline bool arch_plug(char *const *table, uint64_t cpu, int64_t distance,
                             const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	bool done = false;

	genmc_take(genmc_cpu);
	if ((uint64_t)genmc_cpu == cpu &&
	    atomic_load_explicit(drainers, IS_MUTANT(MUTANT_PLUG_RELAXED) ? memory_order_relaxed
	                                                                  : memory_order_acquire) == 0 &&
	    atomic_load_explicit(ready, memory_order_relaxed)) {
		atomic_store_explicit((_Atomic int64_t *)(void *)*table + cpu, distance,
		                      memory_order_relaxed);
		done = true;
	}
	genmc_give(genmc_cpu);
	return done;
}

#endif
