/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "slab/keep.h"

#include <limits.h>

#include "base/fence.h"
#include "base/probe.h"
#include "base/mutant.h"
#include "slab/reclaim.h"

/* A fault that a model must find: who sees that a batch was taken need not see that it is in transit. */
#define KEEP_MUTANT_HAND_UNSEEN 351

#define USED_SHARE 4 /* from which on it matters where things lie */
#define IN_THE_WAY_SHARE 64 /* of the pool, in the magazines of a CPU, that matters then */
#define LEAST_SHARE 16 /* of that, how much there may always be */
#define RECOVERY 64 /* looks at all magazines until it may be as much as ever after a drain */
#define LOOK_CLASSES 8u /* magazines that a slow path looks at */

static uint32_t level_of(const struct slabs *slabs, uint32_t block, unsigned class)
{
	const struct magazine *magazine = percpu_magazine(&slabs->percpu, block, class);

	return magazine_level(magazine, atomic_load_explicit(&magazine->word, memory_order_relaxed));
}

/* A block holds that much, as far as its CPU knows. */
static void report(struct slabs *slabs, uint32_t block, uint64_t now)
{
	uint64_t before = atomic_exchange_explicit(&percpu_head(&slabs->percpu, block)->note[NOTE_CACHED],
	                                           now, memory_order_relaxed);

	if (now != before)
		atomic_fetch_add_explicit(&slabs->cached, now - before, memory_order_relaxed);
	if ((now == 0) != (before == 0))
		atomic_fetch_add_explicit(&slabs->active, now ? 1 : -1u, memory_order_relaxed);
}

static uint64_t note_of(const struct slabs *slabs, uint32_t block, enum slab_note what)
{
	return atomic_load_explicit(&percpu_head(&slabs->percpu, block)->note[what], memory_order_relaxed);
}

/* Only its CPU's threads write these; if two of them meet one is lost, until the next look. */
static void set_note(struct slabs *slabs, uint32_t block, enum slab_note what, uint64_t value)
{
	atomic_store_explicit(&percpu_head(&slabs->percpu, block)->note[what], value, memory_order_relaxed);
}

void survey(struct slabs *slabs, uint32_t block)
{
	uint64_t now = 0;

	for (unsigned c = 0; c < slabs->classes.count; c++)
		now += (uint64_t)level_of(slabs, block, c) * slabs->classes.granules[c];
	report(slabs, block, now);
}

/* A slow path has put so many granules into magazines of the block, or (negative) taken them out. */
void keep_expect(struct slabs *slabs, uint32_t block, int64_t change)
{
	int64_t now = (int64_t)note_of(slabs, block, NOTE_CACHED) + change;

	report(slabs, block, now > 0 ? (uint64_t)now : 0);
}

/* It has gone well for a while. Not read-modify-writes, here and below: it is only a habit. */
static void cache_more(struct slabs *slabs)
{
	size_t now = atomic_load_explicit(&slabs->may_cache, memory_order_relaxed);

	if (now < slabs->most_cached)
		atomic_store_explicit(&slabs->may_cache,
		                      bits_min(now + slabs->most_cached / RECOVERY + 1, slabs->most_cached),
		                      memory_order_relaxed);
}

void cache_less(struct slabs *slabs)
{
	size_t now = atomic_load_explicit(&slabs->may_cache, memory_order_relaxed);

	atomic_store_explicit(&slabs->may_cache, bits_max(now / 2, slabs->most_cached / LEAST_SHARE),
	                      memory_order_relaxed);
}

/*
 * Look at the next few of the block's magazines: so that a slow path costs the same however many classes there are. Whoever comes
 * to the last one reports what all of them hold, and *largest is the class that holds most; UINT_MAX as a rule.
 */
static void look_on(struct slabs *slabs, uint32_t block, unsigned *largest)
{
	unsigned from = (unsigned)note_of(slabs, block, NOTE_LOOK),
	         to = (unsigned)bits_min(from + LOOK_CLASSES, slabs->classes.count);
	uint64_t seen = from ? note_of(slabs, block, NOTE_SEEN) : 0,
	         most = from ? note_of(slabs, block, NOTE_LARGEST) : 0;

	for (unsigned c = from; c < to; c++) {
		uint64_t kept = (uint64_t)level_of(slabs, block, c) * slabs->classes.granules[c];

		seen += kept;
		if (kept > most >> 16)
			most = kept << 16 | c;
	}
	set_note(slabs, block, NOTE_LOOK, to < slabs->classes.count ? to : 0);
	set_note(slabs, block, NOTE_SEEN, seen);
	set_note(slabs, block, NOTE_LARGEST, most);
	*largest = UINT_MAX;
	if (to < slabs->classes.count)
		return;
	report(slabs, block, seen);
	*largest = (unsigned)(most & 0xffff);
	cache_more(slabs);
}

