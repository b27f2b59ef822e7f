/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "client/alloc.h"

#include <errno.h>
#include <string.h>

#include "base/tools.h"
#include "client/share.h"

/*
 * Pages from which on runs are kept per CPU. What lies in magazines is not where best fit would look for it, and in the
 * carve-outs of 2 MiB that OP-TEE has, recorded traffic needs all but two pages: there each run goes straight to its
 * best place.
 *
 * Also in large pools only little is kept, and hardly anything is fetched in advance: churn of 1 to 64 pages over half of
 * 1 GiB leaves 93 % of the possible 2 MiB blocks whole if nothing is kept, 90 % with two runs in a magazine, which spare
 * two thirds of the requests the buddy, 88 % with four; and with an eighth of the pool in magazines 1 %.
 */
#ifndef CACHE_FROM /* models have a smaller pool */
#define CACHE_FROM 4096u
#endif
#define RUNS_SHARE 32u /* of the pool, in all magazines */
#define RUNS_SHARE_SMALL 8u /* the same of smaller pools, as far as */
#define CACHE_PAGES 2048u /* so many pages */
#define CACHE_RUNS 2u /* in one, or what makes up a batch */
#define CACHE_BATCH                                                                                          \
	(CACHE_LINE /                                                                                        \
	 sizeof(uint64_t)) /* pages that are fetched at once for short runs: a line of `record` */

size_t client_pool_bytes(size_t size)
{
	size_t pages = size / IST_PAGE_SIZE;

	return buddy_bytes(pages) + bits_round_up(pages * sizeof(uint64_t), CACHE_LINE) +
	       bits_round_up(pages * sizeof(uint32_t), CACHE_LINE) + tags_bytes(pages);
}

int client_pool_init(struct ist_client_pool *pool, void *zeroed_memory)
{
	size_t pages = pool->pool.size / IST_PAGE_SIZE;
	char *at = zeroed_memory;
	int error;

	at += buddy_bytes(pages);
	pool->record = (_Atomic uint64_t *)(void *)at;
	at += bits_round_up(pages * sizeof(uint64_t), CACHE_LINE);
	pool->owner = (_Atomic uint32_t *)(void *)at;
	tags_init(&pool->tags, pages, at + bits_round_up(pages * sizeof(uint32_t), CACHE_LINE));
	if (pages >= CACHE_FROM && !pool->direct)
		slab_classes_pages(&pool->slabs.classes);
	pool->slabs.most_cached =
	        bits_max(pages / RUNS_SHARE, bits_min(pages / RUNS_SHARE_SMALL, CACHE_PAGES));
	pool->slabs.most_objects = CACHE_RUNS;
	pool->slabs.most_batch = CACHE_BATCH;
	pool->slabs.line = CACHE_BATCH;
	pool->slabs.is_never_crowded = true; /* so little is kept that it hardly matters where it lies */
	error = slabs_create(&pool->slabs, zeroed_memory, pages, pool->pool.quarantine);
	if (!error && !pool->pool.is_hardened)
		percpu_use_tokens(&pool->slabs.percpu);
	return error;
}

void client_pool_end(struct ist_client_pool *pool)
{
	slabs_destroy(&pool->slabs);
}

/* What only the buddy can serve: runs at a place, or aligned. */
static int claim_placed(struct slabs *slabs, const void *context, size_t *start)
{
	const struct ist_client_pool *pool =
	        (const struct ist_client_pool *)(const void *)((char *)slabs -
	                                                       offsetof(struct ist_client_pool, slabs));
	const struct ist_client_request *request = context;
	size_t align = request->align / IST_PAGE_SIZE;
	struct buddy_alignment alignment = {align, (size_t)(pool->pool.paddr / IST_PAGE_SIZE) & (align - 1)};

	if (request->flags & IST_CLIENT_AT) {
		*start = (size_t)(request->paddr - pool->pool.paddr) / IST_PAGE_SIZE;
		return buddy_alloc_at(&slabs->buddy, *start, client_pages(request->size));
	}
	return buddy_alloc(&slabs->buddy, client_pages(request->size), alignment, start);
}

