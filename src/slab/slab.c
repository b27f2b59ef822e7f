/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The slow paths of taking and giving: refills, flushes, and how much a CPU may keep. */
#include "slab/slab.h"

#include "base/probe.h"
#include "base/mutant.h"
#include "slab/keep.h"
#include "slab/reclaim.h"

/* A fault that a model must find: a run goes into the quarantine, and nobody says that it is on its way. */
#define SLAB_MUTANT_LATER_OUT_OF_HAND 352

#define LOW_SHARE 8 /* below this share of the pool being free, nothing is moved in batches */
#define PLENTY_SHARE 2 /* below this one nothing is taken in batches, and who was short stays careful */
#define BATCH_SHARE 64 /* of the pool, in a batch */
#define CACHE_SHARE 2 /* of the pool, in all magazines together: nobody goes short for it [slab.S2] */
#define OBJECTS_MOST 1024 /* in one magazine, of large pools */
#define OBJECTS_LEAST 64 /* the same of small ones */
#define OBJECTS_SHARE 32 /* granules of the pool for each of them */
#define UNTOLD_SHARE 512 /* of the pool, by which `out` may be wrong */

static void set_limits(struct slabs *slabs, size_t granules)
{
	if (slabs->most_cached == 0)
		slabs->most_cached = granules / CACHE_SHARE;
	if (slabs->most_objects == 0)
		slabs->most_objects =
		        bits_max(OBJECTS_LEAST, bits_min(granules / OBJECTS_SHARE, OBJECTS_MOST));
	if (slabs->most_batch == 0)
		slabs->most_batch = bits_min(granules / BATCH_SHARE, SLAB_LARGEST);
	if (slabs->line > slabs->most_batch)
		slabs->line = 0;
	atomic_store_explicit(&slabs->may_cache, slabs->most_cached, memory_order_relaxed);
}

static void set_slots(struct slabs *slabs)
{
	for (unsigned c = 0; c < slabs->classes.count; c++) {
		size_t granules = slabs->classes.granules[c];
		size_t most = bits_max(slabs->most_objects, slabs->line / granules);

		slabs->slots[c] = (uint16_t)bits_max(1, bits_min(slabs->most_cached / granules, most));
	}
	slabs->slots[slabs->classes.count] = 1;
}

int slabs_create(struct slabs *slabs, void *buddy_memory, size_t granules, size_t quarantine)
{
	/* There are never more runs than granules, and who looks at the quarantine looks at all of its places. */
	int error = quarantine_create(&slabs->quarantine, bits_min(quarantine, granules));

	if (error)
		return error;
	if (granules > UINT32_MAX)
		slabs->classes.count = 0;
	slab_classes_finish(&slabs->classes);
	set_limits(slabs, granules);
	set_slots(slabs);
	buddy_init(&slabs->buddy, buddy_memory, granules);
	error = percpu_create(&slabs->percpu, slabs->classes.count + 1, slabs->slots);
	if (error)
		quarantine_destroy(&slabs->quarantine);
	else
		slabs->untold = slabs->classes.count ? granules / UNTOLD_SHARE / slabs->percpu.blocks : 0;
	return error;
}

void slabs_destroy(struct slabs *slabs)
{
	percpu_destroy(&slabs->percpu);
	quarantine_destroy(&slabs->quarantine);
}

void note(struct slabs *slabs, uint32_t block, enum slab_note what, uint64_t amount)
{
	atomic_fetch_add_explicit(&percpu_head(&slabs->percpu, block)->note[what], amount,
	                          memory_order_relaxed);
}

/* A line of its own for each CPU: with one counter for all, every slow path would wait for that. */
static void change_out(struct slabs *slabs, uint32_t block, size_t change)
{
	_Atomic uint64_t *mine = &percpu_head(&slabs->percpu, block)->note[NOTE_OUT];
	uint64_t now;

	if (slabs->untold == 0) {
		atomic_fetch_add_explicit(&slabs->out, change, memory_order_relaxed);
		return;
	}
	now = atomic_fetch_add_explicit(mine, change, memory_order_relaxed) + change;
	if (now + slabs->untold > 2 * slabs->untold) {
		now = atomic_exchange_explicit(mine, 0, memory_order_relaxed);
		atomic_fetch_add_explicit(&slabs->out, now, memory_order_relaxed);
	}
}

