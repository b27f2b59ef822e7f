/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "reclaim/resting.h"

#include "base/fence.h"
#include "base/mutant.h"
#include "reclaim/limbo.h"

static bool is_over(const struct space *space, const struct resting *list)
{
	return limbo_is_done(&space->limbo, atomic_load_explicit(&list->batch, memory_order_relaxed));
}

static uint32_t take(struct resting *list)
{
	uint32_t first = list->first;

	list->first = 0;
	atomic_store_explicit(&list->count, 0, memory_order_relaxed);
	return first;
}

/* The list for this batch. [reclaim.Q4]: the older one, if it has another number, is done. */
static struct resting *list_for(struct space *space, struct owner *owner, uint64_t batch)
{
	struct resting *young = &owner->resting[owner->youngest], *old = &owner->resting[!owner->youngest];

	if (atomic_load_explicit(&young->batch, memory_order_relaxed) == batch)
		return young;
	if (old->first) {
		mapping_at(space, old->last)->next = owner->unused;
		owner->unused = take(old);
	}
	owner->youngest = !owner->youngest;
	atomic_store_explicit(&old->batch, batch, memory_order_relaxed);
	return old;
}

void rest(struct space *space, struct owner *owner, uint32_t slot)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct resting *list = list_for(space, owner, limbo_next_batch(&space->limbo));

	atomic_store_explicit(&mapping->refs, REFS_ENDED, memory_order_relaxed); /* nobody gives or has any */
	mapping->rested = true;
	mapping->next = list->first;
	if (!list->first)
		list->last = slot;
	list->first = slot;
	atomic_store_explicit(&list->count, atomic_load_explicit(&list->count, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

uint32_t rest_over(struct space *space, struct owner *owner)
{
	for (unsigned i = 0; i < 2; i++)
		if (owner->resting[i].first &&
		    (IS_MUTANT(218) || is_over(space, &owner->resting[i]))) /* without waiting */
			return take(&owner->resting[i]);
	return 0;
}

uint32_t rest_take(struct owner *owner)
{
	return take(&owner->resting[owner->resting[0].first == 0]);
}

uint64_t rest_count(struct space *space, struct owner *owner)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < 2; i++)
		if (!is_over(space, &owner->resting[i]))
			count += atomic_load_explicit(&owner->resting[i].count, memory_order_relaxed);
	return count;
}