/*
 * How many granules a CPU may keep that keeps `kept` now: what the others leave of what magazines may have, but at least as much
 * as if all that use the pool had the same.
 */
static size_t budget(const struct slabs *slabs, size_t kept)
{
	size_t cached = atomic_load_explicit(&slabs->cached, memory_order_relaxed);
	size_t active = atomic_load_explicit(&slabs->active, memory_order_relaxed) + (kept == 0);
	size_t others = cached > kept ? cached - kept : 0;
	size_t most = atomic_load_explicit(&slabs->may_cache, memory_order_relaxed);

	return bits_max(most / bits_max(active, 1), most - bits_min(most, others));
}

/* Ascending. Few and nearly sorted as a rule: they came out of the buddy in order. */
static void sort(uint32_t *values, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint32_t value = values[i];
		unsigned at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

/* Objects of `granules` each, neighbours in one go. */
static void give_batch(struct slabs *slabs, uint32_t block, uint32_t *values, unsigned count, size_t granules)
{
	sort(values, count);
	for (unsigned first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && values[next] == values[next - 1] + granules;)
			next++;
		give_to_buddy(slabs, block, values[first], (next - first) * granules);
	}
}

void keep_begin_batch(struct slabs *slabs)
{
	atomic_fetch_add_explicit(&slabs->in_transit, 1, memory_order_relaxed); /* reclaim.c [slab.V1] */
	if (!IS_MUTANT(KEEP_MUTANT_HAND_UNSEEN))
		fence_release(); /* [slab.V2] */
}

void keep_end_batch(struct slabs *slabs)
{
	atomic_fetch_add_explicit(&slabs->in_transit, SLAB_TRANSIT_VERSION - 1,
	                          memory_order_release); /* [slab.V1] */
}

/*
 * Up to `count` objects of a class out of the block's magazine and back to the buddy, no more of them in transit at once than [slab.S2]
 * says. Returns how many there were.
 */
static unsigned give_some(struct slabs *slabs, uint32_t block, unsigned class, unsigned count)
{
	size_t granules = slabs->classes.granules[class];
	unsigned most = (unsigned)bits_max(1, bits_min(slabs->most_batch / granules, SLAB_BATCH)), given = 0,
	         taken = 1;
	uint32_t values[SLAB_BATCH];

	while (given < count && taken > 0) {
		keep_begin_batch(slabs);
		taken = percpu_take(&slabs->percpu, class, values, (unsigned)bits_min(most, count - given),
		                    false);
		note(slabs, block, NOTE_FLUSHED, taken);
		give_batch(slabs, block, values, taken, granules);
		keep_end_batch(slabs);
		given += taken;
	}
	return given;
}

/* Make room in a full magazine: half of it goes back to the buddy. Not when the pool is low. */
void keep_flush(struct slabs *slabs, unsigned class, uint32_t block)
{
	unsigned half = (unsigned)bits_max(1, bits_min(level_of(slabs, block, class) / 2, SLAB_BATCH));
	size_t given = give_some(slabs, block, class, half);

	keep_expect(slabs, block, -(int64_t)(given * slabs->classes.granules[class]));
	PROBE(flush, slabs->classes.granules[class], given);
}

/* The least number of objects that fill whole lines; 0 if a batch would not hold them. */
size_t keep_whole_lines(const struct slabs *slabs, size_t count)
{
	/* A line is a power of two, so what it has in common with `count` is a power of two as well. */
	size_t objects = slabs->line / bits_min(slabs->line, count & -count);

	return objects <= SLAB_BATCH && objects * count <= slabs->most_batch ? objects : 0;
}

/* What a magazine may have first: what fills lines. */
static size_t first_capacity(const struct slabs *slabs, unsigned class)
{
	size_t granules = slabs->classes.granules[class], line = bits_max(1, slabs->line / granules);

	return bits_max(FIRST_CAPACITY, slabs->line ? bits_max(line, keep_whole_lines(slabs, granules)) : 1);
}

