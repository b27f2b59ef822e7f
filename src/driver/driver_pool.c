/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "driver/driver_pool.h"

#include <errno.h>

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
	return slabs_create(&pool->slabs, zeroed_memory, granules, pool->pool.quarantine);
}

void driver_pool_end(struct ist_driver_pool *pool)
{
	slabs_destroy(&pool->slabs);
}

/*
 * Make an allocation of `count` granules of a run of `granted` that is ours alone: the last one who wrote these bytes
 * gave it back before we took it. `class` as of byte 1. Returns its handle's tag. (Through a pointer of its own: a
 * store of a byte could change any pointer, as far as the compiler knows.)
 */
static inline __attribute__((always_inline)) uint64_t bring_to_life(struct ist_driver_pool *pool,
                                                                    size_t start, size_t count,
                                                                    size_t granted, size_t class, size_t size)
{
	_Atomic uint8_t *state = pool->state + start;
	uint8_t first =
	        state_live(atomic_load_explicit(&state[0], memory_order_relaxed), -size % DRIVER_GRANULE);
	size_t use_high = 0, extra = granted - count;

	if (__builtin_expect(count >= STATE_BYTES, 1)) {
		atomic_store_explicit(&state[1], (uint8_t) class, memory_order_relaxed);
		use_high = atomic_load_explicit(&state[2], memory_order_relaxed);
		atomic_store_explicit(&state[3], (uint8_t)extra, memory_order_relaxed);
	} else if (count > 1) {
		atomic_store_explicit(&state[1], (uint8_t) class, memory_order_relaxed);
		if (count > 2)
			use_high = atomic_load_explicit(&state[2], memory_order_relaxed);
	} else {
		class = 0;
	}
	/* Release: pairs with the acquire in driver_pool_free, which reads the marks and the other bytes. */
	atomic_store_explicit(&state[0], first, memory_order_release);
	return state_tag(first, class, use_high, extra, pool_tag_check(start, size));
}

static __attribute__((noinline)) int alloc_slow(struct ist_driver_pool *pool, size_t size,
                                                struct ist_shm *out)
{
	size_t start, granted, at, count = granule_count(size), class = STATE_RUN;
	uint64_t tag;
	int error;

	if (size == 0)
		return -EINVAL;
	error = slabs_take_slow(&pool->slabs, count, size, &start, &granted);
	if (error) {
		if (error == -ENOSPC)
			pool_count_failure(&pool->pool);
		return error;
	}
	at = slabs_at_exactly(&pool->slabs, granted);
	if (slabs_granules(&pool->slabs, at))
		class = PERCPU_CLASS(at) + 1;
	tag = bring_to_life(pool, start, count, granted, class, size);
	pool_make_shm(&pool->pool, start * DRIVER_GRANULE, size, tag, out);
	tools_allocated(pool, out->view.vaddr, size);
	return 0;
}

int ist_driver_pool_alloc(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	/* Size 0 becomes more than there can be, and is told from that in the slow path. */
	size_t at, count = (size - 1) / DRIVER_GRANULE + 1;
	uint64_t tag;
	uint32_t start;

	if (__builtin_expect(!pool || !out, 0))
		return -EINVAL;
	at = slabs_at(&pool->slabs, count);
	if (__builtin_expect(!percpu_pop(&pool->slabs.percpu, at, &start), 0))
		return alloc_slow(pool, size, out);
	tag = bring_to_life(pool, start, count, slabs_granules(&pool->slabs, at), PERCPU_CLASS(at) + 1, size);
	pool_make_shm(&pool->pool, (size_t)start * DRIVER_GRANULE, size, tag, out);
	tools_allocated(pool, out->view.vaddr, size);
	return 0;
}

int driver_pool_free_run(struct ist_driver_pool *pool, const struct ist_shm *shm)
{
	size_t count = granule_count(shm->view.size), start = pool_offset(&pool->pool, shm) / DRIVER_GRANULE;

	if (shm->view.size > pool->pool.size - start * DRIVER_GRANULE ||
	    driver_pool_run(pool, start, count) != count ||
	    !driver_pool_end_life(pool->state + start, shm->tag, shm->view.size))
		return driver_pool_refuse(pool, shm);
	tools_freed(pool, shm->view.vaddr, count * DRIVER_GRANULE);
	if (pool->pool.is_careful)
		pool_give_carefully(&pool->pool, &pool->slabs, start, count, DRIVER_GRANULE);
	else
		slabs_give_slow(&pool->slabs, start, count);
	return 0;
}

/*
 * A handle that agrees with itself was handed out once: if it is not live now, it was freed. One that does not was
 * changed, and names nothing.
 */
int driver_pool_refuse(const struct ist_driver_pool *pool, const struct ist_shm *shm)
{
	size_t size = shm->view.size, offset = pool_offset(&pool->pool, shm);

	if (!pool_shm_is_intact(&pool->pool, shm) || offset % DRIVER_GRANULE ||
	    !state_agrees(shm->tag, offset / DRIVER_GRANULE, size) ||
	    !(state_byte(shm->tag, 0) & STATE_LIVE) ||
	    (state_byte(shm->tag, 0) & STATE_SLACK) != -size % DRIVER_GRANULE)
		return -EINVAL;
	return -EALREADY;
}

/* Bytes as asked of the allocation that starts at `start`, and the granules of its run; 0 if none does. */
static size_t live_size(const struct ist_driver_pool *pool, size_t start, size_t *granules)
{
	uint8_t first = atomic_load_explicit(&pool->state[start], memory_order_acquire);
	size_t run, extra = 0;

	if (!(first & STATE_LIVE))
		return 0;
	run = driver_pool_run(pool, start, pool->pool.size / DRIVER_GRANULE - start);
	/* Relaxed: it belongs to whoever owns the run; byte 0 orders it. */
	if (run >= STATE_BYTES)
		extra = bits_min(atomic_load_explicit(&pool->state[start + 3], memory_order_relaxed),
		                 run - 1);
	*granules = run;
	return run ? (run - extra) * DRIVER_GRANULE - (first & STATE_SLACK) : 0;
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
