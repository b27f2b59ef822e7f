/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * No false exhaustion [slab.S2], [slab.V1], in the memory model of C11: a run is free all the time, in a magazine, in the hand
 * of who carries a batch, in quarantine or in the buddy, and whoever asks for one gets it. The slow paths, the magazines and the quarantine
 * are the real ones; the buddy is a word of free granules with the orders that it promises (a model of its own has it). With
 * sequences, and (from scenario 4 on) with the magazines' fallback, whose emptiness is told by their words.
 */
#define MODEL_SEQUENCES (MODEL_SCENARIO < 4)
#define SLAB_CLASSES 1u
#include <sched.h>

#include "support.h"

/* What takes or returns a struct in a pair of registers, which GenMC does not take apart: by this convention it is in memory. */
#define IN_MEMORY __attribute__((ms_abi))
struct quarantine;
struct quarantined;
struct quarantined IN_MEMORY quarantine_exchange(struct quarantine *quarantine, struct quarantined run);
struct quarantined IN_MEMORY quarantine_take(struct quarantine *quarantine, size_t index);
static struct quarantined IN_MEMORY unpack(uint64_t word);
static struct quarantined IN_MEMORY swap(struct quarantine *quarantine, size_t index, uint64_t word);

#include "base/mutant.h"
#include "slab/slab.h"

/* Who loses patience is not what this is about. */
#define sched_yield() __VERIFIER_assume(false)

#include "../../src/percpu/token.c"
#include "../../src/percpu/drain.c"
#include "../../src/percpu/percpu.c"
#include "percpu_support.c"

#include "../../src/slab/keep.c"
#include "../../src/slab/quarantine.c"
#include "../../src/slab/reclaim.c"
#include "../../src/slab/slab.c"
#include "../model.h"

enum { GRANULES = 64, ASKS = 3 };

static struct slabs slabs;
static _Atomic uint64_t free_granules;
static int contents[4]; /* plain: who has a granule alone may touch it */
static bool got[MODEL_THREADS];
static size_t place[MODEL_THREADS];
static __thread int asks;

void buddy_free(struct buddy *buddy, size_t start, size_t count)
{
	(void)buddy;
	atomic_fetch_or_explicit(&free_granules, bits_mask((unsigned)start, (unsigned)count),
	                         memory_order_release);
}

int buddy_alloc_near(struct buddy *buddy, size_t count, uint32_t near, size_t *start)
{
	uint64_t now = atomic_load_explicit(&free_granules, memory_order_acquire);

	(void)buddy, (void)near;
	__VERIFIER_assume(asks++ < ASKS);
	for (size_t at = 0; at < 4;) {
		uint64_t mask = bits_mask((unsigned)at, (unsigned)count);

		if ((now & mask) != mask)
			at++;
		else if (atomic_compare_exchange_strong_explicit(&free_granules, &now, now & ~mask,
		                                                 memory_order_acquire,
		                                                 memory_order_acquire)) {
			*start = at;
			return 0;
		}
	}
	return -ENOSPC;
}

void buddy_init(struct buddy *buddy, void *memory, size_t granules)
{
	(void)buddy, (void)memory, (void)granules;
}

void slab_classes_finish(struct slab_classes *classes)
{
	(void)classes;
}

static void use(size_t granule)
{
	contents[granule]++;
}

static void set_up_pool(void)
{
	slabs.buddy.granules = GRANULES;
	slabs.classes.count = 1;
	slabs.classes.granules[0] = 1;
	slabs.classes.at[1] = PERCPU_AT(0);
	slabs.slots[0] = 4;
	slabs.slots[1] = 1;
	slabs.most_cached = GRANULES;
	slabs.most_batch = 2;
	slabs.is_never_crowded = true;
	atomic_store_explicit(&slabs.may_cache, GRANULES, memory_order_relaxed);
	MODEL_ASSERT(percpu_create(&slabs.percpu, 2, slabs.slots) == 0);
	percpu_set_capacity(&slabs.percpu, 0, 0, 4);
}

/* One in the magazine of CPU 0, and nothing anywhere else. */
static void set_up_in_magazine(void)
{
	uint32_t value = 0;

	set_up_pool();
	MODEL_ASSERT(percpu_put(&slabs.percpu, 0, &value, 1, true) == 1);
}

static void flush(void)
{
	genmc_cpu = 0;
	keep_flush(&slabs, 0, 0);
}

static void ask_for_one(int thread)
{
	size_t count = 1;

	genmc_cpu = -1;
	got[thread] = reclaim(&slabs, from_buddy, &count, &place[thread]) == 0;
	if (got[thread])
		use(place[thread]);
}

static void ask_afar(void)
{
	ask_for_one(1);
}

static void check_afar(void)
{
	MODEL_ASSERT(got[1]);
}

/* Two in the buddy, and who refills wants one of them. */
static void set_up_in_buddy(void)
{
	set_up_pool();
	atomic_store_explicit(&free_granules, 3, memory_order_relaxed);
}

static void refill_one(void)
{
	genmc_cpu = 0;
	if (refill(&slabs, 0, 0, &place[0]) == 0)
		use(place[0]);
	else
		MODEL_ASSERT(false);
}

static void check_both(void)
{
	MODEL_ASSERT(got[1] && place[0] != place[1]);
}

/* One is free all the time: in the buddy, until another one is in quarantine. */
static void give_late_and_take(void)
{
	size_t count = 1;

	genmc_cpu = -1;
	use(1);
	slabs_give_later(&slabs, 1, 1);
	asks = -ASKS;
	if (from_buddy(&slabs, &count, &place[0]) == 0)
		use(place[0]);
}

/* A quarantine of two with one inside; another is given back. */
static _Atomic uint64_t quarantined_runs[2];

static void set_up_quarantine(void)
{
	set_up_pool();
	slabs.quarantine.slots = quarantined_runs;
	slabs.quarantine.count = 2;
	quarantine_exchange(&slabs.quarantine, (struct quarantined){0, 1});
}

static void give_late(void)
{
	genmc_cpu = -1;
	use(1);
	slabs_give_later(&slabs, 1, 1);
}

static void set_up_one_in_buddy(void)
{
	set_up_pool();
	slabs.quarantine.slots = quarantined_runs;
	slabs.quarantine.count = 2;
	atomic_store_explicit(&free_granules, 1, memory_order_relaxed);
}

/* Another one who finds nothing, and begins with that. */
static void let_all_out(void)
{
	genmc_cpu = -1;
	let_out(&slabs);
}

const struct model_scenario model_scenarios[] = {
        {"flushed while somebody asks", set_up_in_magazine, {flush, ask_afar, NULL}, check_afar},
        {"refilled while somebody asks", set_up_in_buddy, {refill_one, ask_afar, NULL}, check_both},
        {"given to the quarantine while somebody asks",
         set_up_quarantine,
         {give_late, ask_afar, NULL},
         check_afar},
        {"let out of the quarantine while somebody asks",
         set_up_quarantine,
         {let_all_out, ask_afar, NULL},
         check_afar},
        {"fallback: flushed while somebody asks", set_up_in_magazine, {flush, ask_afar, NULL}, check_afar},
        {"fallback: refilled while somebody asks", set_up_in_buddy, {refill_one, ask_afar, NULL}, check_both},
        {"one goes into the quarantine before another is taken",
         set_up_one_in_buddy,
         {give_late_and_take, ask_afar, NULL},
         check_afar},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
