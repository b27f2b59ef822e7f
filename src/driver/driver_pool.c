/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "driver/alloc.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "platform/platform.h"

/* Check and store in place of the compare-exchange that decides a free. */
#define DRIVER_MUTANT_FREE_WITHOUT_EXCHANGE 111

#define EXACT_BELOW ((size_t)256 << 10) /* bytes: smaller pools have a class for every count of granules */

static size_t last_bytes(size_t granules)
{
	return bits_round_up(bits_ceil_div(granules, 8), CACHE_LINE);
}

/* A handle that was changed may name the last place with any size: what a state takes may be read there. */
static size_t state_bytes(size_t granules)
{
	return bits_round_up(granules + STATE_BYTES_MOST - 1, CACHE_LINE);
}

static size_t link_bytes(size_t granules)
{
	return granules * (granules > UINT32_MAX ? 8 : 4);
}

size_t driver_pool_bytes(size_t size)
{
	size_t granules = size / DRIVER_GRANULE;

	return buddy_bytes(granules) + last_bytes(granules) + state_bytes(granules);
}

/*
 * Mark the last granule of [start, start + count), which the caller owns. Marks are left behind when an allocation
 * is freed and corrected here: a mark counts only inside a live allocation, and with sizes that repeat, no shared
 * word is written at all. Relaxed: who frees has the handle from us (driver_begin_life).
 */
static void mark_last(struct ist_driver_pool *pool, size_t start, size_t count)
{
	size_t last = start + count - 1;
	uint64_t from = ~UINT64_C(0) << (start % 64), bit = UINT64_C(1) << (last % 64), seen, others;

	for (size_t index = start / 64; index < last / 64; index++) {
		seen = atomic_load_explicit(&pool->last[index], memory_order_relaxed);
		if (seen & from)
			atomic_fetch_and_explicit(&pool->last[index], ~from, memory_order_relaxed);
		from = ~UINT64_C(0);
	}
	seen = atomic_load_explicit(&pool->last[last / 64], memory_order_relaxed);
	others = seen & from & (bit - 1);
	if (others)
		atomic_fetch_and_explicit(&pool->last[last / 64], ~others, memory_order_relaxed);
	if (!(seen & bit))
		atomic_fetch_or_explicit(&pool->last[last / 64], bit, memory_order_relaxed);
}

/* Slabs are marked once, when they are cut up: the objects keep their length for as long as they are out of the buddy. */
static void carve(struct slabs *slabs, size_t start, size_t count, unsigned objects)
{
	struct ist_driver_pool *pool =
	        (struct ist_driver_pool *)(void *)((char *)slabs - offsetof(struct ist_driver_pool, slabs));

	for (unsigned i = 0; i < objects; i++)
		mark_last(pool, start + i * count, count);
}

/* Small pools cannot afford to round: four pages have to hold whatever would fit into them. */
static void choose_classes(struct ist_driver_pool *pool)
{
	if (pool->pool.size < EXACT_BELOW)
		slab_classes_exact(&pool->slabs.classes);
	else
		slab_classes_spaced(&pool->slabs.classes);
}

int driver_pool_init(struct ist_driver_pool *pool, void *zeroed_memory)
{
	size_t granules = pool->pool.size / DRIVER_GRANULE;
	char *at = (char *)zeroed_memory + buddy_bytes(granules);
	int error;

	pool->last = (_Atomic uint64_t *)(void *)at;
	at += last_bytes(granules);
	pool->state = (_Atomic uint8_t *)(void *)at;
	pool->links = platform_map(link_bytes(granules));
	if (!pool->links)
		return -ENOMEM;
	pool->slabs.carve = carve;
	pool->slabs.line = CACHE_LINE; /* a byte of state each */
	choose_classes(pool);
	error = slabs_create(&pool->slabs, zeroed_memory, granules, pool->pool.quarantine);
	/* Without classes the fast path of a free, which a token leads to, would not know how long runs are. */
	if (error)
		platform_unmap(pool->links, link_bytes(granules));
	else if (!pool->pool.is_hardened && pool->slabs.classes.count)
		percpu_use_tokens(&pool->slabs.percpu);
	return error;
}

void driver_pool_end(struct ist_driver_pool *pool)
{
	platform_unmap(pool->links, link_bytes(pool->pool.size / DRIVER_GRANULE));
	slabs_destroy(&pool->slabs);
}

/* Short runs need none: they are as long as their class, or there are no classes. */
static uint32_t run_flag(enum state_form form)
{
	return form == STATE_LONG ? STATE_RUN : 0;
}

int driver_pool_alloc_slow(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	size_t start, granted, count = driver_granules(size);
	enum state_form form = state_form(size);
	uint32_t behind;
	bool has_class;
	int error;

	if (size == 0)
		return -EINVAL;
	error = slabs_take_slow(&pool->slabs, count, size, &start, &granted);
	if (error) {
		if (error == -ENOSPC)
			pool_count_failure(&pool->pool);
		return error;
	}
	has_class = slabs_granules(&pool->slabs, slabs_at(&pool->slabs, count)) == granted;
	behind = state_behind(form, size) | (has_class ? 0 : run_flag(form)) >> 16;
	driver_begin_life(pool, start, size, form, behind, percpu_token_here(&pool->slabs.percpu), out);
	return 0;
}

