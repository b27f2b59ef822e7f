/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A mapping that lies in several places, mapped side by side as well for as long as somebody wants that. The second mapping is one
 * of the host's, so that no owner's quota or end concerns it. It is unregistered as soon as it is made, and a hold keeps it:
 * so no lookup by physical address finds it, and protection, strict registration and the removal of backings see it. The first
 * one counts who wants it (`older`) and has its slot (`run.first`), both under space.lock.
 *
 * For everybody who has it mapped there is a hold on the first one, which therefore outlives the second. Holds, not references: so
 * a put that is one too many is told.
 */
#include "mapping/contiguous.h"

#include <errno.h>

#include "mapping/handle.h"
#include "mapping/lookup.h"
#include "mapping/pages.h"
#include "mapping/register.h"
#include "mapping/request.h"
#include "mapping/unregister.h"

static int copy_segments(const struct mapping *mapping, struct request *request)
{
	const struct segment *all = mapping_segments(mapping);
	int error = 0;

	for (uint32_t i = 0; i < mapping->segments && !error; i++)
		error = pages_add(&request->list, all[i].page, segment_pages(mapping, i));
	request->offset = mapping->offset;
	request->size = mapping->size;
	request->flags = mapping->attributes & IST_READ_ONLY ? IST_MAPPING_READ_ONLY : 0;
	request->kind = MAPPING_AGAIN;
	return error;
}

/* Under the lock. */
static int map_again(struct space *space, uint32_t slot, const struct request *request)
{
	uint32_t again;
	bool last;
	int error = space_register(space, request, &again);

	if (error)
		return error;
	/* Relaxed: nobody else has it, and it is LIVE until we end it here. */
	atomic_fetch_add_explicit(&mapping_at(space, again)->refs, REFS_HOLD, memory_order_relaxed);
	space_end(space, again, false, &last);
	atomic_fetch_sub_explicit(&space->referenced, 1, memory_order_relaxed); /* it is no user's: stats */
	mapping_at(space, slot)->run.first = again;
	return 0;
}

/* Under the lock: one more who wants it. */
static int want(struct space *space, uint32_t slot, const struct request *request)
{
	struct mapping *mapping = mapping_at(space, slot);
	int error = 0;

	if (!mapping->vaddr && mapping->older == 0)
		error = map_again(space, slot, request);
	if (!error)
		mapping->older++;
	return error;
}

/* Whether it can be mapped: ranges and registers count themselves. */
static bool may_be_mapped(const struct mapping *mapping)
{
	return mapping->kind == MAPPING_PAGES || mapping->kind == MAPPING_PROVIDED;
}

static int try_to_map(struct space *space, uint32_t slot, const struct request *request, void **vaddr)
{
	const struct mapping *mapping = mapping_at(space, slot);
	int error = space_enter(space);

	if (error)
		return error;
	error = want(space, slot, request);
	if (!error)
		*vaddr = mapping->vaddr ? mapping->vaddr : mapping_at(space, mapping->run.first)->vaddr;
	space_leave(space);
	return error;
}

/* With a hold on it. */
static int map(struct space *space, uint32_t slot, void **vaddr)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct request request = {.of = slot};
	int error = may_be_mapped(mapping) ? 0 : -EINVAL;

	pages_init(&request.list);
	if (!error && !mapping->vaddr)
		error = copy_segments(mapping, &request);
	if (!error)
		error = try_to_map(space, slot, &request, vaddr);
	if ((error == -ENOSPC || error == -ENOMEM) && space_make_room(space))
		error = try_to_map(space, slot, &request, vaddr);
	pages_drop(&request.list);
	return error;
}

int space_map(struct space *space, const struct ist_mapping *handle, void **vaddr)
{
	int error;

	if (rcu_inside())
		return -EDEADLK;
	if (!space_get(space, handle))
		return -ENOENT;
	/* Relaxed: what the reference was given to is kept by the one as by the other. */
	atomic_fetch_add_explicit(&mapping_at(space, handle->slot)->refs, REFS_HOLD - 1,
	                          memory_order_relaxed);
	error = map(space, handle->slot, vaddr);
	if (error)
		space_drop_hold(space, handle->slot);
	return error;
}

/* Under the lock: one less; *again is what nobody wants any more, or 0. False: it is not mapped. */
static bool unwant(struct space *space, const struct ist_mapping *handle, uint32_t *again)
{
	struct mapping *mapping = handle_find(space, handle);

	*again = 0;
	/* Relaxed: what is mapped is held, so it is what it was. */
	if (!mapping || !(atomic_load_explicit(&mapping->refs, memory_order_relaxed) & REFS_HOLDS) ||
	    !may_be_mapped(mapping) || mapping->older == 0)
		return false;
	if (--mapping->older == 0 && !mapping->vaddr) {
		*again = mapping->run.first;
		mapping->run = (struct run){0, 0};
	}
	return true;
}

int space_unmap(struct space *space, const struct ist_mapping *handle)
{
	bool was_mapped;
	uint32_t again;
	int error = space_enter(space);

	if (error)
		return error;
	was_mapped = unwant(space, handle, &again);
	space_leave(space);
	if (!was_mapped)
		return -EINVAL;
	if (again) {
		atomic_fetch_add_explicit(&space->referenced, 1, memory_order_relaxed);
		space_drop_hold(space, again);
	}
	space_drop_hold(space, handle->slot);
	return 0;
}
