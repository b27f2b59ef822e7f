/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What physical addresses mean: adding and removing backings and protected ranges. And what there is to count. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mapping/space.h"
#include "platform/platform.h"

#define ATTRIBUTES (IST_READ_ONLY | IST_DEVICE | IST_UNCACHED)

/* Touching a file behind its end kills; a device has no length. */
static int check_file(const struct ist_backing *backing)
{
	struct platform_file file;

	if (platform_file_kind(backing->fd, &file))
		return -EBADF;
	return file.regular && (backing->offset > file.bytes || backing->size > file.bytes - backing->offset)
	               ? -EINVAL
	               : 0;
}

static int check_backing(const struct ist_backing *backing)
{
	uint64_t start = (uint64_t)(uintptr_t)backing->vaddr;

	if (backing->size == 0 || backing->size - 1 > UINT64_MAX - backing->paddr ||
	    (backing->attributes & ~ATTRIBUTES) || (backing->paddr | backing->size | start) % IST_PAGE_SIZE)
		return -EINVAL;
	if (backing->vaddr)
		return backing->size - 1 > UINTPTR_MAX - start ? -EINVAL : 0;
	if (backing->offset % IST_PAGE_SIZE || backing->size - 1 > (uint64_t)INT64_MAX - backing->offset)
		return -EINVAL;
	return check_file(backing);
}

void backing_drop(struct backing *backing)
{
	if (!backing)
		return;
	if (backing->whole)
		platform_release(backing->vaddr, backing->pages * IST_PAGE_SIZE);
	if (backing->fd >= 0)
		close(backing->fd);
	free(backing->seam);
	free(backing);
}

/* Pieces of a file of large pages cannot be mapped: it is mapped once, and what is registered lies there. */
static int map_whole(struct backing *backing)
{
	struct platform_file file;
	int error = platform_file_kind(backing->fd, &file);

	if (error || file.page <= platform_page_size() || (backing->attributes & IST_DEVICE))
		return error;
	if (backing->offset % file.page || backing->pages * IST_PAGE_SIZE % file.page)
		return -ENOTSUP;
	backing->vaddr = platform_map_file(backing->pages * IST_PAGE_SIZE, backing->fd, backing->offset,
	                                   !(backing->attributes & IST_READ_ONLY));
	backing->whole = backing->vaddr != NULL;
	return backing->vaddr ? 0 : -errno;
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
	if (!*error && !from->vaddr)
		*error = map_whole(backing);
	return backing;
}

int ist_backing_add(struct ist_manager *manager, const struct ist_backing *from)
{
	struct space *space = space_of(manager);
	struct ist_backing copy; /* the caller's may change meanwhile */
	struct backing *backing = NULL;
	int error = !manager || !from ? -EINVAL : 0;

	if (error)
		return error;
	copy = *from;
	error = rcu_inside() ? -EDEADLK : check_backing(&copy);
	if (!error)
		backing = make_backing(&copy, &error); /* not under the lock: a file takes its time */
	if (!error)
		error = space_enter(space);
	if (!error) {
		error = ranges_add(&space->backings, (struct range *)(void *)backing);
		space_leave(space);
	}
	if (error)
		backing_drop(backing);
	return error;
}

/* Whether a mapping that is found has a page of [page, page + pages). */
static bool is_registered(struct space *space, uint64_t page, uint64_t pages)
{
	struct pamap_value value;
	struct pamap_entry entry;

	if (pamap_lookup(space->by_paddr, page * IST_PAGE_SIZE, 1, &value))
		return true;
	return pamap_next(space->by_paddr, page, &entry) && entry.page - page < pages;
}

/* Under the lock: whether something of these pages is in use, or accessible for other reasons than that readers may know it. */
static bool is_used(struct space *space, const struct range *range)
{
	cache_shrink(space, 0);
	return is_registered(space, range->page, range->pages) ||
	       space_is_held(space, range->page, range->pages, 0);
}

/*
 * Nobody may wait for readers under the lock. So removing and protecting have two halves: first nothing new can be registered
 * there and nothing is in use; then, without the lock, what has ended before is waited for.
 */
static int begin_removal(struct space *space, uint64_t paddr, struct backing **out)
{
	struct backing *backing = backing_at(&space->backings, paddr / IST_PAGE_SIZE);

	if (!backing || backing->page * IST_PAGE_SIZE != paddr)
		return -ENOENT;
	if (backing->leaving || is_used(space, (struct range *)(void *)backing))
		return -EBUSY;
	backing->leaving = true;
	*out = backing;
	return 0;
}

int ist_backing_remove(struct ist_manager *manager, uint64_t paddr)
{
	struct space *space = space_of(manager);
	struct backing *backing = NULL;
	int before, error = space_enter(space);

	if (error)
		return error;
	error = begin_removal(space, paddr, &backing);
	space_leave(space);
	if (error)
		return error;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* or it would be leaving for ever */
	error = limbo_drain(space);
	pthread_mutex_lock(&space->lock);
	/* Acquire: pairs with the decrements of the limbo and of who reads lists. */
	if (!error && atomic_load_explicit(&backing->uses, memory_order_acquire))
		error = -EBUSY;
	if (error)
		backing->leaving = false;
	else
		ranges_remove(&space->backings, (struct range *)(void *)backing);
	pthread_mutex_unlock(&space->lock);
	if (!error)
		backing_drop(backing);
	pthread_setcancelstate(before, &before);
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
		        .vaddr = backing->whole ? NULL : backing->vaddr,
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

/* Found by its very values. */
static struct range *find_protection(struct space *space, const struct range *wanted)
{
	struct range *range = ranges_at(&space->protections, wanted->page);

	return range && range->page == wanted->page && range->pages == wanted->pages ? range : NULL;
}

static void drop_protection(struct space *space, struct range *range)
{
	ranges_remove(&space->protections, range);
	free(range);
}

/* See begin_removal. */
static int begin_protection(struct space *space, const struct range *wanted)
{
	struct range *range;
	int error;

	if (is_used(space, wanted))
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
	struct range wanted, *range;
	int before, error = check_range(paddr, size, &wanted);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	error = begin_protection(space, &wanted);
	space_leave(space);
	if (error)
		return error;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	error = limbo_drain(space);
	if (error) {
		pthread_mutex_lock(&space->lock);
		range = find_protection(space, &wanted);
		if (range) /* unless somebody has unprotected it meanwhile */
			drop_protection(space, range);
		pthread_mutex_unlock(&space->lock);
	}
	pthread_setcancelstate(before, &before);
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
	range = find_protection(space, &wanted);
	if (range)
		drop_protection(space, range);
	else
		error = -ENOENT;
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
