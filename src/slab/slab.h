/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Runs of granules by size class: the run allocator (buddy.h) behind per-CPU magazines (percpu.h).
 *
 * A class is a count of granules. A slab is a run of several objects of one class that a refill takes from the buddy
 * at once and cuts up; from then on each object is a run of its own, and when it leaves the magazines it merges with
 * its neighbours in the buddy. So there is no slab to be half empty: free memory is either in the buddy, for any
 * class and any run, or in a magazine, from which it is fetched back before anybody is refused.
 *
 * Guarantees
 *  [slab.S1] A granule has one owner at a time (buddy.h [buddy.G1], percpu.h [percpu.P1]).
 *  [slab.S2] No false exhaustion. -ENOSPC means that at one instant of the call no sufficient run was free in the buddy
 *       while every magazine was empty and nobody was moving a batch; or that a thread which was moving one did not
 *       finish in SLAB_LOOKS looks. What is in quarantine is let out before; what is on its way in or out counts as a batch.
 *       What a thread holds in its hands: the run of its own call; in a drain one object; a run that goes into a
 *       quarantine and the one that comes out for it; and while at least an eighth of the pool is free, in a refill or
 *       flush one object, or a batch of at most 1/64 of the pool and a line. So no thread that stops holds back more than that.
 *       (Where a sandbox forbids membarrier after it was in use, magazines of other CPUs stay out of reach.)
 *  [slab.S3] Lock-free, as the buddy is: the loops in here repeat only when another thread put something into a magazine.
 *  [slab.S4] Once a call had to drain, magazines stay unplugged for SLAB_BYPASS calls and until half of the pool is
 *       free (pressure): who asks again and again of an exhausted pool causes no fence each time, and in a pool that is nearly
 *       full everything lies where it fits best.
 *
 * Refills push in descending order of address, so that objects come out in ascending order. In all but small pools, and of
 * sizes of which a batch fills lines of state without a rest, they take whole lines, so that CPUs that never meet do not
 * write to the same line. While less than half of the pool is free they take one object at a time, from where it fits best.
 */
#ifndef SLAB_SLAB_H
#define SLAB_SLAB_H

#include "buddy/buddy.h"
#include "percpu/percpu.h"
#include "slab/quarantine.h"

#define SLAB_LARGEST 512u /* granules of the largest class */
#ifndef SLAB_CLASSES /* models take fewer */
#define SLAB_CLASSES 120u
#endif
#define SLAB_BATCH 64u /* objects that are moved at once */
#define SLAB_LOOKS 256
#define SLAB_BYPASS 256u

/*
 * A table of classes. at[n] is PERCPU_AT of the class that serves n granules. Where none does it is that of a class
 * behind the last, `count`, whose magazines never hold anything: the fast paths need not ask.
 */
struct slab_classes {
	unsigned count;
	size_t at[SLAB_LARGEST + 2]; /* the last entry: for all that is larger */
	uint16_t granules[SLAB_CLASSES + 1];
};

/* Each count up to SLAB_CLASSES a class: nothing is lost to rounding. */
void slab_classes_exact(struct slab_classes *classes);
/* Each count up to 16, then eight to a doubling up to SLAB_LARGEST: at most 1/8 is lost to rounding. */
void slab_classes_spaced(struct slab_classes *classes);
/* Each count up to 64, then powers of two, for these counts alone: nothing is rounded. */
void slab_classes_pages(struct slab_classes *classes);

/* Lead all counts that no class serves to the one behind the last. Done by slabs_create. */
void slab_classes_finish(struct slab_classes *classes);

struct slabs;

/* A question to the buddy: 0 and *start, or why not. */
typedef int slabs_ask(struct slabs *slabs, const void *context, size_t *start);

