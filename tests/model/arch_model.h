/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Restartable sequences as the explorer can run them: between any two steps another thread may come; if that was one on
 * the same CPU, or a fence was made, the sequence is aborted, as the kernel would do it. The last step, the store that
 * commits, is one with the look whether it may. For src/percpu/arch.h.
 */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "model.h"
#include "percpu/magazine.h"

#define PERCPU_HAVE_RSEQ 1

/* Faults that must be found. */
#define MUTANT_PLUG_WHILE_DRAINED 306 /* the sequence that plugs does not look at `drainers` */
#define MUTANT_PLUG_UNREADY 307 /* nor at `ready` */
#define MUTANT_RETIRE_UNTOKENED 310 /* the sequence that retires does not look at the token */
#define MUTANT_PUSH_ABORTED 315 /* a sequence that has ended an object puts it away although it was aborted */

extern unsigned model_fences;
/* Called when a thread has asked for the number of its CPU, and may be moved before it makes use of that; may be null. */
extern void (*model_asked_number)(void);
void explore_point(void);

static inline int model_cpu(void)
{
	return explore_thread() < 0 ? 0 : explore_cpu[explore_thread()];
}

struct model_sequence {
	int cpu;
	unsigned fences, switches;
};

static inline struct model_sequence model_begin(void)
{
	return (struct model_sequence){model_cpu(), model_fences, explore_switches[model_cpu()]};
}

/* A step: false if the sequence is aborted there. */
static inline bool model_goes_on(const struct model_sequence *sequence)
{
	explore_point();
	return sequence->cpu == model_cpu() && sequence->fences == model_fences &&
	       sequence->switches == explore_switches[model_cpu()];
}

#define arch_number model_cpu
#define arch_load bytes_load
#define arch_store bytes_store
#define arch_publish bytes_publish
#define arch_load_acquire bytes_load_acquire

/* What every sequence but that which plugs begins with: this CPU's block. False if aborted. */
static inline bool model_block(const struct model_sequence *sequence, char *const *table, char **block)
{
	if (!model_goes_on(sequence))
		return false;
	*block = *table + ((_Atomic int64_t *)(void *)*table)[model_cpu()];
	return true;
}

/* And a push and a pop: the magazine and its word, a step each. */
static inline bool model_look(const struct model_sequence *sequence, char *const *table, size_t at,
                              struct magazine **magazine, uint64_t *word)
{
	char *block;

	if (!model_block(sequence, table, &block) || !model_goes_on(sequence))
		return false;
	*magazine = (struct magazine *)(void *)(block + at);
	*word = (*magazine)->word;
	return true;
}

static inline uint64_t model_token(const char *block)
{
	return ((const _Atomic uint64_t *)(const void *)block)[-1];
}

static inline bool arch_pop(char *const *table, size_t at, uint64_t *value, uint64_t *token)
{
	struct model_sequence sequence = model_begin();
	struct magazine *magazine;
	uint64_t word;
	char *block;

	if (!model_block(&sequence, table, &block))
		return false;
	*token = model_token(block);
	if (!model_look(&sequence, table, at, &magazine, &word) ||
	    magazine_position(word) == magazine->base || !model_goes_on(&sequence))
		return false;
	*value = *magazine_slot(magazine, magazine_position(word) - 1);
	if (!model_goes_on(&sequence))
		return false;
	magazine->word = word - 1 + MAGAZINE_OPERATION;
	return true;
}