size_t slabs_out(const struct slabs *slabs)
{
	size_t out = atomic_load_explicit(&slabs->out, memory_order_relaxed);

	if (slabs->untold == 0) /* CPUs keep nothing to themselves: change_out */
		return out;
	for (uint32_t block = 0; block < slabs->percpu.blocks; block++)
		out += atomic_load_explicit(&percpu_head(&slabs->percpu, block)->note[NOTE_OUT],
		                            memory_order_relaxed);
	return out;
}

static bool is_low(const struct slabs *slabs)
{
	return keep_has_less_than(slabs, LOW_SHARE);
}

/* Whether magazines may be plugged; counts the calls of pressure down [slab.S4]. */
static bool may_plug(struct slabs *slabs)
{
	uint32_t left = atomic_load_explicit(&slabs->bypass, memory_order_relaxed);

	if (left > 1 || (left == 1 && !keep_has_less_than(slabs, PLENTY_SHARE))) {
		/* Not a read-modify-write: if another call counts down at the same time, that is one call more. */
		atomic_store_explicit(&slabs->bypass, left - 1, memory_order_relaxed);
		return false;
	}
	return left == 0;
}

static void raise_peak(struct slabs *slabs)
{
	size_t out = atomic_load_explicit(&slabs->out, memory_order_relaxed);
	size_t cached = atomic_load_explicit(&slabs->cached, memory_order_relaxed);
	size_t peak = atomic_load_explicit(&slabs->peak, memory_order_relaxed);

	if (cached > out)
		return;
	while (out - cached > peak &&
	       !atomic_compare_exchange_weak_explicit(&slabs->peak, &peak, out - cached, memory_order_relaxed,
	                                              memory_order_relaxed))
		continue; /* ends when the peak is ours or higher */
}

void give_to_buddy(struct slabs *slabs, uint32_t block, size_t start, size_t count)
{
	buddy_free(&slabs->buddy, start, count);
	change_out(slabs, block, -count);
}

/*
 * How many objects to take from the buddy for a magazine of `capacity`, of which one is for the caller; *in_lines: they fill
 * whole lines. Nothing is taken that would have to be trimmed: what is left of a line is a hole that few requests fit. And
 * a batch needs a run that is long enough, where its objects one by one would fill the holes first: so when half of the pool
 * is in use, they come one by one, and packing is as good as best fit.
 */
static unsigned batch_size(const struct slabs *slabs, size_t count, uint32_t capacity, bool *in_lines)
{
	size_t most = bits_min(slabs->most_batch / count, SLAB_BATCH), whole = 0;
	size_t objects = bits_max(bits_min(most, bits_max(capacity / 2, slabs->line / count)), 1);

	if (slabs->line > 0 && objects > 1)
		whole = keep_whole_lines(slabs, count);
	if (whole > capacity + 1) /* the rest would go back to the buddy, and others would share the line */
		whole = 0;
	if (keep_has_less_than(slabs, PLENTY_SHARE))
		objects = 1;
	*in_lines = whole > 0 && objects > 1;
	if (*in_lines)
		objects = bits_min(bits_ceil_div(objects, whole) * whole, most / whole * whole);
	return (unsigned)objects;
}

/* Objects `first` on to last of a fresh slab go into the magazine, what does not fit back to the buddy. */
static void stock(struct slabs *slabs, unsigned class, size_t start, unsigned objects, uint32_t block)
{
	size_t count = slabs->classes.granules[class];
	uint32_t values[SLAB_BATCH];
	unsigned put;

	for (unsigned i = 1; i < objects; i++)
		values[objects - 1 - i] = (uint32_t)(start + i * count);
	put = percpu_put(&slabs->percpu, class, values, objects - 1, false);
	note(slabs, block, NOTE_STOCKED, put);
	keep_expect(slabs, block, (int64_t)(put * count));
	/* Put from the highest down, so what is left over lies at the low end, behind the caller's object. */
	if (put < objects - 1)
		give_to_buddy(slabs, block, start + count, (objects - 1 - put) * count);
}

/* Where a block looks first in the buddy: by the golden ratio, so that any number of them are spread out; 0 at 0. */
static uint32_t place_of(uint32_t block)
{
	return block * UINT32_C(0x9e3779b9);
}

/* Give back what lies between two places. */
static void trim(struct slabs *slabs, size_t from, size_t to)
{
	if (to > from)
		buddy_free(&slabs->buddy, from, to - from);
}

