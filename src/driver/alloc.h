/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* How a message begins: the fast path, to be inlined where messages are asked for; and what is on it for others too. */
#ifndef DRIVER_ALLOC_H
#define DRIVER_ALLOC_H

#include "driver/driver_pool.h"

/*
 * Make an allocation of a run that is ours alone: the last one who wrote its state gave it back before we took it.
 * Who frees it has the handle from us, directly or through others, and with it all that we wrote; who has an older handle
 * finds that the state is not what that says. The number is published for those who have no handle at all (bulk.h).
 */
static inline __attribute__((always_inline)) void driver_begin_life(struct ist_driver_pool *pool,
                                                                    size_t start, size_t size,
                                                                    enum state_form form, uint32_t behind,
                                                                    uint64_t token, struct ist_shm *out)
{
	_Atomic uint8_t *state = &pool->state[start];
	unsigned bytes = state_width(form);
	uint32_t use = state_next_generation(form, arch_load(state, bytes));

	if (form > STATE_SHORT)
		arch_store(state + 2, form - 2, behind);
	arch_publish(state, bytes, state_number(form, use, size));
	pool_make_shm(&pool->pool, start * DRIVER_GRANULE, size, out);
	out->generation = use;
	out->index = (uint32_t)start;
	out->token = token;
	tools_allocated(pool, out->view.vaddr, size);
}

/* When the magazine is empty, and for all that has no class. */
int driver_pool_alloc_slow(struct ist_driver_pool *pool, size_t size, struct ist_shm *out);
/* For sizes that are not among the most usual. */
int driver_pool_alloc_other(struct ist_driver_pool *pool, size_t size, struct ist_shm *out);

static inline __attribute__((always_inline)) int
driver_pool_alloc_as(struct ist_driver_pool *pool, size_t size, enum state_form form, struct ist_shm *out)
{
	size_t at = slabs_at_sure(&pool->slabs, (size - 1) / DRIVER_GRANULE + 1);
	uint64_t start, token;

	if (__builtin_expect(!percpu_pop_token(&pool->slabs.percpu, at, &start, &token), 0))
		return driver_pool_alloc_slow(pool, size, out);
	driver_begin_life(pool, start, size, form, state_behind(form, size), token, out);
	return 0;
}

/* As ist_driver_pool_alloc. */
static inline __attribute__((always_inline)) int driver_pool_alloc(struct ist_driver_pool *pool, size_t size,
                                                                   struct ist_shm *out)
{
	if (__builtin_expect(size - STATE_LONG_FROM > STATE_SIZES - STATE_LONG_FROM, 0))
		return driver_pool_alloc_other(pool, size, out);
	return driver_pool_alloc_as(pool, size, STATE_LONG, out);
}

#endif
