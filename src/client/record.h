/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The record of a page: {live 1, isolated 1, generation 20, size - 1 in bytes 42}. Live while an allocation starts at the
 * page; otherwise it keeps only the generation for the next one. Only who has the page out of the buddy makes it
 * live. What makes it not live, in client_pool_free, is the linearization point that decides which of several frees is
 * obeyed: percpu_replace on the CPU that gave out the allocation's token, else a compare-exchange (percpu/token.h says why
 * these two never meet). A generation that comes round is the only ABA, and shm.h states it.
 *
 * The owner word of the page that an allocation starts at is its owner's tag. Inside an allocation, the owner word of
 * every page whose number is a multiple of RECORD_LINK_PAGES is a link: the distance in pages down to the start.
 *   [client.R1] Both are written by who has the page before the record is made live with release: who finds a live
 *        record with acquire finds these or later ones.
 *   [client.R2] And they are written with release, after the free of what was at the page before: who finds them with
 *        acquire finds the record of that no more.
 * So who found a live record, then an owner, and then the record unchanged, has read what belongs together.
 */
#ifndef CLIENT_RECORD_H
#define CLIENT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "pool/pool.h"

#ifndef RECORD_LINK_PAGES /* models have fewer */
#define RECORD_LINK_PAGES 64u
#endif
#define RECORD_SIZE_BITS 42
#define RECORD_SIZE_MASK ((UINT64_C(1) << RECORD_SIZE_BITS) - 1)
#define RECORD_GENERATION_MASK ((UINT64_C(1) << 20) - 1)
#define RECORD_ISOLATED (UINT64_C(1) << 62)
#define RECORD_LIVE (UINT64_C(1) << 63)

static inline uint64_t record_live(uint64_t generation, size_t size, bool isolated)
{
	return RECORD_LIVE | (isolated ? RECORD_ISOLATED : 0) | generation << RECORD_SIZE_BITS | (size - 1);
}

/* The place is free; its next generation will be `generation`. */
static inline uint64_t record_free(uint64_t generation)
{
	return (generation & RECORD_GENERATION_MASK) << RECORD_SIZE_BITS;
}

static inline bool record_is_live(uint64_t record)
{
	return (record & RECORD_LIVE) != 0;
}

static inline uint64_t record_generation(uint64_t record)
{
	return record >> RECORD_SIZE_BITS & RECORD_GENERATION_MASK;
}

static inline size_t record_size(uint64_t record)
{
	return (size_t)(record & RECORD_SIZE_MASK) + 1;
}

/* The handle of the allocation that starts at this page: its generation is that of the record. */
static inline void record_make_shm(const struct pool *pool, uint64_t generation, size_t start, size_t size,
                                   struct ist_shm *out)
{
	pool_make_shm(pool, start * IST_PAGE_SIZE, size, out);
	out->generation = (uint32_t)generation;
	out->index = (uint32_t)start;
	out->token = 0;
}

#endif