/* A run that begins where a line does, if there is one; else any. Large ones share two lines of many. */
static int take_lines(struct slabs *slabs, size_t granules, uint32_t near, size_t *start)
{
	size_t first, with_edge = granules + slabs->line - 1;

	if (slabs->line == 0 || with_edge > BUDDY_CHUNK ||
	    buddy_alloc_near(&slabs->buddy, with_edge, near, &first))
		return buddy_alloc_near(&slabs->buddy, granules, near, start);
	*start = bits_round_up(first, slabs->line);
	trim(slabs, first, *start);
	trim(slabs, *start + granules, first + with_edge);
	return 0;
}

/* A slab for this CPU's magazine, its first object for the caller. */
static int refill(struct slabs *slabs, unsigned class, uint32_t block, size_t *start)
{
	size_t count = slabs->classes.granules[class];
	bool in_lines;
	unsigned objects = batch_size(slabs, count, keep_adapt(slabs, block, class), &in_lines);
	int error = 0;

	if (objects > 1) {
		keep_begin_batch(slabs);
		error = in_lines ? take_lines(slabs, objects * count, place_of(block), start)
		                 : buddy_alloc_near(&slabs->buddy, objects * count, place_of(block), start);
		if (error)
			keep_end_batch(slabs);
	}
	if (objects == 1 || error) {
		objects = 1;
		error = buddy_alloc_near(&slabs->buddy, count, place_of(block), start);
	}
	if (error)
		return error;
	change_out(slabs, block, objects * count);
	if (slabs->carve)
		slabs->carve(slabs, *start, count, objects);
	if (objects > 1) {
		stock(slabs, class, *start, objects, block);
		keep_end_batch(slabs);
	}
	PROBE(refill, count, objects);
	return 0;
}

static void count_alloc(struct slabs *slabs, uint32_t block, size_t asked, size_t granted)
{
	note(slabs, block, NOTE_ALLOCS, 1);
	note(slabs, block, NOTE_ASKED, asked);
	note(slabs, block, NOTE_GRANTED, granted);
	raise_peak(slabs);
}

/* Under pressure a refusal is likely, and reclaim begins with the same question. But it empties a quarantine. */
static bool is_pressed(const struct slabs *slabs)
{
	return atomic_load_explicit(&slabs->bypass, memory_order_relaxed) && !slabs->quarantine.count;
}

static int from_buddy(struct slabs *slabs, const void *context, size_t *start)
{
	return buddy_alloc_near(&slabs->buddy, *(const size_t *)context,
	                        place_of(percpu_here(&slabs->percpu)), start);
}

int slabs_take_with(struct slabs *slabs, size_t count, size_t bytes, slabs_ask *alloc, const void *context,
                    size_t *start)
{
	int error = slabs_check(slabs);
	uint32_t block;

	if (error)
		return error;
	error = is_pressed(slabs) ? -ENOSPC : alloc(slabs, context, start);
	if (error)
		error = reclaim(slabs, alloc, context, start);
	if (error)
		return error;
	block = percpu_here(&slabs->percpu);
	change_out(slabs, block, count);
	if (slabs->carve)
		slabs->carve(slabs, *start, count, 1);
	count_alloc(slabs, block, bytes, count);
	return 0;
}

static unsigned class_of(const struct slabs *slabs, size_t count)
{
	return (unsigned)PERCPU_CLASS(slabs_at(slabs, count));
}

int slabs_take_slow(struct slabs *slabs, size_t count, size_t bytes, size_t *start, size_t *granted)
{
	uint32_t value, block = percpu_here(&slabs->percpu);
	unsigned class = class_of(slabs, count);
	int error = slabs_check(slabs);

	if (error)
		return error;
	if (count > slabs->buddy.granules)
		return -ENOSPC;
	if (class < slabs->classes.count && may_plug(slabs) && !keep_is_crowded(slabs, block)) {
		*granted = slabs->classes.granules[class];
		if (percpu_take(&slabs->percpu, class, &value, 1, true)) {
			*start = value;
			return 0;
		}
		if (keep_is_in_the_way(slabs, block)) {
			cache_less(slabs);
			keep_let_others_go(slabs, block, class);
		}
		if (!is_low(slabs) && refill(slabs, class, block, start) == 0) {
			count_alloc(slabs, block, bytes, *granted);
			return 0;
		}
	}
	*granted = count;
	return slabs_take_with(slabs, count, bytes, from_buddy, &count, start);
}

