/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Allocating by pointer: bulk.h. */
#include "driver/bulk.h"

#include <errno.h>

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

/* Publish the number [driver.F1]; the message's address. */
static inline __attribute__((always_inline)) void *begin(struct ist_driver_pool *pool, size_t start,
                                                         enum state_form form, size_t size)
{
	_Atomic uint8_t *state = &pool->state[start];
	unsigned bytes = state_width(form);
	void *vaddr = pool->pool.vaddr + start * DRIVER_GRANULE;

	arch_publish(state, bytes,
	             state_number(form, state_next_generation(form, arch_load(state, bytes)), size));
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

/* Those that came out of a magazine together, in the order in which they would have come one by one. */
static void hold_batch(struct bulk *bulk, const uint32_t *values, unsigned count)
{
	uint32_t owner = token_half(percpu_token_near(&bulk->pool->slabs.percpu));

	while (count-- > 0) {
		prepare(bulk->pool, values[count], bulk->form, bulk->behind, bulk->is_owned, owner);
		hold(bulk, values[count]);
	}
}

/* Up to `most` from this CPU's magazine. */
static unsigned gather_batch(struct bulk *bulk, size_t most)
{
	struct percpu *percpu = &bulk->pool->slabs.percpu;
	uint32_t values[SLAB_BATCH];
	unsigned taken;

	if (slabs_granules(&bulk->pool->slabs, bulk->at) == 0)
		return 0;
	taken = percpu_take(percpu, (unsigned)PERCPU_CLASS(bulk->at), values,
	                    (unsigned)bits_min(most, SLAB_BATCH), false);
	hold_batch(bulk, values, taken);
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
	        token_half(percpu_token_near(&slabs->percpu)));
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

/* All that is wrong, and all that is not usual. `taken` of the messages have come out of the magazine already. */
static __attribute__((noinline)) int bulk_slow(struct ist_driver_pool *pool, size_t size, unsigned count,
                                               void **out, const uint32_t *values, unsigned taken)
{
	struct bulk bulk = bulk_of(pool, size);
	int error;

	if (size == 0 || count == 0)
		return -EINVAL;
	hold_batch(&bulk, values, taken);
	error = gather(&bulk, count);
	if (error)
		return error;
	while (count-- > 0)
		out[count] = begin(pool, take_held(&bulk), bulk.form, size);
	return 0;
}

/* Both for a size that has an owner. What does not change is in variables: stores of bytes may alias anything else. */
static inline __attribute__((always_inline)) void begin_usual(struct ist_driver_pool *pool,
                                                              const uint32_t *starts, unsigned count,
                                                              size_t size, uint32_t owner, void **out)
{
	const uint32_t behind = state_behind(STATE_LONG, size) | state_bare(STATE_LONG);
	_Atomic uint8_t *const states = pool->state;
	char *const vaddr = pool->pool.vaddr;

	while (count-- > 0) { /* from the last on, in the order in which they would have come one by one */
		_Atomic uint8_t *state = states + *(starts + count);
		uint32_t use = state_next_generation(STATE_LONG, arch_load(state, 2));

		*out++ = vaddr + (size_t)starts[count] * DRIVER_GRANULE;
		arch_store(state + 2, 2, behind);
		arch_store(state + OWNER_AT, OWNER_BYTES, owner);
		arch_publish(state, 2, state_number(STATE_LONG, use, size));
		tools_allocated(pool, vaddr + (size_t)starts[count] * DRIVER_GRANULE, size);
	}
}

/* The class of a size that has an owner. */
static inline size_t usual_class(const struct ist_driver_pool *pool, size_t size)
{
	return slabs_at_sure(&pool->slabs, (size - 1) / DRIVER_GRANULE + 1);
}

/* Of a size that has an owner and a class. If the magazine has them all, nothing needs to be held. */
static __attribute__((noinline)) int alloc_usual(struct ist_driver_pool *pool, size_t size, unsigned count,
                                                 void **out)
{
	struct percpu *percpu = &pool->slabs.percpu;
	size_t at = usual_class(pool, size);
	uint32_t values[SLAB_BATCH], owner;
	unsigned taken = percpu_pop_batch(percpu, at, values, count);

	if (__builtin_expect(taken < count, 0))
		return bulk_slow(pool, size, count, out, values, taken);
	owner = token_half(percpu_token_near(percpu));
	begin_usual(pool, values, count, size, owner, out);
	return 0;
}

static inline __attribute__((always_inline)) int alloc_one(struct ist_driver_pool *pool, size_t size,
                                                           void **out)
{
	size_t at = usual_class(pool, size);
	uint64_t value, token;
	uint32_t start;

	if (__builtin_expect(!percpu_pop_token(&pool->slabs.percpu, at, &value, &token), 0))
		return bulk_slow(pool, size, 1, out, NULL, 0);
	start = (uint32_t)value;
	begin_usual(pool, &start, 1, size, token_half(token), out);
	return 0;
}

int driver_pool_alloc_bulk(struct ist_driver_pool *pool, size_t size, unsigned count, void **out)
{
	if (__builtin_expect(size - OWNED_FROM > STATE_SIZES - OWNED_FROM || count - 1 >= SLAB_BATCH, 0))
		return bulk_slow(pool, size, count, out, NULL, 0);
	return count == 1 ? alloc_one(pool, size, out) : alloc_usual(pool, size, count, out);
}