int driver_pool_alloc_other(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	if (size - 1 >= STATE_SIZES)
		return driver_pool_alloc_slow(pool, size, out);
	if (size <= 8)
		return driver_pool_alloc_as(pool, size, STATE_TINY, out);
	if (size <= 16)
		return driver_pool_alloc_as(pool, size, STATE_SHORT, out);
	return driver_pool_alloc_as(pool, size, STATE_MIDDLE, out);
}

size_t driver_pool_run(const struct ist_driver_pool *pool, size_t start, size_t most)
{
	size_t index = start / 64, end = start + most;
	/* Relaxed, here and below: who has the run's handle has its marks as well (driver_begin_life). */
	uint64_t marks =
	        atomic_load_explicit(&pool->last[index], memory_order_relaxed) & ~UINT64_C(0) << (start % 64);

	while (marks == 0) {
		if (++index * 64 >= end)
			return 0;
		marks = atomic_load_explicit(&pool->last[index], memory_order_relaxed);
	}
	return index * 64 + bits_lowest(marks) + 1 - start;
}

/* Whether a handle is one that driver_begin_life could have made. */
static bool is_intact(const struct ist_driver_pool *pool, const struct ist_shm *shm)
{
	size_t offset = pool_offset(&pool->pool, shm);

	return pool_shm_is_intact(&pool->pool, shm) && offset % DRIVER_GRANULE == 0 &&
	       shm->index == (uint32_t)(offset / DRIVER_GRANULE) &&
	       shm->generation == state_generation(state_form(shm->view.size), shm->generation);
}

/* The life of what begins at `state`: while it lives it reads `live`. */
struct driver_ending {
	struct percpu_ending ending;
	struct percpu *percpu;
	_Atomic uint8_t *state;
	enum state_form form;
	uint32_t live;
	uint64_t token;
};

static const struct driver_ending *driver_ending_of(const struct percpu_ending *ending)
{
	return (const struct driver_ending *)(const void *)ending;
}

static bool end_here(const struct percpu_ending *ending)
{
	const struct driver_ending *of = driver_ending_of(ending);
	uint32_t number = of->live & 0xffff;

	return percpu_retire(of->percpu, of->token, of->state, 0, state_width(of->form), &number, 0);
}

static int look_at_life(const struct percpu_ending *ending)
{
	const struct driver_ending *of = driver_ending_of(ending);

	return bytes_load(of->state, of->form) == of->live ? 0 : -EALREADY;
}

/* By compare-exchange: whether it was this call that ended the life. */
static int end_anywhere(const struct percpu_ending *ending)
{
	const struct driver_ending *of = driver_ending_of(ending);
	uint8_t first = (uint8_t)of->live, next = first & (uint8_t)~STATE_LIVE;

	/*
	 * Acquire: for the case that the place was used again since it was looked at. No release is needed: giving the
	 * run back releases what we did to the memory.
	 */
	if (IS_MUTANT(DRIVER_MUTANT_FREE_WITHOUT_EXCHANGE))
		atomic_store_explicit(of->state, next, memory_order_relaxed);
	else if (!atomic_compare_exchange_strong_explicit(of->state, &first, next, memory_order_acquire,
	                                                  memory_order_relaxed))
		return -EALREADY;
	return 0;
}

int driver_pool_end_life(struct ist_driver_pool *pool, _Atomic uint8_t *state, enum state_form form,
                         uint32_t live, uint64_t token)
{
	struct driver_ending of = {
	        {end_here, look_at_life, end_anywhere}, &pool->slabs.percpu, state, form, live, token};

	return percpu_end(of.percpu, token, &of.ending);
}

/*
 * Why a handle is refused of which the state knows nothing. It was handed out once, since it is intact, and freed;
 * or only its size was changed, and what lives there lives on in the same use.
 */
static int refuse(const struct ist_driver_pool *pool, const struct ist_shm *shm)
{
	size_t start = pool_offset(&pool->pool, shm) / DRIVER_GRANULE;
	size_t run = driver_pool_run(pool, start, pool->pool.size / DRIVER_GRANULE - start);
	enum state_form form = state_form(bits_max(run, 1) * DRIVER_GRANULE);
	uint32_t state = bytes_load(&pool->state[start], form);

	return (state & STATE_LIVE) && state_generation(form, state) == shm->generation ? -EINVAL : -EALREADY;
}

