/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The checked replay, and the timeline that it yields. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct checker {
	const struct replay_setup *setup;
	void *state, *thread;
	struct block *blocks; /* per slot; vaddr is null where nothing lives */
	enum pool *pools; /* per slot */
	unsigned char *owned[POOL_COUNT]; /* per granule: 1 while it belongs to a request */
	size_t live; /* client bytes in whole pages */
	struct replay_fault *fault;
};

static size_t granule(enum pool pool)
{
	return pool == POOL_CLIENT ? IST_PAGE_SIZE : 8;
}

static int wrong(struct checker *checker, const char *what, int error)
{
	replay_fault_set(checker->fault, checker->setup, what, error);
	return -1;
}

static bool all_zero(const unsigned char *bytes, size_t size)
{
	/* Each byte equals the one before, and the first is 0. */
	return bytes[0] == 0 && !memcmp(bytes, bytes + 1, size - 1);
}

static int check_translation(struct checker *checker, const struct block *block, uint64_t offset,
                             uint64_t size)
{
	const struct peer *peer = checker->setup->peer;
	unsigned char *vaddr = (unsigned char *)block->vaddr + offset;
	void *found_vaddr = NULL;
	uint64_t found = 0;

	if (!peer->knows_physical)
		return 0;
	if (peer->to_phys(checker->state, vaddr, size, &found) || found != block->paddr + offset)
		return wrong(checker, "wrong physical address", 0);
	if (peer->to_virt(checker->state, found, size, &found_vaddr) || found_vaddr != vaddr)
		return wrong(checker, "wrong virtual address", 0);
	return 0;
}

/* Mark the granules of a block, or clear them. Fails when one is not in the state expected. */
static bool set_owner(struct checker *checker, enum pool pool, const struct block *block, unsigned char owner)
{
	size_t offset = (size_t)((unsigned char *)block->vaddr - region_pool(&checker->setup->region, pool));
	size_t first = offset / granule(pool), count = step_rounded(pool, block->size) / granule(pool), i;

	for (i = first; i < first + count; i++) {
		if (checker->owned[pool][i] == owner)
			return false;
		checker->owned[pool][i] = owner;
	}
	return true;
}

static int check_block(struct checker *checker, enum pool pool, const struct step *step,
                       const struct block *block)
{
	const struct region *region = &checker->setup->region;
	uintptr_t offset = (uintptr_t)block->vaddr - (uintptr_t)region_pool(region, pool);
	size_t rounded = step_rounded(pool, step->size);

	if (block->size != step->size)
		return wrong(checker, "an allocation of another size than asked", 0);
	if (offset >= region_pool_size(region, pool) || rounded > region_pool_size(region, pool) - offset)
		return wrong(checker, "an allocation outside its pool", 0);
	if (offset % granule(pool))
		return wrong(checker, "an allocation that is not aligned", 0);
	if (!set_owner(checker, pool, block, 1))
		return wrong(checker, "an allocation that overlaps a live one", 0);
	if (pool == POOL_CLIENT && !all_zero(block->vaddr, rounded))
		return wrong(checker, "client memory that is not zeroed to the end of its last page", 0);
	memset(block->vaddr, 0xa5, rounded);
	return check_translation(checker, block, 0, step->size);
}

static int check_alloc(struct checker *checker, const struct step *step, struct block *block, bool *served)
{
	enum pool pool = step_pool(step->kind);
	int result = checker->setup->peer->alloc(checker->state, checker->thread, pool, step->size,
	                                         pool == POOL_CLIENT, block);

	*served = result == 0;
	if (result == -ENOSPC)
		return 0;
	if (result)
		return wrong(checker, "an allocation failed in a way it must not", result);
	if (pool == POOL_CLIENT)
		checker->live += step_rounded(pool, step->size);
	return check_block(checker, pool, step, block);
}

static int check_free(struct checker *checker, enum pool pool, struct block *block)
{
	int result;

	set_owner(checker, pool, block, 0);
	if (pool == POOL_CLIENT)
		checker->live -= step_rounded(pool, block->size);
	result = checker->setup->peer->release(checker->state, checker->thread, pool, block);
	block->vaddr = NULL;
	return result ? wrong(checker, "a free was refused", result) : 0;
}

