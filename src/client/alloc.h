/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* How a buffer begins: the fast path, to be inlined where buffers are asked for; and what is on it for others too. */
#ifndef CLIENT_ALLOC_H
#define CLIENT_ALLOC_H

#include "base/tools.h"
#include "base/mutant.h"
#include "client/client_pool.h"
#include "client/record.h"

/* Faults that the models must find. */
#define MUTANT_OWNER_RELAXED 320 /* the owner is written without release */
#define MUTANT_LINK_RELAXED 321 /* the links are */

static inline size_t client_pages(size_t bytes)
{
	return bits_ceil_div(bytes, IST_PAGE_SIZE);
}

/* Make the record of a run that was just claimed; the handle in *out is then the only one there is. */
static inline __attribute__((always_inline)) void client_begin_life(struct ist_client_pool *pool,
                                                                    size_t start, size_t size, uint32_t owner,
                                                                    bool isolated, struct ist_shm *out)
{
	size_t end = start + client_pages(size);
	uint64_t use;

	/* Looked at before: 16 pages share a line, which CPUs then only read as a rule. Release: [client.R2]. */
	if (atomic_load_explicit(&pool->owner[start], memory_order_relaxed) != owner)
		atomic_store_explicit(&pool->owner[start], owner,
		                      IS_MUTANT(MUTANT_OWNER_RELAXED) ? memory_order_relaxed
		                                                      : memory_order_release);
	for (size_t page = bits_round_up(start + 1, RECORD_LINK_PAGES); page < end; page += RECORD_LINK_PAGES)
		atomic_store_explicit(&pool->owner[page], (uint32_t)(page - start),
		                      IS_MUTANT(MUTANT_LINK_RELAXED) ? memory_order_relaxed
		                                                     : memory_order_release);
	/* Relaxed: the page is ours, and the free that wrote its record last happened before our claim. */
	use = record_generation(atomic_load_explicit(&pool->record[start], memory_order_relaxed));
	atomic_store_explicit(&pool->record[start], record_live(use, size, isolated),
	                      memory_order_release); /* [client.R1] */
	tags_set(&pool->tags, owner, start);
	record_make_shm(&pool->pool, use, start, size, out);
	tools_allocated(pool, out->view.vaddr, size);
}

/* When the magazine is empty, and for all that has no class. */
int client_pool_alloc_slow(struct ist_client_pool *pool, size_t size, struct ist_shm *out);

/* A run out of this CPU's magazine, for nobody in particular; all else goes the way of requests. */
static inline __attribute__((always_inline)) int client_pool_alloc_nozero(struct ist_client_pool *pool,
                                                                          size_t size, struct ist_shm *out)
{
	uint64_t start, token;

	if (__builtin_expect(size - 1 >= SLAB_LARGEST * (size_t)IST_PAGE_SIZE, 0))
		return client_pool_alloc_slow(pool, size, out);
	if (__builtin_expect(!percpu_pop_token(&pool->slabs.percpu,
	                                       slabs_at_sure(&pool->slabs, (size - 1) / IST_PAGE_SIZE + 1),
	                                       &start, &token),
	                     0))
		return client_pool_alloc_slow(pool, size, out);
	client_begin_life(pool, start, size, 0, false, out);
	out->token = token;
	return 0;
}

#endif
