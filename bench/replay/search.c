/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The search for the smallest pool that a trace still runs in. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>

#define LARGEST 16u /* times the given pool */

static void release_all(const struct replay_setup *setup, void *state, void *thread, struct block *blocks,
                        enum pool pool)
{
	uint32_t i;

	for (i = 0; i < setup->plan->slot_count; i++)
		if (blocks[i].vaddr)
			setup->peer->release(state, thread, pool, &blocks[i]);
}

/* Returns whether the step was served. */
static bool fit_step(const struct replay_setup *setup, void *state, void *thread, const struct step *step,
                     size_t impossible, struct block *blocks)
{
	const struct peer *peer = setup->peer;
	enum pool pool = step_pool(step->kind);
	struct block block;

	if (step_is_attempt(step)) {
		if (step->size > impossible)
			return true;
		if (peer->alloc(state, thread, pool, step->size, false, &block))
			return false;
		peer->release(state, thread, pool, &block);
		return true;
	}
	if (step_allocates(step->kind)) {
		if (peer->alloc(state, thread, pool, step->size, false, &block))
			return false;
		blocks[step->slot] = block;
	} else if (step_frees(step->kind)) {
		peer->release(state, thread, pool, &blocks[step->slot]);
		blocks[step->slot].vaddr = NULL;
	}
	return true;
}

int replay_fits(const struct replay_setup *setup, enum pool pool, size_t impossible,
                struct replay_fault *fault)
{
	const struct peer *peer = setup->peer;
	const struct plan *plan = setup->plan;
	struct block *blocks = calloc(plan->slot_count + 1u, sizeof(*blocks));
	void *state = NULL, *thread = NULL;
	bool served = true;
	int result = -1;
	uint32_t i;

	fault->text[0] = 0;
	if (!blocks) {
		replay_fault_set(fault, setup, "no memory for the replay", 0);
		goto out;
	}
	result = peer->create(&setup->region, &state);
	if (result == -ENOSPC) {
		result = 0;
		goto out;
	}
	if (result) {
		replay_fault_set(fault, setup, "cannot be created", result);
		result = -1;
		goto out;
	}
	if (peer->thread_begin)
		thread = peer->thread_begin(state);
	for (i = 0; i < plan->step_count && served; i++)
		if (step_pool(plan->steps[i].kind) == pool)
			served = fit_step(setup, state, thread, &plan->steps[i], impossible, blocks);
	release_all(setup, state, thread, blocks, pool);
	if (thread)
		peer->thread_end(state, thread);
	peer->destroy(state);
	result = served;
out:
	free(blocks);
	return result;
}

static int fits_pages(const struct replay_setup *setup, enum pool pool, size_t pages,
                      struct replay_fault *fault)
{
	struct replay_setup candidate = *setup;
	size_t impossible = region_pool_size(&setup->region, pool);

	if (pool == POOL_CLIENT)
		candidate.region.client_size = pages * IST_PAGE_SIZE;
	else
		candidate.region.driver_size = pages * IST_PAGE_SIZE;
	return replay_fits(&candidate, pool, impossible, fault);
}

int replay_smallest(const struct replay_setup *setup, enum pool pool, size_t *bytes,
                    struct replay_fault *fault)
{
	size_t given = region_pool_size(&setup->region, pool) / IST_PAGE_SIZE;
	/* Nobody can do with less than what is live at once: `low` never fits, `high` does. */
	size_t low = round_to_pages((size_t)setup->plan->peak_rounded[pool]) / IST_PAGE_SIZE;
	size_t high = given > low ? given : low;
	int fits;

	*bytes = 0;
	low = low ? low - 1 : 0;
	while ((fits = fits_pages(setup, pool, high, fault)) == 0) {
		low = high;
		high *= 2;
		if (high > given * LARGEST)
			return 0;
	}
	while (fits >= 0 && high - low > 1) {
		size_t middle = low + (high - low) / 2;

		fits = fits_pages(setup, pool, middle, fault);
		if (fits > 0)
			high = middle;
		else
			low = middle;
	}
	if (fits < 0)
		return -1;
	*bytes = high * IST_PAGE_SIZE;
	return 0;
}
