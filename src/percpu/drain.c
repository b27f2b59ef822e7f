/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Emptying the blocks of other CPUs, and proving that all are empty. The argument is in percpu.h. */
#include <string.h>

#include "base/bits.h"
#include "percpu/arch_generic.h"
#include "percpu/percpu.h"
#include "percpu/rseq.h"
#include "platform/topology.h"

/* Faults that the torture test must find. */
#define MUTANT_DRAIN_WITHOUT_FENCE 304
#define MUTANT_DRAIN_LOOKS_ONCE 305 /* step (4) is left out */
#define MUTANT_DRAIN_ASKS_AGAIN 312 /* what is in reach is asked again in step (5) */
#define MUTANT_DRAIN_TRUSTS_OTHERS 314 /* what another drain has unplugged counts as closed */

/* Blocks that are closed with one fence. Not many: a signal handler's stack has room for their set. */
#ifndef DRAIN_GROUP /* models have fewer */
#define DRAIN_GROUP 1024u
#endif

struct drain {
	struct percpu *percpu;
	enum percpu_reach reach;
	uint32_t cpu; /* where the drain was begun */
	percpu_sink *sink;
	void *context;
	uint32_t first, end; /* the group that is being emptied */
	uint64_t closed[DRAIN_GROUP /
	                64]; /* of it: those that this drain found in reach before its last fence */
};

/* For a moment: others plug the block elsewhere at any time. What counts is what a drain has once decided [percpu.D3]. */
static bool in_reach(const struct drain *drain, uint32_t block)
{
	uint32_t last_cpu;

	if (!percpu_is_ready(drain->percpu, block))
		return false;
	if (drain->reach == PERCPU_ALL)
		return true;
	last_cpu = atomic_load_explicit(&percpu_head(drain->percpu, block)->last_cpu, memory_order_relaxed);
	return drain->reach == PERCPU_CACHE ? topology_cache_of(last_cpu) == topology_cache_of(drain->cpu)
	                                    : topology_node_of(last_cpu) == topology_node_of(drain->cpu);
}

static bool is_closed(const struct drain *drain, uint32_t block)
{
	uint32_t nth = block - drain->first;

	return drain->closed[nth / 64] >> (nth % 64) & 1;
}

/* Steps (2) and (4). Returns whether an entry was plugged. */
static bool unplug(struct drain *drain)
{
	struct percpu *percpu = drain->percpu;
	bool any = false;

	for (uint32_t block = drain->first; block < drain->end; block++) {
		_Atomic int64_t *entry = percpu_entry(percpu, block);
		uint32_t nth = block - drain->first;

		if (!is_closed(drain, block) && !in_reach(drain, block))
			continue;
		drain->closed[nth / 64] |= UINT64_C(1) << (nth % 64);
		/* Acquire and release, among drains: who finds what another has stored finds him in `drainers` [percpu.D5]. */
		if (atomic_load_explicit(entry, memory_order_acquire) == percpu->empty)
			continue;
		/* The fence orders it before everything that this drain does to the block. */
		atomic_store_explicit(entry, percpu->empty, memory_order_release);
		any = true;
	}
	return any;
}

static bool fence(void)
{
	return IS_MUTANT(MUTANT_DRAIN_WITHOUT_FENCE) || rseq_fence();
}

/* Whether another drain is under way. Acquire: pairs with the release of the one that has ended [percpu.D5]. */
static bool has_company(const struct percpu *percpu)
{
	return atomic_load_explicit(&percpu->drainers, memory_order_acquire) != 1 &&
	       !IS_MUTANT(MUTANT_DRAIN_TRUSTS_OTHERS);
}

/*
 * Steps (2) to (4). The first fence is made even if nothing was in reach: a block may be about to be plugged. Without a
 * fence nothing may be touched: then what is in the blocks stays there until their CPUs plug them again.
 */
static bool close_group(struct drain *drain, uint32_t first)
{
	bool again;

	drain->first = first;
	drain->end = (uint32_t)bits_min((size_t)first + DRAIN_GROUP, drain->percpu->blocks);
	memset(drain->closed, 0, sizeof(drain->closed));
	unplug(drain);
	if (!fence())
		return false;
	if (IS_MUTANT(MUTANT_DRAIN_LOOKS_ONCE))
		return true;
	again = unplug(drain);
	return !(again || has_company(drain->percpu)) || fence();
}

