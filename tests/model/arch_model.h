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

#include "base/twin.h"
#include "model.h"
#include "percpu/magazine.h"

#define PERCPU_HAVE_RSEQ 1

/* Faults that must be found. */
#define TWIN_PLUG_WHILE_DRAINED 306 /* the sequence that plugs does not look at `drainers` */
#define TWIN_PLUG_UNREADY 307 /* nor at `ready` */

extern unsigned model_fences;
void explore_point(void);

static inline int model_cpu(void)
{
	return explore_thread() < 0 ? 0 : explore_cpu[explore_thread()];
}

struct model_sequence {
	unsigned fences, switches;
};

static inline struct model_sequence model_begin(void)
{
	return (struct model_sequence){model_fences, explore_switches[model_cpu()]};
}

/* A step: false if the sequence is aborted there. */
static inline bool model_goes_on(const struct model_sequence *sequence)
{
	explore_point();
	return sequence->fences == model_fences && sequence->switches == explore_switches[model_cpu()];
}

/* What a push and a pop begin with: this CPU's magazine and its word, a step each. False if aborted. */
static inline bool model_look(const struct model_sequence *sequence, char *table, uint64_t at,
                              struct magazine **magazine, uint64_t *word)
{
	if (!model_goes_on(sequence))
		return false;
	*magazine = (struct magazine *)(void *)(table + ((_Atomic int64_t *)(void *)table)[model_cpu()] + at);
	if (!model_goes_on(sequence))
		return false;
	*word = (*magazine)->word;
	return true;
}

static inline bool arch_pop(const struct percpu_thread_area *area, char *table, uint64_t at, uint32_t *value)
{
	struct model_sequence sequence = model_begin();
	struct magazine *magazine;
	uint64_t word;

	(void)area;
	if (!model_look(&sequence, table, at, &magazine, &word) || magazine_level(word) == 0 ||
	    !model_goes_on(&sequence))
		return false;
	*value = *magazine_slot(magazine, magazine_level(word) - 1);
	if (!model_goes_on(&sequence))
		return false;
	magazine->word = word - 1 + MAGAZINE_OPERATION;
	return true;
}

static inline bool arch_push(const struct percpu_thread_area *area, char *table, uint64_t at, uint32_t value)
{
	struct model_sequence sequence = model_begin();
	struct magazine *magazine;
	uint64_t word;

	(void)area;
	if (!model_look(&sequence, table, at, &magazine, &word) ||
	    magazine_level(word) >= magazine->capacity || !model_goes_on(&sequence))
		return false;
	*magazine_slot(magazine, magazine_level(word)) = value;
	if (!model_goes_on(&sequence))
		return false;
	magazine->word = word + 1 + MAGAZINE_OPERATION;
	return true;
}

static inline unsigned arch_pop_batch(const struct percpu_thread_area *area, char *table, uint64_t at,
                                      uint32_t *values, uint64_t most)
{
	return most && arch_pop(area, table, at, values);
}

static inline unsigned arch_push_batch(const struct percpu_thread_area *area, char *table, uint64_t at,
                                       const uint32_t *values, uint64_t count)
{
	return count && arch_push(area, table, at, values[0]);
}

static inline bool arch_plug(const struct percpu_thread_area *area, char *table, uint64_t cpu,
                             int64_t distance, const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	struct model_sequence sequence = model_begin();

	(void)area;
	if (!model_goes_on(&sequence) || (uint64_t)model_cpu() != cpu)
		return false;
	if (*drainers && !TWIN_BROKEN(TWIN_PLUG_WHILE_DRAINED))
		return false;
	if (!model_goes_on(&sequence) || (!*ready && !TWIN_BROKEN(TWIN_PLUG_UNREADY)) ||
	    !model_goes_on(&sequence))
		return false;
	((_Atomic int64_t *)(void *)table)[cpu] = distance;
	return true;
}

#endif
