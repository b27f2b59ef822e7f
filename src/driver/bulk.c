/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Messages by pointer, many at once.
 *
 * Allocating. What magazines hold is taken in one sequence a batch; what they lack as ist_driver_pool_alloc takes it. Nothing
 * is alive before all is there, and nothing is written to the caller's array: the first SLAB_BATCH runs are on the stack,
 * those before them in a list through pool->links, whose entries belong to the owners of their granules (slab.h [S1]). So
 * that a call that fails gives all back and leaves no trace. A thread that stops inside holds what it has got so far.
 *
 * Freeing. A pointer says where; what lives there says of itself how long it is, and what decides between several who
 * free it at once.
 *  - A bare allocation with room for it says by which word of bias.h its end is decided (its owner, below); without
 *    room it has none, and a compare-exchange decides.
 *  - One with a handle has a word that we do not know. percpu_unbias_all makes it anybody's ([B6] there), then a
 *    compare-exchange decides. That is slow, and makes frees on the CPU it belongs to slower for a while.
 * As for handles, the linearization point is percpu_retire or the compare-exchange, and bias.h says why they never meet.
 *
 * Which life is it? [F1] What belongs to a number is stored before it, and published with it (arch_publish). A number that is
 * loaded first (acquire), what belongs to it next (acquire), and the number again by what ends the life: if that is the same,
 * so was the life, and what was loaded between is of it; else the call is refused, or tries nothing at all. Only a use count
 * that came round between two loads could deceive, of an allocation that somebody else has freed, and taken again as often.
 * [F2] How long the run is is asked only after the life was ended, by the one who ended it: then nobody else may change
 * what the state says.
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/twin.h"
#include "driver/driver_pool.h"

/* A fault that the tests must find: who has no word of an allocation does not end its bias. */
#define BULK_TWIN_WITHOUT_UNBIAS 112

/*
 * The owner of a bare allocation of OWNER_FROM granules or more, in state bytes 4 to 7: {on 1, block 12, epoch 15} of its
 * word, seven bits a byte, since the eighth is for those that start there. 0: none.
 */
#define OWNER_FROM 8u
#define OWNER_AT 4u
#define OWNER_BYTES 4u
#define OWNER_BLOCKS (1u << 12)
#define OWNER_EPOCHS (1u << 15)

static uint32_t owner_of(uint64_t bias)
{
	uint32_t bits;

	/* What is not written down is not biased [B4]: no sequence looks for it. */
	if (bias == 0 || bias_block(bias) >= OWNER_BLOCKS || bias_epoch(bias) >= OWNER_EPOCHS)
		return 0;
	bits = (uint32_t)(bias & BIAS_ON) | bias_block(bias) << 1 | bias_epoch(bias) << 13;
	return (bits & 0x7f) | (bits & 0x3f80) << 1 | (bits & 0x1fc000) << 2 | (bits & 0xfe00000) << 3;
}

static uint64_t bias_of(uint32_t owner)
{
	uint32_t bits =
	        (owner & 0x7f) | (owner >> 1 & 0x3f80) | (owner >> 2 & 0x1fc000) | (owner >> 3 & 0xfe00000);

	return bits ? bias_word(bits >> 1 & (OWNER_BLOCKS - 1), bits >> 13, bits & BIAS_ON) : 0;
}

/* --- allocate ----------------------------------------------------------------------------------------------- */

/* What all messages of a call have in common, and those that it has so far. */
struct bulk {
	struct ist_driver_pool *pool;
	size_t size, granules; /* bytes of a message; the granules that it needs */
	size_t at; /* of its class */
	enum state_form form;
	uint32_t behind;
	bool is_owned;
	unsigned holding;
	size_t held[SLAB_BATCH];
	size_t chain,
	        total; /* {start + 1} of the last one in the list, 0: none; all there are, held ones too */
};

static struct bulk bulk_of(struct ist_driver_pool *pool, size_t size)
{
	enum state_form form = state_form(size);
	size_t granules = driver_granules(size);

	return (struct bulk){
	        .pool = pool,
	        .size = size,
	        .granules = granules,
	        .at = slabs_at(&pool->slabs, granules),
	        .form = form,
	        .behind = state_behind(form, size) | state_bare(form),
	        .is_owned = granules >= OWNER_FROM,
	};
}