static int claim_run(struct ist_client_pool *pool, const struct ist_client_request *request,
                     struct client_claim *out)
{
	size_t granted, count = client_pages(request->size);
	uint64_t value;
	int error;

	out->token = 0;
	if (request->flags & IST_CLIENT_AT || request->align > IST_PAGE_SIZE)
		return slabs_take_with(&pool->slabs, count, request->size, claim_placed, request,
		                       &out->start);
	if (percpu_pop_token(&pool->slabs.percpu, slabs_at(&pool->slabs, count), &value, &out->token)) {
		out->start = value;
		return 0;
	}
	error = slabs_take_slow(&pool->slabs, count, request->size, &out->start, &granted);
	if (!error)
		out->token = percpu_token_here(
		        &pool->slabs.percpu); /* now: that may have plugged the first block */
	return error;
}

int client_request_check(const struct ist_client_pool *pool, const struct ist_client_request *request)
{
	uint64_t offset;

	if (request->size == 0 || (request->flags & ~(IST_CLIENT_NOZERO | IST_CLIENT_AT)) ||
	    (request->align && !bits_is_power_of_two(request->align)) ||
	    request->align > IST_CLIENT_ALIGN_MAX)
		return -EINVAL;
	if (!(request->flags & IST_CLIENT_AT))
		return 0;
	offset = request->paddr - pool->pool.paddr; /* wraps to something too large when it is below */
	if (request->paddr % IST_PAGE_SIZE || (request->align && request->paddr % request->align) ||
	    offset >= pool->pool.size || request->size > pool->pool.size - offset)
		return -EINVAL;
	return 0;
}

int client_pool_claim(struct ist_client_pool *pool, const struct ist_client_request *request,
                      struct client_claim *out)
{
	int error = request->size > pool->pool.size ? -ENOSPC : claim_run(pool, request, out);

	if (error == -ENOSPC)
		pool_count_failure(&pool->pool);
	return error;
}

void client_pool_unclaim(struct ist_client_pool *pool, const struct ist_client_request *request,
                         const struct client_claim *claim)
{
	slabs_give_run(&pool->slabs, claim->start, client_pages(request->size), 0);
	if (pool->tell)
		pool->tell(pool);
}

void client_pool_publish(struct ist_client_pool *pool, const struct ist_client_request *request,
                         const struct client_claim *claim, bool isolated, struct ist_shm *out)
{
	client_begin_life(pool, claim->start, request->size, request->owner, isolated, out);
	out->token =
	        isolated ? 0 : claim->token; /* who ends an isolated one has more to do than a sequence can */
}

/* To the end of the last page, which lies behind what the caller may touch. */
static void zero_pages(const struct ist_shm *shm)
{
	size_t bytes = client_pages(shm->view.size) * IST_PAGE_SIZE;
	char *end = (char *)shm->view.vaddr + shm->view.size;

	memset(shm->view.vaddr, 0, shm->view.size);
	if (bytes > shm->view.size) {
		tools_borrow(end, bytes - shm->view.size);
		memset(end, 0, bytes - shm->view.size);
		tools_return(end, bytes - shm->view.size);
	}
}

/* The same of a run that is not an allocation yet. */
static void zero_claim(struct ist_client_pool *pool, const struct client_claim *claim, size_t size)
{
	size_t bytes = client_pages(size) * IST_PAGE_SIZE;
	char *at = pool->pool.vaddr + claim->start * IST_PAGE_SIZE;

	tools_borrow(at, bytes);
	memset(at, 0, bytes);
	tools_return(at, bytes);
}

int client_pool_alloc_request(struct ist_client_pool *pool, const struct ist_client_request *request,
                              struct ist_shm *out)
{
	struct client_claim claim;
	bool zeroes;
	int error = client_request_check(pool, request);

	if (!error)
		error = client_pool_claim(pool, request, &claim);
	if (error)
		return error;
	/* Before it is published: the end of an owner may free it at once, and the next one at the place have it. */
	zeroes = !(request->flags & IST_CLIENT_NOZERO);
	if (zeroes)
		zero_claim(pool, &claim, request->size);
	client_pool_publish(pool, request, &claim, false, out);
	if (zeroes)
		tools_zeroed(out->view.vaddr, out->view.size);
	return 0;
}

