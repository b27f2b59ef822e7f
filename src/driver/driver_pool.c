/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "driver/driver_pool.h"

#include <errno.h>

#include "base/twin.h"
#include "driver/state.h"

#define TWIN_FREE_WITHOUT_EXCHANGE                                                                           \
	111 /* check and store in place of the compare-exchange that decides a free */

#define EXACT_BELOW ((size_t)256 << 10) /* bytes: smaller pools have a class for every count of granules */

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

	pool->last = (_Atomic uint64_t *)(void *)at;
	at += last_bytes(granules);
	pool->state = (_Atomic uint8_t *)(void *)at;
	pool->slabs.carve = carve;
	choose_classes(pool);
	return slabs_create(&pool->slabs, zeroed_memory, granules);
}

void driver_pool_end(struct ist_driver_pool *pool)
{
	slabs_destroy(&pool->slabs);
}

/*
 * How many granules the run that starts at `start` has, by the next mark; 0 if there is none as far as `most`. Acquire:
 * the state may be loaded again afterwards, to learn whether the marks still belonged to it.
 */
static size_t run_length(const struct ist_driver_pool *pool, size_t start, size_t most)
{
	size_t at = start, end = start + most;

	while (at < end) {
		uint64_t marks =
		        atomic_load_explicit(&pool->last[at / 64], memory_order_acquire) >> (at % 64);

		if (marks)
			return at + bits_lowest(marks) + 1 - start;
		at = (at / 64 + 1) * 64;
	}
	return 0;
}

/* Relaxed: bytes behind the first belong to whoever owns the run; the first orders them. */
static uint8_t read_state(const struct ist_driver_pool *pool, size_t granule)
{
	return atomic_load_explicit(&pool->state[granule], memory_order_relaxed);
}

static void write_state(struct ist_driver_pool *pool, size_t granule, size_t value)
{
	atomic_store_explicit(&pool->state[granule], (uint8_t)value, memory_order_relaxed);
}

/*
 * Make an allocation of `count` granules of a run of `granted` that is ours alone: the last one who wrote these bytes
 * gave it back before we took it. Returns its use count.
 */
static uint64_t bring_to_life(struct ist_driver_pool *pool, size_t start, size_t count, size_t granted,
                              size_t size)
{
	uint8_t first = read_state(pool, start);
	uint64_t use = state_use_low(first);

	if (count > 1)
		use |= (uint64_t)read_state(pool, start + 1) << STATE_USE_LOW_BITS;
	if (count > STATE_EXACT)
		write_state(pool, start + 2, granted - count);
	/* Release: pairs with the acquire in driver_pool_free, which reads the marks and the other bytes. */
	atomic_store_explicit(&pool->state[start], state_live(first, count * DRIVER_GRANULE - size),
	                      memory_order_release);
	return use;
}

int ist_driver_pool_alloc(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	size_t start, granted, count = granule_count(size);
	uint64_t use;
	int error;

	if (!pool || !out || size == 0)
		return -EINVAL;
	error = slabs_take(&pool->slabs, count, size, &start, &granted);
	if (error) {
		if (error == -ENOSPC)
			pool_count_failure(&pool->pool);
		return error;
	}
	use = bring_to_life(pool, start, count, granted, size);
	pool_make_shm(&pool->pool, start * DRIVER_GRANULE, size, state_tag(use, size), out);
	return 0;
}

/*
 * Whether the allocation that a handle names is live: what the handle says is what the state bytes and marks say. The
 * first byte is acquired: pairs with bring_to_life. *granted: the granules of its run.
 */
static inline bool is_live(const struct ist_driver_pool *pool, size_t start, size_t count, uint64_t use,
                           uint8_t expected, size_t *granted)
{
	if (atomic_load_explicit(&pool->state[start], memory_order_acquire) != expected)
		return false;
	*granted = count;
	if (count > STATE_EXACT)
		*granted += read_state(pool, start + 2);
	return run_length(pool, start, *granted) == *granted &&
	       (count == 1 || read_state(pool, start + 1) == use >> STATE_USE_LOW_BITS);
}

/*
 * A handle that agrees with itself was handed out once: if it is not live now, it was freed. One that does not was
 * changed, and names nothing.
 */
int driver_pool_free(struct ist_driver_pool *pool, const struct ist_shm *shm)
{
	size_t size = shm->view.size, count = granule_count(size), start = shm->offset / DRIVER_GRANULE,
	       granted;
	uint64_t use = state_tag_use(shm->tag);
	uint8_t expected = state_expected(use, count * DRIVER_GRANULE - size), met = expected;

	if (!pool_shm_is_intact(&pool->pool, shm) || shm->offset % DRIVER_GRANULE ||
	    shm->tag != state_tag(use, size) || (count == 1 && use > STATE_USE_LOW))
		return -EINVAL;
	if (!is_live(pool, start, count, use, expected, &granted))
		return -EALREADY;
	/*
	 * Acquire as above, for the case that the place was used again since the load. No release is needed:
	 * slabs_give releases what we did to the memory.
	 */
	if (TWIN_BROKEN(TWIN_FREE_WITHOUT_EXCHANGE))
		atomic_store_explicit(&pool->state[start], state_freed(use), memory_order_relaxed);
	else if (!atomic_compare_exchange_strong_explicit(&pool->state[start], &met, state_freed(use),
	                                                  memory_order_acquire, memory_order_relaxed))
		return -EALREADY;
	if (count > 1 && (use & STATE_USE_LOW) == STATE_USE_LOW)
		write_state(pool, start + 1, ((use >> STATE_USE_LOW_BITS) + 1) & STATE_USE_HIGH);
	slabs_give(&pool->slabs, start, granted);
	return 0;
}

/* Bytes as asked of the allocation that starts at `start`, and the granules of its run; 0 if none does. */
static size_t live_size(const struct ist_driver_pool *pool, size_t start, size_t *granules)
{
	uint8_t first = atomic_load_explicit(&pool->state[start], memory_order_acquire);
	size_t run, count;

	if (!(first & STATE_LIVE))
		return 0;
	run = run_length(pool, start, pool->pool.size / DRIVER_GRANULE - start);
	count = run > STATE_EXACT ? run - bits_min(read_state(pool, start + 2), run - 1) : run;
	*granules = run;
	return run ? count * DRIVER_GRANULE - (first & STATE_SLACK) : 0;
}

/* What lives, and the longest stretch between, whether it lies in the buddy or in magazines: all of it can be had. */
static void survey_live(struct ist_driver_pool *pool, struct pool_use *use)
{
	size_t end = pool->pool.size / DRIVER_GRANULE, at = 0, gap = 0;

	*use = (struct pool_use){0};
	/* By the buddy's map, so that free stretches cost a bit a granule. */
	while ((at = bitmap_next_used(pool->slabs.buddy.map, at, end)) < end) {
		size_t granules = 0, size = live_size(pool, at, &granules);

		if (size == 0) {
			at++;
			continue;
		}
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

void ist_driver_pool_stats(struct ist_driver_pool *pool, struct ist_pool_stats *out)
{
	struct pool_use use;

	if (!pool || !out)
		return;
	survey_live(pool, &use);
	pool_read_stats(&pool->pool, &pool->slabs, DRIVER_GRANULE, &use, out);
}