/* All of the state of a run that is ours but the number, so that it does not live yet. */
static inline __attribute__((always_inline)) void prepare(struct ist_driver_pool *pool, size_t start,
                                                          enum state_form form, uint32_t behind,
                                                          bool is_owned, uint32_t owner)
{
	_Atomic uint8_t *state = &pool->state[start];

	if (form > STATE_SHORT)
		arch_store(state + 2, form - 2, behind);
	if (is_owned)
		arch_store(state + OWNER_AT, OWNER_BYTES, owner);
}

/* Publish the number [F1]; the message's address. */
static inline __attribute__((always_inline)) void *begin(struct ist_driver_pool *pool, size_t start,
                                                         enum state_form form, size_t size)
{
	_Atomic uint8_t *state = &pool->state[start];
	unsigned bytes = state_width(form);
	void *vaddr = pool->pool.vaddr + start * DRIVER_GRANULE;

	arch_publish(state, bytes, state_number(form, state_next_use(form, arch_load(state, bytes)), size));
	tools_allocated(pool, vaddr, size);
	return vaddr;
}

/* Without atomics of their own in mind: an entry belongs to who owns its granule. */
static void set_link(struct ist_driver_pool *pool, size_t start, size_t to)
{
	if (pool->pool.size / DRIVER_GRANULE > UINT32_MAX)
		((uint64_t *)pool->links)[start] = to;
	else
		((uint32_t *)pool->links)[start] = (uint32_t)to;
}

static size_t link_at(const struct ist_driver_pool *pool, size_t start)
{
	if (pool->pool.size / DRIVER_GRANULE > UINT32_MAX)
		return (size_t)((const uint64_t *)pool->links)[start];
	return ((const uint32_t *)pool->links)[start];
}

static void hold(struct bulk *bulk, size_t start)
{
	if (bulk->holding == SLAB_BATCH) {
		for (unsigned i = 0; i < SLAB_BATCH; i++) {
			set_link(bulk->pool, bulk->held[i], bulk->chain);
			bulk->chain = bulk->held[i] + 1;
		}
		bulk->holding = 0;
	}
	bulk->held[bulk->holding++] = start;
	bulk->total++;
}

/* The last run that was held and is not taken yet: in the opposite order to hold. Not when there is none. */
static size_t take_held(struct bulk *bulk)
{
	size_t start;

	bulk->total--;
	if (bulk->holding > 0)
		return bulk->held[--bulk->holding];
	start = bulk->chain - 1;
	bulk->chain = link_at(bulk->pool, start);
	return start;
}

/* Up to `most` from this CPU's magazine. */
static unsigned gather_batch(struct bulk *bulk, size_t most)
{
	struct percpu *percpu = &bulk->pool->slabs.percpu;
	uint32_t values[SLAB_BATCH], owner;
	unsigned taken;

	if (slabs_granules(&bulk->pool->slabs, bulk->at) == 0)
		return 0;
	taken = percpu_take(percpu, (unsigned)PERCPU_CLASS(bulk->at), values,
	                    (unsigned)bits_min(most, SLAB_BATCH), false);
	owner = owner_of(taken ? percpu_bias_here(percpu) : 0);
	for (unsigned i = taken; i-- > 0;) { /* in the order in which they would have come one by one */
		prepare(bulk->pool, values[i], bulk->form, bulk->behind, bulk->is_owned, owner);
		hold(bulk, values[i]);
	}
	return taken;
}

static int gather_one(struct bulk *bulk)
{
	struct slabs *slabs = &bulk->pool->slabs;
	size_t start, granted;
	uint32_t run;
	int error = slabs_take_slow(slabs, bulk->granules, bulk->size, &start, &granted);

	if (error)
		return error;
	run = bulk->form == STATE_LONG && slabs_granules(slabs, bulk->at) != granted ? STATE_RUN >> 16 : 0;
	prepare(bulk->pool, start, bulk->form, bulk->behind | run, bulk->is_owned,
	        owner_of(percpu_bias_here(&slabs->percpu)));
	hold(bulk, start);
	return 0;
}

/* The granules of a run that was prepared. */
static size_t prepared_granules(const struct bulk *bulk, size_t start)
{
	size_t granules = slabs_granules(&bulk->pool->slabs, bulk->at);
	bool is_run =
	        bulk->form == STATE_LONG && arch_load(&bulk->pool->state[start + 2], 2) & STATE_RUN >> 16;

	return granules == 0 || is_run ? bulk->granules : granules;
}