/* Step (5). Afterwards the block is empty and stays so while we count as a drainer. */
static void empty_block(const struct drain *drain, uint32_t block)
{
	struct percpu *percpu = drain->percpu;
	uint32_t value;

	for (unsigned class = 0; class < percpu->classes; class ++) {
		while (fallback_pop(percpu_magazine(percpu, block, class), &value))
			drain->sink(drain->context, class, value);
	}
	if (percpu->sequences && percpu_is_ready(percpu, block)) {
		atomic_fetch_add_explicit(&percpu->plugs, 1, memory_order_seq_cst); /* percpu_empty_stamp */
		atomic_store_explicit(&percpu->ready[block], 0, memory_order_seq_cst);
	}
}

static void drain_group(struct drain *drain, uint32_t first)
{
	if (!close_group(drain, first))
		return;
	for (uint32_t block = drain->first; block < drain->end; block++) {
		if (IS_MUTANT(MUTANT_DRAIN_ASKS_AGAIN) ? in_reach(drain, block) : is_closed(drain, block))
			empty_block(drain, block);
	}
}

/* Without sequences nothing is ever plugged, and there is nothing to close. */
static void drain_shards(const struct drain *drain)
{
	for (uint32_t block = 0; block < drain->percpu->blocks; block++) {
		if (in_reach(drain, block))
			empty_block(drain, block);
	}
}

void percpu_drain(struct percpu *percpu, enum percpu_reach reach, percpu_sink *sink, void (*verdict)(void *),
                  void *context)
{
	struct drain drain = {
	        .percpu = percpu, .reach = reach, .cpu = rseq_cpu(), .sink = sink, .context = context};

	/* Seq_cst, and the fence is a full barrier: plugging sequences that follow find it [percpu.D1]. */
	atomic_fetch_add_explicit(&percpu->drainers, 1, memory_order_seq_cst);
	for (uint32_t first = 0; percpu->sequences && first < percpu->blocks; first += DRAIN_GROUP)
		drain_group(&drain, first);
	if (!percpu->sequences)
		drain_shards(&drain);
	if (verdict)
		verdict(context);
	/* Release: what was done to the blocks comes before a sequence that finds 0 and plugs one [percpu.D4]. */
	atomic_fetch_sub_explicit(&percpu->drainers, 1, memory_order_release);
}

bool percpu_reaches_all(enum percpu_reach reach)
{
	return reach == PERCPU_ALL || (reach == PERCPU_CACHE ? topology_caches() : topology_nodes()) <= 1;
}

/* All empty, by the flags; with the number of pluggings and drainings so far. */
static uint64_t stamp_of_flags(const struct percpu *percpu)
{
	uint64_t plugs = atomic_load_explicit(&percpu->plugs, memory_order_seq_cst);

	for (uint32_t block = 0; block < percpu->blocks; block++) {
		if (percpu_is_ready(percpu, block))
			return 0;
	}
	/*
	 * Who plugs adds to `plugs`, then sets the flag; who drains adds to it, then clears the flag. Two equal
	 * stamps: no flag was cleared between them (the addition would show in the second, which read it last), and
	 * none was set and still is; so no block was plugged.
	 */
	return plugs == atomic_load_explicit(&percpu->plugs, memory_order_seq_cst) ? plugs + 1 : 0;
}

/* All empty, by their levels; with the operations so far. Operations only grow, so equal sums are equal terms [percpu.M1]. */
static uint64_t stamp_of_words(const struct percpu *percpu)
{
	uint64_t sum = 0;

	for (uint32_t block = 0; block < percpu->blocks; block++) {
		if (!percpu_is_ready(percpu, block))
			continue;
		for (unsigned class = 0; class < percpu->classes; class ++) {
			const struct magazine *magazine = percpu_magazine(percpu, block, class);
			uint64_t word = atomic_load_explicit(&magazine->word, memory_order_seq_cst);

			if (magazine_level(magazine, word))
				return 0;
			sum += magazine_operations(word);
		}
	}
	return sum + 1;
}

uint64_t percpu_empty_stamp(const struct percpu *percpu)
{
	return percpu->sequences ? stamp_of_flags(percpu) : stamp_of_words(percpu);
}