int client_pool_alloc_slow(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	struct ist_client_request request = {.size = size, .flags = IST_CLIENT_NOZERO};

	return client_pool_alloc_request(pool, &request, out);
}

int client_pool_alloc(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	int error = client_pool_alloc_nozero(pool, size, out);

	if (!error)
		zero_pages(out);
	return error;
}

/* Why this handle may not be obeyed, given the record of its place; 0 if it may. */
static int judge(uint64_t record, const struct ist_shm *shm)
{
	if (record_generation(record) != shm->generation)
		return -EALREADY; /* the place has been given back since, whatever it is now */
	if (!record_is_live(record) || record_size(record) != shm->view.size)
		return -EINVAL;
	return 0;
}

/* The record that a handle names, and what it says of the handle. */
static int find_record(struct ist_client_pool *pool, const struct ist_shm *shm, uint64_t *record)
{
	size_t offset = pool_offset(&pool->pool, shm);

	if (!pool_shm_is_intact(&pool->pool, shm) || offset != shm->index * (size_t)IST_PAGE_SIZE ||
	    shm->generation > RECORD_GENERATION_MASK)
		return -EINVAL;
	/* Acquire: pairs with [client.R1]. */
	*record = atomic_load_explicit(&pool->record[shm->index], memory_order_acquire);
	return judge(*record, shm);
}

int client_pool_check(struct ist_client_pool *pool, const struct ist_shm *shm, bool *isolated)
{
	uint64_t record;
	int error = find_record(pool, shm, &record);

	if (!error)
		*isolated = (record & RECORD_ISOLATED) != 0;
	return error;
}

static void give_back(struct ist_client_pool *pool, const struct ist_shm *shm)
{
	size_t start = pool_offset(&pool->pool, shm) / IST_PAGE_SIZE, count = client_pages(shm->view.size);

	tools_freed(pool, shm->view.vaddr, count * IST_PAGE_SIZE);
	if (pool->pool.is_hardened)
		pool_give_hardened(&pool->pool, &pool->slabs, start, count, IST_PAGE_SIZE);
	else
		slabs_give_run(&pool->slabs, start, count, shm->token);
	if (pool->tell)
		pool->tell(pool);
}

/* By compare-exchange, for what is anybody's to end (percpu/token.h): 0, or why not. */
static int end_revoked(_Atomic uint64_t *at, const struct ist_shm *shm, uint64_t record)
{
	/* Relaxed: it guards no other memory; buddy_free releases what was done to the pages. */
	if (atomic_compare_exchange_strong_explicit(at, &record, record_free(shm->generation + 1),
	                                            memory_order_relaxed, memory_order_relaxed))
		return 0;
	return judge(record, shm);
}

/* The life that `record` tells of. */
struct client_ending {
	struct percpu_ending ending;
	struct percpu *percpu;
	_Atomic uint64_t *at;
	const struct ist_shm *shm;
	uint64_t record;
};

static const struct client_ending *client_ending_of(const struct percpu_ending *ending)
{
	return (const struct client_ending *)(const void *)ending;
}

static bool end_here(const struct percpu_ending *ending)
{
	const struct client_ending *of = client_ending_of(ending);

	return percpu_replace(of->percpu, of->shm->token, of->at, of->record,
	                      record_free(of->shm->generation + 1));
}

static int look_at_life(const struct percpu_ending *ending)
{
	const struct client_ending *of = client_ending_of(ending);
	uint64_t now = atomic_load_explicit(of->at, memory_order_relaxed);

	return now == of->record ? 0 : judge(now, of->shm);
}

static int end_anywhere(const struct percpu_ending *ending)
{
	const struct client_ending *of = client_ending_of(ending);

	return end_revoked(of->at, of->shm, of->record);
}

/* 0 for the one of several calls that ends the life that `record` tells of; the others are told why not. */
static int end_use(struct ist_client_pool *pool, const struct ist_shm *shm, uint64_t record)
{
	struct client_ending of = {{end_here, look_at_life, end_anywhere},
	                           &pool->slabs.percpu,
	                           &pool->record[shm->index],
	                           shm,
	                           record};

	return percpu_end(of.percpu, shm->token, &of.ending);
}

