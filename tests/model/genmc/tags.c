/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Tags of the client pool in the memory model of C11 [client.T1]: an owner gets memory in a chunk that another one's end, whose tag is
 * the same, has just walked through. Whatever is live in the chunk then has its bit.
 */
#define GENMC_HALVES(bytes, i) ((bytes) == 48 && (i) == 4 ? 2 : (bytes) == 32 && (i) == 3 ? 1 : 0)
#include "support.h"

#include "../../src/buddy/bitmap.c"
#include "../../src/client/client_pool.c"
#include "../../src/client/ending.c"
#include "../../src/client/query.c"
#include "../../src/client/tags.c"
#include "../model.h"

enum { PAGES = 2, ENDING = 7, OTHER = 8 };

static struct ist_client_pool pool;
static _Atomic uint64_t records[PAGES];
static _Atomic uint32_t owners[PAGES];
static _Atomic uint64_t bits[TAGS];
static bitmap_word map[1];
static struct ist_shm shm;

bool percpu_holds_token(const struct percpu *percpu, uint64_t word)
{
	(void)percpu, (void)word;
	return false;
}

void pool_count_failure(struct pool *in)
{
	(void)in;
}

void pool_count_misuse(struct pool *in)
{
	(void)in;
}

static void set_up(void)
{
	pool.pool.size = PAGES * IST_PAGE_SIZE;
	pool.record = records;
	pool.owner = owners;
	pool.slabs.buddy.map = map;
	tags_init(&pool.tags, PAGES, bits);
	atomic_store_explicit(&bits[0], 1, memory_order_relaxed); /* of what was there once */
}

static void allocate(void)
{
	struct client_claim claim = {.start = 1};
	struct ist_client_request request = {.size = 100, .owner = OTHER};

	atomic_fetch_or_explicit(&map[0], 2, memory_order_acquire); /* as the buddy claims */
	client_pool_publish(&pool, &request, &claim, false, &shm);
}

static void end_other(void)
{
	const struct walk walk = {.pool = &pool, .owner = ENDING};

	settle(&walk, 0);
}

static void nothing(void)
{
}

static void check(void)
{
	MODEL_ASSERT(atomic_load_explicit(&bits[0], memory_order_relaxed) & 1);
}

const struct model_scenario model_scenarios[] = {
        {"memory of one owner, the end of another with his tag",
         set_up,
         {allocate, end_other, nothing},
         check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
