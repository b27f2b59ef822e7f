/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Ranges of physical pages where nothing may be registered. See [space.E1]. */
#include "backing/protect.h"

#include <errno.h>

#include "backing/backings.h"
#include "reclaim/cache.h"
#include "reclaim/limbo.h"

static int check_range(uint64_t paddr, uint64_t size, struct range *out)
{
	if (size == 0 || size - 1 > UINT64_MAX - paddr)
		return -EINVAL;
	out->page = paddr / IST_PAGE_SIZE;
	out->pages = (paddr + (size - 1)) / IST_PAGE_SIZE - out->page + 1;
	return 0;
}

/* As begin_removal in backings.c: first nothing new may come there. */
static int begin_protection(struct space *space, const struct range *wanted)
{
	struct ranges *old = atomic_load_explicit(&space->protections, memory_order_relaxed), *with;

	if (ranges_overlap(old, wanted->page, wanted->pages))
		return -EEXIST;
	with = ranges_with(old, wanted);
	if (!with)
		return -ENOMEM;
	cache_shrink(space, 0);
	atomic_store_explicit(&space->protections, with, memory_order_release);
	/* Release: the array comes before. The full fence is backings_are_used's [space.E1]. */
	atomic_fetch_add_explicit(&space->protections_changed, 1, memory_order_release);
	ranges_retire(old);
	return 0;
}

/* Without the lock. */
static int finish_protection(struct space *space, const struct range *wanted)
{
	int error = backings_are_used(space, wanted) ? -EBUSY : limbo_drain(space);

	if (!error)
		return 0;
	pthread_mutex_lock(&space->lock);
	/* Unless somebody has unprotected it meanwhile. */
	ranges_take_out(atomic_load_explicit(&space->protections, memory_order_relaxed), wanted);
	pthread_mutex_unlock(&space->lock);
	return error;
}

int space_protect(struct space *space, uint64_t paddr, uint64_t size)
{
	struct range wanted;
	int before, error = rcu_inside() ? -EDEADLK : check_range(paddr, size, &wanted);

	if (!error && backings_are_used(space, &wanted)) /* so that what fails refuses nothing meanwhile */
		error = -EBUSY;
	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	error = begin_protection(space, &wanted);
	space_leave(space);
	if (error)
		return error;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	error = finish_protection(space, &wanted);
	pthread_setcancelstate(before, &before);
	return error;
}

int space_unprotect(struct space *space, uint64_t paddr, uint64_t size)
{
	struct range wanted;
	int error = check_range(paddr, size, &wanted);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	if (!ranges_take_out(atomic_load_explicit(&space->protections, memory_order_relaxed), &wanted))
		error = -ENOENT;
	space_leave(space);
	return error;
}
