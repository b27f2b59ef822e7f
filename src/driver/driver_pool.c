/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "driver/driver_pool.h"

#include <errno.h>

#include "base/twin.h"

#define TWIN_FREE_WITHOUT_EXCHANGE                                                                           \
	111 /* check and store in place of the compare-exchange that decides a free */

/*
 * The state byte of a granule. While an allocation starts there: LIVE, the use count of the place, and how many
 * bytes of its last granule were not asked for. Otherwise: not LIVE, and the use count for the next one. A granule
 * inside an allocation is not LIVE, because whatever started there is freed.
 *
 * Only the owner of a granule (by the buddy) makes its byte LIVE; only the compare-exchange in driver_pool_free
 * makes it not LIVE, and it is the linearization point that decides which of several frees is obeyed.
 */
#define STATE_LIVE 0x80u
#define STATE_USE_SHIFT 3
#define STATE_USE_MASK 0x0fu
#define STATE_SLACK_MASK 0x07u

static uint8_t state_make(unsigned live, uint64_t use, size_t slack)
{
	return (uint8_t)(live | (use & STATE_USE_MASK) << STATE_USE_SHIFT | slack);
}

static unsigned state_use(uint8_t state)
{
	return (unsigned)(state >> STATE_USE_SHIFT) & STATE_USE_MASK;
}

static size_t granule_count(size_t bytes)
{
	return bits_ceil_div(bytes, DRIVER_GRANULE);
}

static size_t last_bytes(size_t granules)
{
	return bits_round_up(bits_ceil_div(granules, 8), CACHE_LINE);
}

size_t driver_pool_bytes(size_t size)
{
	size_t granules = size / DRIVER_GRANULE;

	return buddy_bytes(granules) + last_bytes(granules) + bits_round_up(granules, CACHE_LINE);
}

void driver_pool_init(struct ist_driver_pool *pool, void *zeroed_memory)
{
	size_t granules = pool->pool.size / DRIVER_GRANULE;
	char *at = zeroed_memory;

	buddy_init(&pool->buddy, at, granules);
	at += buddy_bytes(granules);
	pool->last = (_Atomic uint64_t *)(void *)at;
	at += last_bytes(granules);
	pool->state = (_Atomic uint8_t *)(void *)at;
}

/*
 * Mark the last granule of [start, start + count), which the caller owns. Marks are left behind when an allocation
 * is freed and corrected here: a mark counts only inside a live allocation, and with sizes that repeat, no shared
 * word is written at all. Relaxed: the release of the state byte publishes them to whoever frees.
 */
static void mark_last(struct ist_driver_pool *pool, size_t start, size_t count)
{
	size_t end = start + count;

	while (start < end) {
		_Atomic uint64_t *word = &pool->last[start / 64];
		size_t part_end = bits_min((start / 64 + 1) * 64, end);
		uint64_t part = bits_mask((unsigned)(start % 64), (unsigned)(part_end - start));
		uint64_t wanted = part_end == end ? UINT64_C(1) << ((end - 1) % 64) : 0;
		uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

		if (seen & part & ~wanted)
			atomic_fetch_and_explicit(word, ~(part & ~wanted), memory_order_relaxed);
		if (wanted & ~seen)
			atomic_fetch_or_explicit(word, wanted, memory_order_relaxed);
		start = part_end;
	}
}

/*
 * Whether the allocation that starts at `start` has exactly `count` granules, all of them inside the pool. Acquire:
 * the state may be loaded again afterwards, to learn whether the marks still belonged to it.
 */
static bool ends_after(const struct ist_driver_pool *pool, size_t start, size_t count)
{
	size_t end = start + count;

	while (start < end) {
		uint64_t marks =
		        atomic_load_explicit(&pool->last[start / 64], memory_order_acquire) >> (start % 64);

		if (marks)
			return start + bits_lowest(marks) == end - 1;
		start = (start / 64 + 1) * 64;
	}
	return false;
}

int ist_driver_pool_alloc(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	size_t start, count = granule_count(size);
	uint8_t state;

	if (!pool || !out || size == 0)
		return -EINVAL;
	if (size > pool->pool.size || buddy_alloc(&pool->buddy, count, BUDDY_ANYWHERE, &start)) {
		pool_count_failure(&pool->pool);
		return -ENOSPC;
	}
	mark_last(pool, start, count);
	/* The granule is ours and nobody may write its state: the last one who did freed it before we claimed it. */
	state = atomic_load_explicit(&pool->state[start], memory_order_relaxed);
	state = state_make(STATE_LIVE, state_use(state), count * DRIVER_GRANULE - size);
	/* Release: pairs with the acquire in driver_pool_free, which reads the marks. */
	atomic_store_explicit(&pool->state[start], state, memory_order_release);
	pool_count_alloc(&pool->pool, size);
	pool_make_shm(&pool->pool, start * DRIVER_GRANULE, size, state_use(state), out);
	return 0;
}

/* Why a free was refused, from the state that it met. */
static int refusal(uint8_t met, uint64_t tag)
{
	if (state_use(met) != tag)
		return -EALREADY; /* the place has been given back since, whatever it is now */
	return -EINVAL;
}

int driver_pool_free(struct ist_driver_pool *pool, const struct ist_shm *shm)
{
	size_t size = shm->view.size, count = granule_count(size), start = shm->offset / DRIVER_GRANULE;
	uint8_t expected, met;

	if (!pool_shm_is_intact(&pool->pool, shm) || shm->offset % DRIVER_GRANULE ||
	    shm->tag > STATE_USE_MASK)
		return -EINVAL;
	expected = state_make(STATE_LIVE, shm->tag, count * DRIVER_GRANULE - size);
	met = atomic_load_explicit(&pool->state[start],
	                           memory_order_acquire); /* pairs with the alloc's release */
	if (met != expected)
		return refusal(met, shm->tag);
	if (!ends_after(pool, start, count)) {
		/* Another length; or it was freed since, and the marks are somebody else's. */
		met = atomic_load_explicit(&pool->state[start], memory_order_relaxed);
		return met == expected ? -EINVAL : refusal(met, shm->tag);
	}
	/*
	 * Acquire as above, for the case that the place was used again since the load. No release is needed:
	 * buddy_free releases what we did to the memory.
	 */
	if (TWIN_BROKEN(TWIN_FREE_WITHOUT_EXCHANGE))
		atomic_store_explicit(&pool->state[start], state_make(0, shm->tag + 1, 0),
		                      memory_order_relaxed);
	else if (!atomic_compare_exchange_strong_explicit(&pool->state[start], &met,
	                                                  state_make(0, shm->tag + 1, 0),
	                                                  memory_order_acquire, memory_order_acquire))
		return refusal(met, shm->tag);
	pool_count_free(&pool->pool, size);
	buddy_free(&pool->buddy, start, count);
	return 0;
}

void ist_driver_pool_stats(struct ist_driver_pool *pool, struct ist_pool_stats *out)
{
	if (!pool || !out)
		return;
	pool_read_counters(&pool->pool, out);
	out->largest_free = buddy_largest(&pool->buddy) * DRIVER_GRANULE;
}
