/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What physical addresses mean: adding and removing backings and protected ranges. And what there is to count. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mapping/space.h"
#include "platform/platform.h"

#define ATTRIBUTES (IST_READ_ONLY | IST_DEVICE | IST_UNCACHED)

static int check_backing(const struct ist_backing *backing)
{
	uint64_t length, start = (uint64_t)(uintptr_t)backing->vaddr;

	if (backing->size == 0 || backing->size - 1 > UINT64_MAX - backing->paddr ||
	    (backing->attributes & ~ATTRIBUTES) || (backing->paddr | backing->size | start) % IST_PAGE_SIZE)
		return -EINVAL;
	if (backing->vaddr)
		return backing->size - 1 > UINTPTR_MAX - start ? -EINVAL : 0;
	if (backing->offset % IST_PAGE_SIZE || backing->size - 1 > (uint64_t)INT64_MAX - backing->offset)
		return -EINVAL;
	if (platform_file_length(backing->fd, &length))
		return -EBADF;
	/* A device has no length; touching a file behind its end kills. */
	return length != 0 && (backing->offset > length || backing->size > length - backing->offset) ? -EINVAL
	                                                                                             : 0;
}

static struct backing *make_backing(const struct ist_backing *from, int *error)
{
	struct backing *backing = calloc(1, sizeof(*backing));

	*error = -ENOMEM;
	if (!backing)
		return NULL;
	backing->page = from->paddr / IST_PAGE_SIZE;
	backing->pages = from->size / IST_PAGE_SIZE;
	backing->vaddr = from->vaddr;
	backing->offset = from->offset;
	backing->attributes = from->attributes;
	backing->fd = from->vaddr ? -1 : platform_duplicate(from->fd);
	*error = !from->vaddr && backing->fd < 0 ? backing->fd : 0;
	return backing;
}

static void drop_backing(struct backing *backing)
{
	if (backing && backing->fd >= 0)
		close(backing->fd);
	free(backing);
}

int ist_backing_add(struct ist_manager *manager, const struct ist_backing *from)
{
	struct space *space = space_of(manager);
	struct backing *backing;
	int error = !manager || !from ? -EINVAL : check_backing(from);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	backing = make_backing(from, &error);
	if (!error)
		error = ranges_add(&space->backings, (struct range *)(void *)backing);
	if (error)
		drop_backing(backing);
	space_leave(space);
	return error;
}

/* Whether a live mapping has a page of [page, page + pages). */
static bool is_registered(struct space *space, uint64_t page, uint64_t pages)
{
	struct pamap_value value;
	struct pamap_entry entry;

	if (pamap_lookup(space->by_paddr, page * IST_PAGE_SIZE, 1, &value))
		return true;
	return pamap_next(space->by_paddr, page, &entry) && entry.page - page < pages;
}

/* Under the lock: nothing that is not registered keeps the pages mapped any more, but for references. */
static void settle(struct space *space)
{
	cache_shrink(space, 0);
	limbo_drain(space);
}

int ist_backing_remove(struct ist_manager *manager, uint64_t paddr)
{
	struct space *space = space_of(manager);
	struct backing *backing;
	int error = space_enter(space);

	if (error)
		return error;
	settle(space);
	backing = backing_at(&space->backings, paddr / IST_PAGE_SIZE);
	if (!backing || backing->page * IST_PAGE_SIZE != paddr)
		error = -ENOENT;
	/* Acquire: pairs with the limbo's decrement. */
	else if (atomic_load_explicit(&backing->uses, memory_order_acquire) ||
	         is_registered(space, backing->page, backing->pages))
		error = -EBUSY;
	if (!error) {
		ranges_remove(&space->backings, (struct range *)(void *)backing);
		drop_backing(backing);
	}
	space_leave(space);
	return error;
}