static void give_up(struct bulk *bulk)
{
	size_t total = bulk->total;

	while (bulk->total > 0) {
		size_t start = take_held(bulk);

		slabs_give_run(&bulk->pool->slabs, start, prepared_granules(bulk, start), 0);
	}
	slabs_forget(&bulk->pool->slabs, total);
}

static int gather(struct bulk *bulk, unsigned count)
{
	int error = 0;

	/* More than there is room for need not be tried. */
	if (bulk->granules > bulk->pool->pool.size / DRIVER_GRANULE / count)
		error = slabs_check(&bulk->pool->slabs) ? -ECHILD : -ENOSPC;
	while (!error && bulk->total < count) {
		if (gather_batch(bulk, count - bulk->total) == 0)
			error = gather_one(bulk);
	}
	if (error)
		give_up(bulk);
	if (error == -ENOSPC)
		pool_count_failure(&bulk->pool->pool);
	return error;
}

int ist_driver_pool_alloc_bulk(struct ist_driver_pool *pool, size_t size, unsigned count, void **out)
{
	struct bulk bulk;
	int error;

	if (!pool || !out || count == 0 || size == 0)
		return -EINVAL;
	bulk = bulk_of(pool, size);
	error = gather(&bulk, count);
	if (error)
		return error;
	while (count-- > 0)
		out[count] = begin(pool, take_held(&bulk), bulk.form, size);
	return 0;
}

/* --- free --------------------------------------------------------------------------------------------------- */

/* Runs of one class that have been freed and go into this CPU's magazine together. */
struct bin {
	struct ist_driver_pool *pool;
	uint64_t bias; /* this CPU's, and how that is written down */
	uint32_t owner;
	unsigned count;
	size_t at;
	uint32_t starts[SLAB_BATCH];
};

/* What does not fit goes the way of a single one; if the first does not, this CPU has room for none. */
static void empty(struct bin *bin)
{
	struct slabs *slabs = &bin->pool->slabs;
	unsigned done = 0;

	while (done < bin->count) {
		done += percpu_put(&slabs->percpu, (unsigned)PERCPU_CLASS(bin->at), bin->starts + done,
		                   bin->count - done, false);
		if (done < bin->count)
			slabs_give_slow(slabs, bin->starts[done++], slabs_granules(slabs, bin->at), 0);
	}
	bin->count = 0;
}

