/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Freeing by pointer: bulk.h. */
#include "driver/bulk.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/mutant.h"

/* A fault that the tests must find: who has no word of an allocation does not end its token. */
#define BULK_MUTANT_WITHOUT_UNTOKEN 112

/*
 * Of what is behind the number of a long state: bare, of a class, and with room for an owner. The bits of the size are in their
 * order, with a gap; so one comparison tells.
 */
#define USUAL_FROM (0x2000u + (OWNER_FROM - 1) * DRIVER_GRANULE)
#define USUAL_TO 0x3fffu
_Static_assert(USUAL_FROM - 0x2000u < 0x80u, "below the gap");

static inline __attribute__((always_inline)) bool state_is_usual(uint32_t behind)
{
	return behind - USUAL_FROM <= USUAL_TO - USUAL_FROM;
}

/* The class of what has that behind it. Eight bytes are a granule, so the lowest three bits do not matter. */
static inline __attribute__((always_inline)) size_t usual_class(const struct ist_driver_pool *pool,
                                                                uint32_t behind)
{
	return slabs_at_sure(&pool->slabs, ((behind >> 3 & 0x0f) | (behind >> 4 & 0x1f0)) + 1);
}

/* Whether the granule is inside of an allocation that starts before it. */
static bool is_inside(const struct ist_driver_pool *pool, size_t start)
{
	while (start-- > 0) {
		/* Relaxed: exact if nobody is about to change it, else anything goes. */
		uint64_t marks = atomic_load_explicit(&pool->last[start / 64], memory_order_relaxed);

		if (marks >> (start % 64) & 1)
			return false;
		if (atomic_load_explicit(&pool->state[start], memory_order_relaxed) & STATE_LIVE)
			return true;
	}
	return false;
}

/* Why there is nothing to free at a place of the pool. What is in the buddy is free for sure, and quickly told. */
static int refuse_pointer(const struct ist_driver_pool *pool, size_t start)
{
	if (bitmap_next_used(pool->slabs.buddy.map, start, start + 1) > start)
		return -EALREADY;
	return is_inside(pool, start) ? -EINVAL : -EALREADY;
}

/* As many as were asked for, of a live state, or of one that was ended here [driver.F2]. */
static size_t needed_granules(const struct ist_driver_pool *pool, size_t start, enum state_form form,
                              uint32_t state)
{
	if (form == STATE_LONG && state & STATE_RUN)
		return driver_pool_run(pool, start, pool->pool.size / DRIVER_GRANULE - start);
	return driver_granules(state_size(form, state, 0));
}

/* The word of a bare allocation; for one with a handle 0, after having ended the tokens that it may have. */
static uint64_t find_token(struct ist_driver_pool *pool, size_t start, enum state_form form, uint32_t state)
{
	if (state_bare(form) == 0 || !(state >> 16 & state_bare(form))) {
		if (!IS_MUTANT(BULK_MUTANT_WITHOUT_UNTOKEN))
			percpu_revoke_all(&pool->slabs.percpu);
		return 0;
	}
	if (needed_granules(pool, start, form, state) < OWNER_FROM)
		return 0;
	return percpu_token_of_half(&pool->slabs.percpu,
	                            arch_load_acquire(&pool->state[start + OWNER_AT], OWNER_BYTES));
}

/* The granules of a run whose life was ended here [driver.F2]. */
static size_t ended_granules(const struct ist_driver_pool *pool, size_t start, enum state_form form)
{
	uint32_t state = bytes_load(&pool->state[start], form);
	size_t count = needed_granules(pool, start, form, state);
	size_t granules = slabs_granules(&pool->slabs, slabs_at(&pool->slabs, count));

	return granules == 0 || (form == STATE_LONG && state & STATE_RUN) ? count : granules;
}

static void give(struct ist_driver_pool *pool, size_t start, size_t granules, uint64_t token)
{
	tools_freed(pool, pool->pool.vaddr + start * DRIVER_GRANULE, granules * DRIVER_GRANULE);
	if (pool->pool.is_hardened)
		pool_give_hardened(&pool->pool, &pool->slabs, start, granules, DRIVER_GRANULE);
	else
		slabs_give_run(&pool->slabs, start, granules, token);
}

static __attribute__((noinline)) int free_slow(struct ist_driver_pool *pool, size_t start)
{
	uint32_t state = bytes_load_acquire(&pool->state[start], 2);
	enum state_form form = state_form_of(state);
	uint64_t token;
	int error;

	if (!(state & STATE_LIVE))
		return refuse_pointer(pool, start);
	state = bytes_load_acquire(&pool->state[start], form);
	if (!(state & STATE_LIVE) || state_form_of(state) != form)
		return -EALREADY; /* somebody has ended it meanwhile */
	token = find_token(pool, start, form, state);
	error = driver_pool_end_life(pool, &pool->state[start], form, state, token);
	if (error)
		return -EALREADY;
	give(pool, start, ended_granules(pool, start, form), token);
	return 0;
}

