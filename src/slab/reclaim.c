/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * From "the buddy has no such run" to "the pool has none".
 *
 * The verdict needs one instant at which the buddy had no run, every magazine was empty, and nobody was carrying a
 * batch between the two.
 *  - Magazines: either the buddy is asked inside a drain of all of them, when none can be plugged (percpu.h [percpu.D1]);
 *    or two equal stamps around the question say that all were empty throughout (percpu_empty_stamp).
 *  - [slab.V1] Batches: in_transit is the same before and after, and its count is 0. Who carries one adds to it before taking
 *    the batch out of one place, and again (release) after having put it into the other: whoever reads that (acquire) finds the
 *    batch there. A run that goes into the quarantine or comes out is a batch too: so two equal looks say as well that none
 *    went in after it was let out.
 *  - [slab.V2] The first addition is followed by a fence of release, because what takes things out of the buddy, a magazine or
 *    the quarantine are read-modify-writes that acquire and do not release. The answers of all three are read with acquire:
 *    whoever finds that something is no longer there sees the addition that was made before it went, and so differs the second look.
 * The linearization point is the buddy's own, between the two looks. If the looks differ, another thread has moved
 * something meanwhile, and the question is asked again.
 *
 * Stopped threads: one that carries a batch keeps the count above 0 for ever. So that counts as in use after
 * SLAB_LOOKS looks; the batch is small, and while less than an eighth is free there are none [slab.S2].
 */
#include "slab/reclaim.h"

#include <sched.h>

#include "base/probe.h"
#include "base/mutant.h"
#include "slab/keep.h"

/* A fault that a model must find: what is let out of the quarantine is in nobody's hands. */
#define RECLAIM_MUTANT_OUT_OF_HAND 350

struct attempt {
	struct slabs *slabs;
	slabs_ask *alloc;
	const void *context;
	size_t *start;
	int result;
};

static void ask(void *context)
{
	struct attempt *attempt = context;

	attempt->result = attempt->alloc(attempt->slabs, attempt->context, attempt->start);
}

static void sink(void *context, unsigned class, uint32_t value)
{
	struct slabs *slabs = ((struct attempt *)context)->slabs;
	uint32_t block = percpu_here(&slabs->percpu);

	note(slabs, block, NOTE_FLUSHED, 1);
	give_to_buddy(slabs, block, value, slabs->classes.granules[class]);
}

/* Drain, and ask once all is in; what the blocks' own CPUs last said of them is no longer so. */
static void drain(struct attempt *attempt, enum percpu_reach reach)
{
	struct slabs *slabs = attempt->slabs;

	PROBE(drain, (int)reach);
	atomic_store_explicit(&slabs->bypass, SLAB_BYPASS, memory_order_relaxed);
	cache_less(slabs);
	percpu_drain(&slabs->percpu, reach, sink, ask, attempt);
	for (uint32_t block = 0; block < slabs->percpu.blocks; block++) {
		if (atomic_load_explicit(&percpu_head(&slabs->percpu, block)->note[NOTE_CACHED],
		                         memory_order_relaxed))
			survey(slabs, block);
	}
}

/* Try with what is there, then with what is in magazines. Whether a failure is a verdict as far as those go. */
static bool look(struct attempt *attempt)
{
	struct percpu *percpu = &attempt->slabs->percpu;
	uint64_t stamp = percpu_empty_stamp(percpu);

	ask(attempt);
	if (attempt->result == 0 || (stamp && stamp == percpu_empty_stamp(percpu)))
		return true;
	/* The nearest first: they are the cheapest to disturb. */
	for (int reach = PERCPU_CACHE; reach <= PERCPU_ALL; reach++) {
		drain(attempt, (enum percpu_reach)reach);
		if (attempt->result == 0)
			return true;
		if (percpu_reaches_all((enum percpu_reach)reach))
			break;
	}
	/* Without rseq others could put something in meanwhile, and only equal stamps tell that they did not. */
	return percpu->sequences;
}

/* Bring back what is in quarantine. A slot that is empty costs a look, and no batch. */
static void let_out(struct slabs *slabs)
{
	for (size_t i = 0; i < slabs->quarantine.count; i++) {
		struct quarantined run;

		if (!quarantine_has(&slabs->quarantine, i))
			continue;
		if (!IS_MUTANT(RECLAIM_MUTANT_OUT_OF_HAND))
			keep_begin_batch(slabs); /* [slab.V1] */
		run = quarantine_take(&slabs->quarantine, i);
		if (run.granules)
			slabs_give_slow(slabs, run.start, run.granules, 0);
		if (!IS_MUTANT(RECLAIM_MUTANT_OUT_OF_HAND))
			keep_end_batch(slabs);
	}
}

static uint64_t hands(struct slabs *slabs)
{
	return atomic_load_explicit(&slabs->in_transit, memory_order_acquire); /* [slab.V1] */
}

static bool hands_were_empty(uint64_t before, uint64_t after)
{
	return before == after && before % SLAB_TRANSIT_VERSION == 0;
}

int reclaim(struct slabs *slabs, slabs_ask *alloc, const void *context, size_t *start)
{
	struct attempt attempt = {slabs, alloc, context, start, -ENOSPC};

	for (int looks = 0; looks < SLAB_LOOKS;) {
		uint64_t held = hands(slabs);

		let_out(slabs);
		if (!look(&attempt))
			continue; /* somebody put something into a magazine */
		if (attempt.result == 0 || hands_were_empty(held, hands(slabs)))
			break;
		if (++looks % 16 == 0)
			sched_yield(); /* who carries a batch may wait for this CPU */
	}
	return attempt.result;
}