static void give_past(struct slabs *slabs, size_t start, size_t count)
{
	uint32_t block = percpu_here(&slabs->percpu);

	note(slabs, block, NOTE_FREES, 1);
	give_to_buddy(slabs, block, start, count);
}

/* Whether the run is in this CPU's magazine now. */
static bool keep(struct slabs *slabs, size_t start, size_t count)
{
	uint32_t value = (uint32_t)start, block = percpu_here(&slabs->percpu), capacity;
	unsigned class = class_of(slabs, count);

	if (slabs->classes.granules[class] != count || is_low(slabs) || !may_plug(slabs) ||
	    keep_is_crowded(slabs, block))
		return false;
	if (percpu_put(&slabs->percpu, class, &value, 1, true))
		return true;
	capacity = keep_adapt(slabs, block, class);
	if (capacity > 0 && percpu_put(&slabs->percpu, class, &value, 1, true))
		return true;
	if (capacity < FIRST_CAPACITY) /* that would exchange one run for another */
		return false;
	keep_flush(slabs, class, block);
	return percpu_put(&slabs->percpu, class, &value, 1, true);
}

void slabs_give_slow(struct slabs *slabs, size_t start, size_t count, uint64_t token)
{
	if (percpu_belongs_elsewhere(&slabs->percpu, token) || !keep(slabs, start, count))
		give_past(slabs, start, count);
}

void slabs_give_run(struct slabs *slabs, size_t start, size_t count, uint64_t token)
{
	size_t at = slabs_at(slabs, count);

	if (percpu_belongs_elsewhere(&slabs->percpu, token))
		give_past(slabs, start, count);
	else if (slabs_granules(slabs, at) != count || !percpu_push(&slabs->percpu, at, (uint32_t)start))
		slabs_give_slow(slabs, start, count, 0);
}

/*
 * What goes in may be what somebody looks for who has just found the place empty, and what comes out is in nobody's call: both
 * are in transit meanwhile [slab.V1].
 */
void slabs_give_later(struct slabs *slabs, size_t start, size_t count)
{
	struct quarantined out;

	if (!IS_MUTANT(SLAB_MUTANT_LATER_OUT_OF_HAND))
		keep_begin_batch(slabs);
	out = quarantine_exchange(&slabs->quarantine, (struct quarantined){start, count});
	if (out.granules)
		slabs_give_run(slabs, out.start, out.granules, 0);
	if (!IS_MUTANT(SLAB_MUTANT_LATER_OUT_OF_HAND))
		keep_end_batch(slabs);
}

/* As if a refill had put them in and a flush taken them out: slabs_count. */
void slabs_forget(struct slabs *slabs, size_t runs)
{
	uint32_t block = percpu_here(&slabs->percpu);

	note(slabs, block, NOTE_STOCKED, runs);
	note(slabs, block, NOTE_FLUSHED, runs);
}

void slabs_count(struct slabs *slabs, struct slab_counts *out)
{
	uint64_t taken = 0, put = 0, notes[NOTES] = {0};
	size_t quarantined;

	*out = (struct slab_counts){0};
	for (uint32_t block = 0; block < slabs->percpu.blocks; block++) {
		for (unsigned i = 0; i < NOTES; i++)
			notes[i] += atomic_load_explicit(&percpu_head(&slabs->percpu, block)->note[i],
			                                 memory_order_relaxed);
		for (unsigned c = 0; c < slabs->classes.count; c++) {
			const struct magazine *magazine = percpu_magazine(&slabs->percpu, block, c);
			uint64_t word = atomic_load_explicit(&magazine->word, memory_order_relaxed);
			uint64_t operations = magazine_operations(word);
			uint32_t level = magazine_level(magazine, word);

			taken += (operations - level) / 2; /* [percpu.M2] */
			put += (operations + level) / 2;
			out->cached += (size_t)level * slabs->classes.granules[c];
		}
	}
	out->frees = quarantine_inside(&slabs->quarantine, &quarantined);
	out->cached += quarantined;
	out->allocs = taken - notes[NOTE_FLUSHED] + notes[NOTE_ALLOCS];
	out->frees += put - notes[NOTE_STOCKED] + notes[NOTE_FREES];
	out->asked = notes[NOTE_ASKED];
	out->granted = notes[NOTE_GRANTED];
	out->peak = atomic_load_explicit(&slabs->peak, memory_order_relaxed);
}