static int count_error(struct ist_driver_pool *pool, int error)
{
	if (error)
		pool_count_misuse(&pool->pool);
	return error;
}

_Static_assert(DRIVER_GRANULE == ARCH_PLACE, "places of percpu/arch.h are granules");

/*
 * The usual case: bare, of a class, and this CPU's. Its number, and what is behind that; 0 of any other. Each load in its
 * turn [driver.F1]; the one that loads the number again is in the sequence.
 */
static inline uint32_t look_at(const struct ist_driver_pool *pool, size_t start, uint32_t owner,
                               uint32_t *behind)
{
	const _Atomic uint8_t *state = &pool->state[start];
	uint32_t number = arch_load_acquire(state, 2);

	*behind = arch_load(state + 2, 2);
	if (__builtin_expect((number & ARCH_NUMBER_FIXED) != ARCH_NUMBER || !state_is_usual(*behind) ||
	                             arch_load_acquire(state + OWNER_AT, OWNER_BYTES) != owner,
	                     0))
		return 0;
	return number;
}

/* One whose life was ended here, and that is not in the magazine. */
static void give_apart(struct ist_driver_pool *pool, size_t start, size_t at)
{
	size_t granules = slabs_granules(&pool->slabs, at);

	tools_freed(pool, pool->pool.vaddr + start * DRIVER_GRANULE, granules * DRIVER_GRANULE);
	slabs_give_slow(&pool->slabs, start, granules, 0);
}

/* One at a time, step by step: the magazine may be full, and it may be wrong. */
static __attribute__((noinline)) int free_apart(struct ist_driver_pool *pool, size_t start, uint64_t token)
{
	struct percpu *percpu = &pool->slabs.percpu;
	uint32_t number = 0, behind;

	if (start >= pool->slabs.buddy.granules)
		return count_error(pool, -EINVAL);
	if (token & TOKEN_ON && token_half(token))
		number = look_at(pool, start, token_half(token), &behind);
	if (number == 0 || !percpu_retire(percpu, token, pool->state, start, 2, &number, 0))
		return count_error(pool, free_slow(pool, start));
	give_apart(pool, start, usual_class(pool, behind));
	return 0;
}

/* As many as are like the first, which may be none. */
static unsigned free_alike(struct ist_driver_pool *pool, struct arch_batch *batch, uint64_t token,
                           void *const *vaddrs, unsigned count)
{
	size_t start = arch_place(batch->base, vaddrs[0]), at;
	struct arch_done done;

	if (start >= batch->places || TOOLS_ARE_TOLD)
		return 0;
	batch->behind = arch_load(&batch->states[start + 2], 2); /* a guess, which the sequence compares */
	if (!state_is_usual(batch->behind))
		return 0;
	at = usual_class(pool, batch->behind);
	done = percpu_retire_push_batch(&pool->slabs.percpu, token, at, batch, vaddrs, count);
	for (unsigned i = done.pushed; i < done.retired; i++)
		give_apart(pool, batch->at[i], at);
	return done.retired;
}

static __attribute__((noinline)) int free_several(struct ist_driver_pool *pool, void *const *vaddrs,
                                                  unsigned count)
{
	uint64_t token = percpu_token_near(&pool->slabs.percpu);
	struct arch_batch batch;
	int error = 0, next;

	batch.base = pool->pool.vaddr;
	batch.places = pool->slabs.buddy.granules;
	batch.states = pool->state;
	batch.owner = token & TOKEN_ON ? token_half(token) : 0;
	while (count > 0) {
		unsigned done = batch.owner ? free_alike(pool, &batch, token, vaddrs, count) : 0;

		if (done == 0) {
			next = free_apart(pool, arch_place(batch.base, vaddrs[0]), token);
			error = error ? error : next;
			done = 1;
		}
		vaddrs += done;
		count -= done;
	}
	return error;
}

static inline __attribute__((always_inline)) int free_one(struct ist_driver_pool *pool, const void *vaddr)
{
	struct percpu *percpu = &pool->slabs.percpu;
	size_t start = arch_place(pool->pool.vaddr, vaddr), at;
	uint64_t token = percpu_token_near(percpu);
	uint32_t number, behind;
	enum arch_retired retired;

	if (__builtin_expect(start >= pool->slabs.buddy.granules || !token_has_half(token), 0) ||
	    TOOLS_ARE_TOLD)
		return free_apart(pool, start, token);
	number = look_at(pool, start, (uint32_t)token, &behind);
	if (__builtin_expect(number == 0, 0))
		return free_apart(pool, start, token);
	at = usual_class(pool, behind);
	retired = percpu_retire_push(percpu, token, at, pool->state, start, 2, &number, 0);
	if (__builtin_expect(retired == ARCH_RETIRED, 0))
		give_apart(pool, start, at);
	return retired ? 0 : free_apart(pool, start, token);
}

int driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count)
{
	if (__builtin_expect(slabs_check(&pool->slabs), 0))
		return -ECHILD;
	return count == 1 ? free_one(pool, vaddrs[0]) : free_several(pool, vaddrs, count);
}