/*
 * After the life that `record` told of was ended by us. On an error it is as if it never had been. A run whose addresses were
 * lost has ended too, but is not given back.
 */
static int bury(struct ist_client_pool *pool, const struct ist_shm *shm, uint64_t record)
{
	int error = 0;

	if (record & RECORD_ISOLATED)
		error = client_share_end(pool, shm->index, client_pages(shm->view.size));
	if (error == -ESTALE) {
		client_share_lose(pool);
		return 0;
	}
	if (error) /* nobody could take the place meanwhile */
		atomic_store_explicit(&pool->record[shm->index], record, memory_order_release);
	else
		give_back(pool, shm);
	return error;
}

static int free_run_judged(struct ist_client_pool *pool, const struct ist_shm *shm)
{
	uint64_t record;
	int error = find_record(pool, shm, &record);

	if (!error)
		error = end_use(pool, shm, record);
	return error ? error : bury(pool, shm, record);
}

int client_pool_free_found(struct ist_client_pool *pool, const struct ist_client_allocation *found)
{
	struct ist_shm shm;
	uint64_t record;
	size_t start = (size_t)(found->view.paddr - pool->pool.paddr) / IST_PAGE_SIZE;

	if (client_pool_record(pool, found, &record))
		return -ENOENT;
	record_make_shm(&pool->pool, record_generation(record), start, found->view.size, &shm);
	/* Its word is with the holder, who may be in the middle of a sequence [percpu.B6]. */
	percpu_revoke_all(&pool->slabs.percpu);
	return end_revoked(&pool->record[start], &shm, record) ? -ENOENT : bury(pool, &shm, record);
}

static __attribute__((noinline)) int free_run_slow(struct ist_client_pool *pool, struct ist_shm *shm)
{
	int error = free_run_judged(pool, shm);

	if (error)
		pool_count_misuse(&pool->pool);
	else
		*shm = (struct ist_shm){0};
	return error;
}

/* The magazine is full, or the push was aborted, perhaps because the thread was moved to another CPU. */
static __attribute__((noinline)) int give_slow(struct ist_client_pool *pool, size_t start, size_t size,
                                               uint64_t token)
{
	slabs_give_slow(&pool->slabs, start, client_pages(size), token);
	if (pool->tell)
		pool->tell(pool);
	return 0;
}

/*
 * The fast path is that of a run that this CPU's magazine of its class, or the buddy, gave out here, and that goes into the
 * magazine; there is none for what has no class. Pools that are hardened have no tokens.
 */
int client_pool_free(struct ist_client_pool *pool, struct ist_shm *shm)
{
	size_t size = shm->view.size, start = shm->index, offset = start * IST_PAGE_SIZE, at;
	uint64_t token = shm->token;

	if (__builtin_expect(
	            pool_offset(&pool->pool, shm) != offset || shm->view.paddr - pool->pool.paddr != offset ||
	                    offset >= pool->pool.size || size - 1 >= SLAB_LARGEST * (size_t)IST_PAGE_SIZE ||
	                    shm->generation > RECORD_GENERATION_MASK,
	            0) ||
	    __builtin_expect(!percpu_replace(&pool->slabs.percpu, token, &pool->record[start],
	                                     record_live(shm->generation, size, false),
	                                     record_free(shm->generation + 1)),
	                     0))
		return free_run_slow(pool, shm);
	at = slabs_at_sure(&pool->slabs, (size - 1) / IST_PAGE_SIZE + 1);
	tools_freed(pool, shm->view.vaddr, client_pages(size) * IST_PAGE_SIZE);
	*shm = (struct ist_shm){0};
	if (__builtin_expect(!percpu_push(&pool->slabs.percpu, at, (uint32_t)start), 0))
		return give_slow(pool, start, size, token);
	return 0;
}

bool client_pool_is_used(struct ist_client_pool *pool)
{
	struct slab_counts counts;

	slabs_count(&pool->slabs, &counts);
	return counts.allocs != counts.frees + atomic_load_explicit(&pool->lost, memory_order_relaxed);
}