static inline __attribute__((always_inline)) void drop(struct bin *bin, size_t at, size_t start)
{
	if (__builtin_expect(bin->count == SLAB_BATCH || at != bin->at, 0)) {
		empty(bin);
		bin->at = at;
	}
	bin->starts[bin->count++] = (uint32_t)start;
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
static int refuse(const struct ist_driver_pool *pool, size_t start)
{
	if (bitmap_next_used(pool->slabs.buddy.map, start, start + 1) > start)
		return -EALREADY;
	return is_inside(pool, start) ? -EINVAL : -EALREADY;
}

/* As many as were asked for, of a live state, or of one that was ended here [F2]. */
static size_t needed_granules(const struct ist_driver_pool *pool, size_t start, enum state_form form,
                              uint32_t state)
{
	if (form == STATE_LONG && state & STATE_RUN)
		return driver_pool_run(pool, start, pool->pool.size / DRIVER_GRANULE - start);
	return driver_granules(state_size(form, state, 0));
}

/* The word of a bare allocation; for one with a handle 0, after having ended the biases that it may have. */
static uint64_t find_bias(struct ist_driver_pool *pool, size_t start, enum state_form form, uint32_t state)
{
	if (state_bare(form) == 0 || !(state >> 16 & state_bare(form))) {
		if (!TWIN_BROKEN(BULK_TWIN_WITHOUT_UNBIAS))
			percpu_unbias_all(&pool->slabs.percpu);
		return 0;
	}
	if (needed_granules(pool, start, form, state) < OWNER_FROM)
		return 0;
	return bias_of(arch_load_acquire(&pool->state[start + OWNER_AT], OWNER_BYTES));
}

/* The granules of a run whose life was ended here [F2]. */
static size_t ended_granules(const struct ist_driver_pool *pool, size_t start, enum state_form form)
{
	uint32_t state = bytes_load(&pool->state[start], form);
	size_t count = needed_granules(pool, start, form, state);
	size_t granules = slabs_granules(&pool->slabs, slabs_at(&pool->slabs, count));

	return granules == 0 || (form == STATE_LONG && state & STATE_RUN) ? count : granules;
}

static void give(struct bin *bin, size_t start, size_t granules, uint64_t bias)
{
	struct ist_driver_pool *pool = bin->pool;
	size_t at = slabs_at(&pool->slabs, granules);

	tools_freed(pool, pool->pool.vaddr + start * DRIVER_GRANULE, granules * DRIVER_GRANULE);
	if (pool->pool.is_careful)
		pool_give_carefully(&pool->pool, &pool->slabs, start, granules, DRIVER_GRANULE);
	else if (slabs_granules(&pool->slabs, at) == granules &&
	         !percpu_belongs_elsewhere(&pool->slabs.percpu, bias))
		drop(bin, at, start);
	else
		slabs_give_run(&pool->slabs, start, granules, bias);
}

static __attribute__((noinline)) int free_slow(struct bin *bin, size_t start)
{
	struct ist_driver_pool *pool = bin->pool;
	uint32_t state = bytes_load_acquire(&pool->state[start], 2);
	enum state_form form = state_form_of(state);
	uint64_t bias;
	int error;

	if (!(state & STATE_LIVE))
		return refuse(pool, start);
	state = bytes_load_acquire(&pool->state[start], form);
	if (!(state & STATE_LIVE) || state_form_of(state) != form)
		return -EALREADY; /* somebody has ended it meanwhile */
	bias = find_bias(pool, start, form, state);
	error = driver_pool_end_life(pool, &pool->state[start], form, state, bias);
	if (error)
		return -EALREADY;
	give(bin, start, ended_granules(pool, start, form), bias);
	return 0;
}

/*
 * The usual case: bare, with an owner, of a class, and this CPU's. Each load in its turn [F1]; that of the number again is
 * in the sequence.
 */
static inline __attribute__((always_inline)) bool end_usual(const struct bin *bin, size_t start)
{
	struct ist_driver_pool *pool = bin->pool;
	_Atomic uint8_t *state = &pool->state[start];
	uint32_t number = arch_load_acquire(state, 2), behind = arch_load(state + 2, 2);

	return (number & 0x60c0) == 0x6000 + STATE_LIVE && state_is_usual(behind) &&
	       arch_load_acquire(state + OWNER_AT, OWNER_BYTES) == bin->owner &&
	       percpu_retire(&pool->slabs.percpu, bin->bias, pool->state, start, 2, &number, 0);
}

static inline __attribute__((always_inline)) int free_one(struct bin *bin, const void *vaddr)
{
	struct ist_driver_pool *pool = bin->pool;
	size_t offset = (size_t)((uintptr_t)vaddr - (uintptr_t)pool->pool.vaddr), start, size, at;

	if (__builtin_expect(offset >= pool->pool.size || offset % DRIVER_GRANULE, 0))
		return -EINVAL;
	start = offset / DRIVER_GRANULE;
	if (__builtin_expect(!end_usual(bin, start), 0))
		return free_slow(bin, start);
	size = state_size(STATE_LONG, arch_load(&pool->state[start + 2], 2) << 16, 0); /* [F2] */
	at = slabs_at_sure(&pool->slabs, (size - 1) / DRIVER_GRANULE + 1);
	tools_freed(pool, pool->pool.vaddr + offset, slabs_granules(&pool->slabs, at) * DRIVER_GRANULE);
	drop(bin, at, start);
	return 0;
}

int ist_driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count)
{
	struct bin bin;
	int error = 0;

	if (!pool || (!vaddrs && count > 0))
		return -EINVAL;
	if (slabs_check(&pool->slabs))
		return -ECHILD;
	bin.pool = pool;
	bin.count = 0;
	bin.at = 0;
	bin.bias = percpu_bias_here(&pool->slabs.percpu);
	bin.owner = owner_of(bin.bias);
	if (bin.owner == 0)
		bin.bias = 0;
	for (unsigned i = 0; i < count; i++) {
		int refused = free_one(&bin, vaddrs[i]);

		if (refused)
			pool_count_misuse(&pool->pool);
		error = error ? error : refused;
	}
	empty(&bin);
	return error;
}

uint64_t ist_driver_pool_paddr(const struct ist_driver_pool *pool, const void *vaddr)
{
	return !pool ? 0 : pool->pool.paddr + ((uintptr_t)vaddr - (uintptr_t)pool->pool.vaddr);
}