/* All that this block keeps of other classes than this one. */
void keep_let_others_go(struct slabs *slabs, uint32_t block, unsigned class)
{
	for (unsigned c = 0; c < slabs->classes.count; c++)
		if (c != class)
			give_some(slabs, block, c, level_of(slabs, block, c));
	survey(slabs, block);
}

/*
 * Of what is out of the buddy some lies in magazines of this CPU, of other sizes than are asked for: back with it, while it can join
 * whole stretches. At the end, when nothing else is left, all that is around it would be taken. Without a fence, and seldom:
 * they have to fill again first.
 */
bool keep_is_in_the_way(const struct slabs *slabs, uint32_t block)
{
	size_t granules = slabs->buddy.granules;

	return !slabs->is_never_crowded &&
	       atomic_load_explicit(&slabs->out, memory_order_relaxed) > granules / USED_SHARE &&
	       note_of(slabs, block, NOTE_CACHED) > granules / IN_THE_WAY_SHARE;
}

/* The block's magazines are emptied, and hold nothing until the pool is less crowded. */
static void close_block(struct slabs *slabs, uint32_t block)
{
	for (unsigned c = 0; c < slabs->classes.count; c++)
		if (magazine_capacity(percpu_magazine(&slabs->percpu, block, c)))
			percpu_set_capacity(&slabs->percpu, block, c, 0);
	keep_let_others_go(slabs, block, slabs->classes.count);
	set_note(slabs, block, NOTE_CLOSED, 1);
}

/*
 * Where half of the pool is in use, each run comes from where it fits best and goes back there at once: what magazines
 * keep comes out again where it happens to lie, and in the end there is no room for what would have fitted. Until an eighth of the pool
 * less is in use, so that this does not change all the time.
 */
bool keep_is_crowded(struct slabs *slabs, uint32_t block)
{
	size_t out = atomic_load_explicit(&slabs->out, memory_order_relaxed),
	       cached = atomic_load_explicit(&slabs->cached, memory_order_relaxed),
	       live = out > cached ? out - cached : 0, granules = slabs->buddy.granules;
	bool was = atomic_load_explicit(&slabs->crowded, memory_order_relaxed),
	     is = live > (was ? granules * 3 / 8 : granules / 2);

	if (slabs->is_never_crowded)
		return false;
	if (is != was)
		atomic_store_explicit(&slabs->crowded, is, memory_order_relaxed);
	if (is && !note_of(slabs, block, NOTE_CLOSED))
		close_block(slabs, block);
	else if (!is && note_of(slabs, block, NOTE_CLOSED))
		set_note(slabs, block, NOTE_CLOSED, 0);
	return is;
}

/* What is kept is too much: half of what it is most of goes, and its magazine may not have it again. */
static void let_go(struct slabs *slabs, uint32_t block, unsigned largest, unsigned class)
{
	uint32_t half = magazine_capacity(percpu_magazine(&slabs->percpu, block, largest)) / 2;

	if (largest != class)
		percpu_set_capacity(&slabs->percpu, block, largest, half);
	keep_flush(slabs, largest, block);
}

/*
 * Let a magazine grow, if its CPU keeps little enough. If that keeps too much, shrink the magazine, but not to nothing,
 * and let go of what it keeps most of: that may be of a class that nobody asks for any more, and the share of a CPU
 * becomes less when others come to use the pool. What it keeps is looked at a few magazines at a time. Returns the magazine's
 * capacity.
 */
uint32_t keep_adapt(struct slabs *slabs, uint32_t block, unsigned class)
{
	uint32_t capacity = magazine_capacity(percpu_magazine(&slabs->percpu, block, class)), wanted;
	size_t kept, allowed, most;
	unsigned largest;

	look_on(slabs, block, &largest);
	kept = note_of(slabs, block, NOTE_CACHED);
	allowed = budget(slabs, kept);
	most = bits_min(slabs->slots[class], allowed / slabs->classes.granules[class]);
	if (kept > allowed && largest != UINT_MAX)
		let_go(slabs, block, largest, class);
	if (kept > allowed)
		wanted = (uint32_t)bits_min(bits_max(FIRST_CAPACITY, capacity / 2), most);
	else
		wanted = (uint32_t)bits_min(bits_max(first_capacity(slabs, class), 2 * (size_t)capacity),
		                            most);
	if (wanted != capacity)
		percpu_set_capacity(&slabs->percpu, block, class, wanted);
	return wanted;
}
