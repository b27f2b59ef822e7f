/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Freeing by pointer: bulk.h. */
#include "driver/bulk.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/mutant.h"

/* A fault that the tests must find: who has no word of an allocation does not end its token. */
#define BULK_MUTANT_WITHOUT_UNTOKEN 112

#define OWNER_NONE UINT32_C(0x80808080) /* no owner is written like this */

/* Messages of one size and this CPU, which end together and go into its magazine together. */
struct bin {
	struct ist_driver_pool *pool;
	uint64_t token; /* this CPU's, and how that is written down */
	uint32_t owner, behind; /* of all of them; behind the number */
	unsigned count;
	struct arch_ending ending;
};

/* What does not fit goes the way of a single one. */
static void push_all(struct slabs *slabs, size_t at, const uint32_t *starts, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		done += percpu_put(&slabs->percpu, (unsigned)PERCPU_CLASS(at), starts + done, count - done,
		                   false);
		if (done < count)
			slabs_give_slow(slabs, starts[done++], slabs_granules(slabs, at), 0);
	}
}

/* Of what is behind the number of a long state: bare, of a class, and with room for an owner. */
static inline __attribute__((always_inline)) bool state_is_usual(uint32_t behind)
{
	return (behind & (STATE_RUN >> 16 | 0x2000)) == 0x2000 &&
	       state_size(STATE_LONG, behind << 16, 0) > (OWNER_FROM - 1) * DRIVER_GRANULE;
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

/* Counts what was refused; the first of two errors, 0 for none. */
static int first_error(struct ist_driver_pool *pool, int before, int error)
{
	if (error)
		pool_count_misuse(&pool->pool);
	return before ? before : error;
}

/* The granule at an address, or a number that is too large: of one outside of the pool, or not aligned. */
static inline size_t start_at(const char *base, const void *vaddr)
{
	size_t offset = (size_t)((uintptr_t)vaddr - (uintptr_t)base);

	return offset / DRIVER_GRANULE | offset << 61;
}
_Static_assert(DRIVER_GRANULE == 8 && sizeof(size_t) == 8, "a rotation by three bits");

static inline void fill(struct bin *bin, unsigned at, size_t start, uint32_t number)
{
	bin->ending.dead[at] = (uint16_t)(number & ~STATE_LIVE);
	bin->ending.live[at] = (uint16_t)number;
	bin->ending.places[at] = (uint32_t)start;
}

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
	if (__builtin_expect((number & 0x60c0) != 0x6000 + STATE_LIVE || !state_is_usual(*behind) ||
	                             arch_load_acquire(state + OWNER_AT, OWNER_BYTES) != owner,
	                     0))
		return 0;
	return number;
}

/*
 * Fill the bin, in which there is one message, with those of `count` that are like it, until one is not; each pointer and
 * state as look_at does. What does not change is in variables, as in begin_usual.
 */
static void fill_more(struct bin *bin, void *const *vaddrs, unsigned count)
{
	const _Atomic uint8_t *const states = bin->pool->state;
	const size_t granules = bin->pool->pool.size / DRIVER_GRANULE;
	const uint32_t owner = bin->owner, behind = bin->behind;
	const char *const base = bin->pool->pool.vaddr;
	unsigned filled = 1;

	for (; filled < ARCH_ENDING && filled <= count; filled++) {
		size_t start = start_at(base, vaddrs[filled - 1]);
		uint32_t number, differs;

		if (start >= granules)
			break;
		number = arch_load_acquire(states + start, 2);
		differs = arch_load(states + start + 2, 2) ^ behind;
		differs |= arch_load_acquire(states + start + OWNER_AT, OWNER_BYTES) ^ owner;
		if (differs | ((number ^ (0x6000 + STATE_LIVE)) & 0x60c0))
			break;
		fill(bin, filled, start, number);
	}
	bin->count = filled;
}

static size_t bin_class(const struct bin *bin)
{
	return slabs_at_sure(&bin->pool->slabs,
	                     driver_granules(state_size(STATE_LONG, bin->behind << 16, 0)));
}