static int free_judged(struct ist_driver_pool *pool, struct ist_shm *shm)
{
	size_t size = shm->view.size, start = pool_offset(&pool->pool, shm) / DRIVER_GRANULE;
	size_t count = driver_granules(size), at = slabs_at(&pool->slabs, count);
	size_t granules = slabs_granules(&pool->slabs, at);
	enum state_form form = state_form(size);
	_Atomic uint8_t *state;
	uint32_t live, seen;
	uint64_t token;
	int error;

	if (!is_intact(pool, shm))
		return -EINVAL;
	state = &pool->state[start];
	seen = bytes_load(state, form);
	live = state_live(form, shm->generation, size) + (seen & run_flag(form));
	if (seen != live)
		return refuse(pool, shm);
	if (granules == 0 || seen & run_flag(form)) {
		granules = count;
		if (driver_pool_run(pool, start, granules) != granules)
			return -EINVAL;
	}
	token = shm->token;
	error = driver_pool_end_life(pool, state, form, live, token);
	if (error)
		return error;
	tools_freed(pool, shm->view.vaddr, granules * DRIVER_GRANULE);
	*shm = (struct ist_shm){0};
	if (pool->pool.is_hardened)
		pool_give_hardened(&pool->pool, &pool->slabs, start, granules, DRIVER_GRANULE);
	else
		slabs_give_run(&pool->slabs, start, granules, token);
	return 0;
}

int driver_pool_free_slow(struct ist_driver_pool *pool, struct ist_shm *shm)
{
	int error = free_judged(pool, shm);

	if (error)
		pool_count_misuse(&pool->pool);
	return error;
}

int driver_pool_free_apart(struct ist_driver_pool *pool, struct ist_shm *shm, enum arch_retired retired)
{
	size_t size = shm->view.size, start = shm->index;
	size_t granules = slabs_granules(&pool->slabs, slabs_at_sure(&pool->slabs, driver_granules(size)));
	enum state_form form = state_form(size);
	uint64_t token = shm->token;

	if (retired == ARCH_REFUSED &&
	    !percpu_retire(&pool->slabs.percpu, token, pool->state, start, state_width(form),
	                   &shm->generation, state_number(form, 0, size)))
		return driver_pool_free_slow(pool, shm);
	tools_freed(pool, shm->view.vaddr, granules * DRIVER_GRANULE);
	*shm = (struct ist_shm){0};
	slabs_give_slow(&pool->slabs, start, granules, token);
	return 0;
}

int driver_pool_free_other(struct ist_driver_pool *pool, struct ist_shm *shm)
{
	size_t size = shm->view.size;

	if (size - 1 >= STATE_SIZES)
		return driver_pool_free_slow(pool, shm);
	if (size <= 8)
		return driver_pool_free_as(pool, shm, STATE_TINY);
	if (size <= 16)
		return driver_pool_free_as(pool, shm, STATE_SHORT);
	return driver_pool_free_as(pool, shm, STATE_MIDDLE);
}

/* Bytes as asked of the allocation that starts at `start`, 0 if none does; and the granules of its run. */
static size_t live_size(const struct ist_driver_pool *pool, size_t start, size_t *granules)
{
	size_t run = driver_pool_run(pool, start, pool->pool.size / DRIVER_GRANULE - start);
	enum state_form form = state_form(run * DRIVER_GRANULE);
	uint32_t state;

	*granules = bits_max(run, 1);
	if (run == 0)
		return 0;
	state = bytes_load(&pool->state[start], form);
	return state & STATE_LIVE ? state_size(form, state, run) : 0;
}

bool driver_pool_next(const struct ist_driver_pool *pool, size_t *at, size_t *granules, size_t *bytes)
{
	size_t end = pool->pool.size / DRIVER_GRANULE, from = *at;

	/* By the buddy's map, so that free stretches cost a bit a granule. */
	while ((from = bitmap_next_used(pool->slabs.buddy.map, from, end)) < end) {
		*bytes = live_size(pool, from, granules);
		if (*bytes) {
			*at = from;
			return true;
		}
		from += *granules; /* in a magazine, or on its way */
	}
	return false;
}

/* What lives, and the longest stretch between, whether it lies in the buddy or in magazines: all of it can be had. */
static void survey_live(struct ist_driver_pool *pool, struct pool_use *use)
{
	size_t end = pool->pool.size / DRIVER_GRANULE, at = 0, gap = 0, granules, size;

	*use = (struct pool_use){0};
	while (driver_pool_next(pool, &at, &granules, &size)) {
		use->bytes += size;
		use->longest_gap = bits_max(use->longest_gap, at - gap);
		gap = at += granules;
	}
	use->longest_gap = bits_max(use->longest_gap, end - gap);
}

bool driver_pool_is_used(struct ist_driver_pool *pool)
{
	struct slab_counts counts;

	slabs_count(&pool->slabs, &counts);
	return counts.allocs != counts.frees;
}

void driver_pool_stats(struct ist_driver_pool *pool, struct ist_pool_stats *out)
{
	struct pool_use use;

	survey_live(pool, &use);
	pool_read_stats(&pool->pool, &pool->slabs, DRIVER_GRANULE, &use, out);
}