int ist_backing_find(struct ist_manager *manager, uint64_t paddr, struct ist_backing *out)
{
	struct space *space = space_of(manager);
	const struct backing *backing;
	int error = out ? space_enter(space) : -EINVAL;

	if (error)
		return error;
	backing = backing_at(&space->backings, paddr / IST_PAGE_SIZE);
	if (backing)
		*out = (struct ist_backing){
		        .paddr = backing->page * IST_PAGE_SIZE,
		        .size = backing->pages * IST_PAGE_SIZE,
		        .vaddr = backing->vaddr,
		        .fd = backing->fd,
		        .offset = backing->offset,
		        .attributes = backing->attributes,
		};
	space_leave(space);
	return backing ? 0 : -ENOENT;
}

static int check_range(uint64_t paddr, uint64_t size, struct range *out)
{
	if (size == 0 || size - 1 > UINT64_MAX - paddr)
		return -EINVAL;
	out->page = paddr / IST_PAGE_SIZE;
	out->pages = (paddr + (size - 1)) / IST_PAGE_SIZE - out->page + 1;
	return 0;
}

static int protect(struct space *space, const struct range *wanted)
{
	struct range *range;
	int error;

	settle(space);
	if (is_registered(space, wanted->page, wanted->pages))
		return -EBUSY;
	range = malloc(sizeof(*range));
	if (!range)
		return -ENOMEM;
	*range = *wanted;
	error = ranges_add(&space->protections, range);
	if (error)
		free(range);
	return error;
}

int ist_protect(struct ist_manager *manager, uint64_t paddr, uint64_t size)
{
	struct space *space = space_of(manager);
	struct range wanted;
	int error = check_range(paddr, size, &wanted);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	error = protect(space, &wanted);
	space_leave(space);
	return error;
}

int ist_unprotect(struct ist_manager *manager, uint64_t paddr, uint64_t size)
{
	struct space *space = space_of(manager);
	struct range wanted, *range;
	int error = check_range(paddr, size, &wanted);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	range = ranges_at(&space->protections, wanted.page);
	if (!range || range->page != wanted.page || range->pages != wanted.pages) {
		error = -ENOENT;
	} else {
		ranges_remove(&space->protections, range);
		free(range);
	}
	space_leave(space);
	return error;
}

int ist_mapping_configure(struct ist_manager *manager, const struct ist_mapping_config *config)
{
	struct space *space = space_of(manager);
	int error = !config || (config->flags & ~IST_MAPPING_STRICT) || config->window_size % IST_PAGE_SIZE
	                    ? -EINVAL
	                    : 0;

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	if (space->used)
		error = -EBUSY;
	else
		space->config = *config;
	space_leave(space);
	return error;
}

static uint64_t bookkeeping(struct space *space)
{
	struct pamap_stats paddr, vaddr;

	pamap_get_stats(space->by_paddr, &paddr);
	pamap_get_stats(space->by_vaddr, &vaddr);
	return paddr.bytes + vaddr.bytes + space->slots.bytes + space->owners.slots.bytes +
	       atomic_load_explicit(&space->index.bytes, memory_order_relaxed) +
	       atomic_load_explicit(&space->owners.index.bytes, memory_order_relaxed) +
	       atomic_load_explicit(&space->extent_bytes, memory_order_relaxed);
}

void ist_mapping_stats(struct ist_manager *manager, struct ist_mapping_stats *out)
{
	struct space *space = space_of(manager);

	if (!out || space_enter(space))
		return;
	*out = (struct ist_mapping_stats){
	        .mappings = space->mappings,
	        .pages = space->pages,
	        .referenced = atomic_load_explicit(&space->referenced, memory_order_relaxed),
	        .waiting = atomic_load_explicit(&space->limbo.waiting, memory_order_relaxed),
	        .cached = space->cache.count,
	        .cached_bytes = space->cache.bytes,
	        .cache_hits = space->cache.hits,
	        .cache_misses = space->cache.misses,
	        .owners = space->owners.alive,
	        .backings = space->backings.count,
	        .window_size = space->window.size,
	        .window_used =
	                atomic_load_explicit(&space->window.used, memory_order_relaxed) * IST_PAGE_SIZE,
	        .bookkeeping = bookkeeping(space),
	        .refused = space->refused,
	};
	space_leave(space);
}