struct slabs {
	struct percpu percpu;
	struct buddy buddy;
	/* Told of `objects` runs of `count` granules from `start` on, when they come out of the buddy; may be null. */
	void (*carve)(struct slabs *slabs, size_t start, size_t count, unsigned objects);
	struct slab_classes classes;
	/* Of the pool: granules in all magazines together, objects in one (or a line of them), granules taken from the buddy at once. */
	size_t most_cached, most_objects, most_batch;
	bool is_never_crowded; /* speed comes before packing: keep.h */
	size_t line; /* granules whose state shares a cache line with others': what refills are multiples of where they can; or 0 */
	struct quarantine quarantine;
	uint16_t slots[SLAB_CLASSES + 1];
	/* Read by every slow path, seldom written. */
	_Alignas(CACHE_LINE) _Atomic uint32_t bypass; /* calls left until magazines may be used again */
	_Atomic size_t peak; /* of out - cached */
	_Atomic uint64_t drains;
	size_t untold; /* granules by which a CPU's share of `out` may change before the others are told;
	                  0 where there are no classes: `out` is exact at every instant */
	/* Written by slow paths, now and then. */
	_Alignas(CACHE_LINE) _Atomic size_t out; /* granules that are not in the buddy, as told: slabs_out */
	_Atomic size_t cached; /* granules in magazines, as last reported by their CPUs */
	_Atomic uint32_t active; /* CPUs that have reported some */
	_Atomic bool crowded; /* so much is in use that it matters where things lie: no magazines */
	/* Of most_cached, for now: less after a drain, which says that it was too much. */
	_Atomic size_t may_cache;
	_Alignas(CACHE_LINE) _Atomic uint64_t in_transit; /* {version 48, batches being moved 16} */
};

/* What went through the slow paths, and what all that makes. */
struct slab_counts {
	uint64_t allocs, frees;
	uint64_t asked,
	        granted; /* of allocations on the slow paths: bytes that were asked for, granules that were given */
	size_t cached; /* granules in magazines and in quarantine now */
	size_t peak; /* granules: high-water mark of what callers had, as the slow paths saw it */
};

/*
 * `granules` free ones; the limits above are set by the caller before, or are 0 for the usual ones; the last
 * `quarantine` runs that are freed are held back; the classes are set by the caller before, classes.count 0 for no
 * magazines at all. The buddy's memory as of buddy_init. 0 or -ENOMEM; may block, and so may slabs_destroy.
 */
int slabs_create(struct slabs *slabs, void *buddy_memory, size_t granules, size_t quarantine);
void slabs_destroy(struct slabs *slabs);

/* -ECHILD in a forked child of the process that made it. */
static inline int slabs_check(const struct slabs *slabs)
{
	return percpu_is_ours(&slabs->percpu) ? 0 : -ECHILD;
}

/*
 * Callers pop from the magazine of the class themselves. When that has nothing: a run of at
 * least `count` >= 1 granules for `bytes` bytes, *granted of them, which is `count` or what its class has. -ENOSPC as of
 * [slab.S2], -ECHILD.
 */
int slabs_take_slow(struct slabs *slabs, size_t count, size_t bytes, size_t *start, size_t *granted);

/*
 * Give back a run as it was granted, whatever its length. `token` is the word that its allocation had (percpu/token.h), or 0: what
 * belongs to another CPU goes past the magazines. The slow one does not try the fast path first.
 */
void slabs_give_run(struct slabs *slabs, size_t start, size_t count, uint64_t token);
void slabs_give_slow(struct slabs *slabs, size_t start, size_t count, uint64_t token);

static inline size_t slabs_at(const struct slabs *slabs, size_t count)
{
	return slabs->classes.at[count <= SLAB_LARGEST ? count : SLAB_LARGEST + 1];
}

/* The same of a count that is known to be SLAB_LARGEST at most. */
static inline size_t slabs_at_sure(const struct slabs *slabs, size_t count)
{
	return slabs->classes.at[count];
}

/* The granules of the class with this `at`; 0 for the one behind the last. */
static inline size_t slabs_granules(const struct slabs *slabs, size_t at)
{
	return slabs->classes.granules[PERCPU_CLASS(at)];
}

/* Give back a run by way of the quarantine. */
void slabs_give_later(struct slabs *slabs, size_t start, size_t count);

/* What has to come from a particular place, by what `alloc` asks of the buddy: as slabs_take_slow, past the magazines. */
int slabs_take_with(struct slabs *slabs, size_t count, size_t bytes, slabs_ask *alloc, const void *context,
                    size_t *start);

/* `runs` runs that were taken and given back again were never somebody's: they count neither as taken nor as given. */
void slabs_forget(struct slabs *slabs, size_t runs);

/* Granules that are not in the buddy. Exact when nobody is at work. */
size_t slabs_out(const struct slabs *slabs);

void slabs_count(struct slabs *slabs, struct slab_counts *out);

#endif