static inline bool arch_push(char *const *table, size_t at, uint32_t value)
{
	struct model_sequence sequence = model_begin();
	struct magazine *magazine;
	uint64_t word;

	if (!model_look(&sequence, table, at, &magazine, &word) ||
	    magazine_position(word) >= magazine->limit || !model_goes_on(&sequence))
		return false;
	*magazine_slot(magazine, magazine_position(word)) = value;
	if (!model_goes_on(&sequence))
		return false;
	magazine->word = word + 1 + MAGAZINE_OPERATION;
	return true;
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

static inline bool model_retire(char *const *table, uint64_t token, _Atomic uint8_t *state, unsigned bytes,
                                uint32_t number)
{
	struct model_sequence sequence = model_begin();
	char *block;

	if (!model_block(&sequence, table, &block))
		return false;
	if (model_token(block) != token && !IS_MUTANT(MUTANT_RETIRE_UNTOKENED))
		return false;
	if (!model_goes_on(&sequence) || bytes_load(state, bytes) != number || !model_goes_on(&sequence))
		return false;
	state[0] = (uint8_t)(number & 0x7f); /* no point before this */
	return true;
}

#define arch_retire_1(table, token, states, place, use, base)                                                 \
	model_retire(table, token, &(states)[place], 1, *(use) + (base))
#define arch_retire_2(table, token, states, place, use, base)                                                 \
	model_retire(table, token, &(states)[place], 2, *(use) + (base))

static inline enum arch_retired model_retire_push(char *const *table, uint64_t token, size_t at,
                                                  _Atomic uint8_t *state, unsigned bytes, uint32_t place,
                                                  uint32_t number)
{
	struct model_sequence sequence = model_begin();
	struct magazine *magazine;
	uint64_t word;
	char *block;

	if (!(token & 1) || !model_block(&sequence, table, &block))
		return ARCH_REFUSED;
	if (model_token(block) != token && !IS_MUTANT(MUTANT_RETIRE_UNTOKENED))
		return ARCH_REFUSED;
	magazine = (struct magazine *)(void *)(block + at);
	if (!model_goes_on(&sequence) || bytes_load(state, bytes) != number || !model_goes_on(&sequence))
		return ARCH_REFUSED;
	word = magazine->word;
	if (magazine_position(word) >= magazine->limit || !model_goes_on(&sequence))
		return ARCH_REFUSED;
	*magazine_slot(magazine, magazine_position(word)) = place;
	if (!model_goes_on(&sequence))
		return ARCH_REFUSED;
	state[0] = (uint8_t)(number & 0x7f);
	if (!model_goes_on(&sequence) && !IS_MUTANT(MUTANT_PUSH_ABORTED))
		return ARCH_RETIRED;
	magazine->word = word + 1 + MAGAZINE_OPERATION;
	return ARCH_PUSHED;
}

#define arch_retire_push_1(table, token, at, states, place, use, base)                                        \
	model_retire_push(table, token, at, &(states)[place], 1, (uint32_t)(place), *(use) + (base))
#define arch_retire_push_2(table, token, at, states, place, use, base)                                        \
	model_retire_push(table, token, at, &(states)[place], 2, (uint32_t)(place), *(use) + (base))

/* One by one, as each number has a commit of its own. */
#include "percpu/arch_each.h"

static inline bool arch_replace(char *const *table, uint64_t token, _Atomic uint64_t *at, uint64_t expected,
                                uint64_t next)
{
	struct model_sequence sequence = model_begin();
	char *block;

	if (!model_block(&sequence, table, &block) || model_token(block) != token)
		return false;
	if (!model_goes_on(&sequence) || *at != expected || !model_goes_on(&sequence))
		return false;
	*at = next;
	return true;
}

static inline bool arch_plug(char *const *table, uint64_t cpu, int64_t distance,
                             const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	struct model_sequence sequence;

	explore_point(); /* somebody may come between what was stored for the sequence to find, and the sequence */
	sequence = model_begin();
	if (!model_goes_on(&sequence) || (uint64_t)model_cpu() != cpu)
		return false;
	if (*drainers && !IS_MUTANT(MUTANT_PLUG_WHILE_DRAINED))
		return false;
	if (!model_goes_on(&sequence) || (!*ready && !IS_MUTANT(MUTANT_PLUG_UNREADY)) ||
	    !model_goes_on(&sequence))
		return false;
	((_Atomic int64_t *)(void *)*table)[cpu] = distance;
	return true;
}

#endif