static void tell_tools(const struct bin *bin, unsigned from, unsigned end)
{
	for (unsigned i = from; i < end; i++)
		tools_freed(bin->pool, bin->pool->pool.vaddr + (size_t)bin->ending.places[i] * DRIVER_GRANULE,
		            slabs_granules(&bin->pool->slabs, bin_class(bin)) * DRIVER_GRANULE);
}

/* End what is in the bin, and give it back; whatever the sequence stops at goes the slow way. */
static int empty(struct bin *bin, int error)
{
	struct ist_driver_pool *pool = bin->pool;
	unsigned done = 0;

	while (done < bin->count) {
		unsigned ended = percpu_retire_batch(&pool->slabs.percpu, bin->token, pool->state,
		                                     &bin->ending, done, bin->count);

		tell_tools(bin, done, done + ended);
		push_all(&pool->slabs, bin_class(bin), bin->ending.places + done, ended);
		done += ended;
		if (done < bin->count)
			error = first_error(pool, error, free_slow(pool, bin->ending.places[done++]));
	}
	return error;
}

/* One message; or with those that are like it, of which there are up to `more`. How many are done. */
static unsigned free_some(struct bin *bin, void *const *vaddrs, unsigned more, int *error)
{
	struct ist_driver_pool *pool = bin->pool;
	size_t start = start_at(pool->pool.vaddr, vaddrs[0]);
	uint32_t number = 0;

	if (start >= pool->pool.size / DRIVER_GRANULE) {
		*error = first_error(pool, *error, -EINVAL);
		return 1;
	}
	number = look_at(pool, start, bin->owner, &bin->behind);
	if (number == 0) {
		*error = first_error(pool, *error, free_slow(pool, start));
		return 1;
	}
	fill(bin, 0, start, number);
	fill_more(bin, vaddrs + 1, more);
	more = bin->count;
	*error = empty(bin, *error);
	return more;
}

static __attribute__((noinline)) int free_several(struct ist_driver_pool *pool, void *const *vaddrs,
                                                  unsigned count)
{
	struct bin bin;
	int error = 0;

	bin.pool = pool;
	bin.token = percpu_token_near(&pool->slabs.percpu);
	bin.owner = token_half(bin.token) & TOKEN_ON ? token_half(bin.token) : OWNER_NONE;
	while (count > 0) {
		unsigned done = free_some(&bin, vaddrs, count - 1, &error);

		vaddrs += done;
		count -= done;
	}
	return error;
}

static __attribute__((noinline)) int free_other(struct ist_driver_pool *pool, size_t start)
{
	return first_error(pool, 0,
	                   start < pool->pool.size / DRIVER_GRANULE ? free_slow(pool, start) : -EINVAL);
}

/* One message needs no bin: as free_some, with percpu_retire and a push. */
static inline __attribute__((always_inline)) int free_one(struct ist_driver_pool *pool, const void *vaddr)
{
	struct percpu *percpu = &pool->slabs.percpu;
	size_t start = start_at(pool->pool.vaddr, vaddr), at;
	uint64_t token = percpu_token_near(percpu);
	uint32_t number, behind;

	if (__builtin_expect(start >= pool->pool.size / DRIVER_GRANULE || !(token & TOKEN_ON), 0))
		return free_other(pool, start);
	number = look_at(pool, start, token_half(token), &behind);
	if (__builtin_expect(!token_half(token) || number == 0 ||
	                             !percpu_retire(percpu, token, pool->state, start, 2, &number, 0),
	                     0))
		return free_other(pool, start);
	at = slabs_at_sure(&pool->slabs, driver_granules(state_size(STATE_LONG, behind << 16, 0)));
	tools_freed(pool, pool->pool.vaddr + start * DRIVER_GRANULE,
	            slabs_granules(&pool->slabs, at) * DRIVER_GRANULE);
	if (__builtin_expect(!percpu_push(percpu, at, (uint32_t)start), 0))
		slabs_give_slow(&pool->slabs, start, slabs_granules(&pool->slabs, at), 0);
	return 0;
}

int driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count)
{
	if (__builtin_expect(slabs_check(&pool->slabs), 0))
		return -ECHILD;
	return count == 1 ? free_one(pool, vaddrs[0]) : free_several(pool, vaddrs, count);
}