static int check_step(struct checker *checker, const struct step *step)
{
	enum pool pool = step_pool(step->kind);
	struct block attempt, *block;
	bool served;

	if (step_is_attempt(step)) {
		if (check_alloc(checker, step, &attempt, &served))
			return -1;
		return served ? check_free(checker, pool, &attempt) : 0;
	}
	if (step->slot == STEP_NO_SLOT)
		return 0;
	block = &checker->blocks[step->slot];
	if (step_allocates(step->kind)) {
		checker->pools[step->slot] = pool;
		if (check_alloc(checker, step, block, &served))
			return -1;
		if (!served)
			block->vaddr = NULL;
		return 0;
	}
	if (!block->vaddr)
		return 0;
	if (step_frees(step->kind))
		return check_free(checker, pool, block);
	return check_translation(checker, block, step->offset, step->size);
}

static size_t largest_free(const struct checker *checker)
{
	size_t pages = checker->setup->region.client_size / IST_PAGE_SIZE, run = 0, best = 0, i;

	for (i = 0; i < pages; i++) {
		run = checker->owned[POOL_CLIENT][i] ? 0 : run + 1;
		best = run > best ? run : best;
	}
	return best * IST_PAGE_SIZE;
}

static int check_steps(struct checker *checker, struct timeline *timeline)
{
	const struct plan *plan = checker->setup->plan;
	uint32_t i;

	timeline->count = plan->step_count < TIMELINE_POINTS ? plan->step_count : TIMELINE_POINTS;
	for (i = 0; i < plan->step_count; i++) {
		uint32_t point = (uint32_t)((uint64_t)i * timeline->count / plan->step_count);
		uint32_t before =
		        i ? (uint32_t)((uint64_t)(i - 1) * timeline->count / plan->step_count) : UINT32_MAX;

		if (check_step(checker, &plan->steps[i]))
			return -1;
		if (point != before || checker->live > timeline->live[point]) {
			timeline->live[point] = checker->live;
			timeline->largest_free[point] = largest_free(checker);
		}
	}
	for (i = 0; i < plan->slot_count; i++)
		if (checker->blocks[i].vaddr && check_free(checker, checker->pools[i], &checker->blocks[i]))
			return -1;
	return 0;
}

int replay_checked(const struct replay_setup *setup, struct timeline *timeline, struct replay_fault *fault)
{
	struct checker checker = {.setup = setup, .fault = fault};
	const struct peer *peer = setup->peer;
	size_t slots = setup->plan->slot_count + (size_t)1;
	int result;
	enum pool pool;

	*timeline = (struct timeline){0};
	fault->text[0] = 0;
	result = peer->create(&setup->region, &checker.state);
	if (result)
		return wrong(&checker, "cannot be created", result);
	/* What is handed out as zeroed must have been zeroed by the peer. */
	memset(setup->region.vaddr, 0xa5, setup->region.driver_size + setup->region.client_size);
	checker.blocks = calloc(slots, sizeof(*checker.blocks));
	checker.pools = calloc(slots, sizeof(*checker.pools));
	for (pool = 0; pool < POOL_COUNT; pool++)
		checker.owned[pool] = calloc(region_pool_size(&setup->region, pool) / granule(pool), 1);
	if (peer->thread_begin)
		checker.thread = peer->thread_begin(checker.state);
	if (checker.blocks && checker.pools && checker.owned[POOL_DRIVER] && checker.owned[POOL_CLIENT])
		result = check_steps(&checker, timeline);
	else
		result = wrong(&checker, "no memory for the replay", 0);
	/* After a fault the peer's state cannot be trusted: leave it as it is. */
	if (!result) {
		if (checker.thread)
			peer->thread_end(checker.state, checker.thread);
		peer->destroy(checker.state);
	}
	free(checker.blocks);
	free(checker.pools);
	for (pool = 0; pool < POOL_COUNT; pool++)
		free(checker.owned[pool]);
	return result;
}
