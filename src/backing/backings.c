/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What physical addresses mean: adding and removing backings. */
#include "backing/backings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backing/page_tree.h"
#include "base/fence.h"
#include "platform/platform.h"
#include "reclaim/cache.h"
#include "reclaim/limbo.h"

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

void backing_empty(struct backing *backing)
{
	if (backing->ours)
		platform_release(backing->view, backing->pages * IST_PAGE_SIZE);
	if (backing->fd >= 0 && backing->pages)
		close(backing->fd);
	free(backing->seam);
	page_tree_drop(&backing->tree);
	memset(backing, 0, sizeof(*backing));
}

/*
 * A file is mapped once, as a whole, and what is registered of it lies there. Where that cannot be had (it was opened for
 * reading only, or the system has not so much address space) its pages are mapped as they are registered, unless they are
 * larger than the host's: pieces of such a file cannot be mapped. Devices are left alone.
 */
static int map_view(struct backing *backing)
{
	size_t bytes = backing->pages * IST_PAGE_SIZE;
	struct platform_file file;
	int error = platform_file_kind(backing->fd, &file);

	if (error || !file.regular || (backing->attributes & IST_DEVICE))
		return error;
	backing->large = file.page > platform_page_size();
	if (backing->large && (backing->offset % file.page || bytes % file.page))
		return -ENOTSUP;
	if (backing->offset % platform_page_size())
		return 0;
	backing->view = platform_map_file(bytes, backing->fd, backing->offset,
	                                  !(backing->attributes & IST_READ_ONLY));
	backing->ours = backing->view != NULL;
	return backing->view || !backing->large ? 0 : -errno;
}

static int fill(struct backing *backing, const struct ist_backing *from)
{
	int error;

	backing->page = from->paddr / IST_PAGE_SIZE;
	backing->pages = from->size / IST_PAGE_SIZE;
	backing->view = from->vaddr;
	backing->offset = from->offset;
	backing->attributes = from->attributes;
	backing->fd = from->vaddr ? -1 : platform_duplicate(from->fd);
	if (!from->vaddr && backing->fd < 0)
		return backing->fd;
	error = from->vaddr ? 0 : map_view(backing);
	return error ? error : page_tree_init(&backing->tree, backing->pages);
}

/* Under the lock: an empty record. 0: none. */
static uint32_t take_record(struct backings *backings)
{
	uint32_t number = backings->unused;

	if (number)
		backings->unused = backing_at(backings, number)->next;
	else if (backings->slots.made < BACKING_MAX)
		number = slots_make(&backings->slots);
	return number;
}

/* Without the lock. */
static void give_record(struct space *space, uint32_t number)
{
	struct backing *backing = space_backing(space, number);

	backing_empty(backing);
	pthread_mutex_lock(&space->lock);
	backing->next = space->backings.unused;
	space->backings.unused = number;
	pthread_mutex_unlock(&space->lock);
}

static struct pamap_entry entry_of(const struct backing *backing, bool reverse)
{
	uint64_t view = (uint64_t)(uintptr_t)backing->view / IST_PAGE_SIZE;

	return (struct pamap_entry){
	        .page = reverse ? view : backing->page,
	        .to = reverse ? backing->page : view,
	        .pages = backing->pages,
	        .handle = backing->number,
	        .owner = OWNER_HOST,
	};
}

/*
 * Into both maps. Under the lock. Nothing can be registered there before it is in both. Where it came into the first alone, it may be
 * that it does not go out of that again either, as both take memory; then it stays there, `listed` and `leaving`.
 */
static int show_backing(struct space *space, struct backing *backing, bool *was_found)
{
	struct pamap_entry by_paddr = entry_of(backing, false), by_vaddr = entry_of(backing, true);
	int error;

	atomic_store_explicit(&backing->leaving, true, memory_order_relaxed); /* the map publishes it */
	error = pamap_insert(space->by_paddr, &by_paddr, PAMAP_EXCLUSIVE);
	if (error)
		return error;
	*was_found = true;
	if (backing->view)
		error = pamap_insert(space->by_vaddr, &by_vaddr, 0);
	backing->listed = !error || pamap_remove(space->by_paddr, &by_paddr) != 0;
	if (!error)
		atomic_store_explicit(&backing->leaving, false, memory_order_relaxed);
	return error;
}

/* Out of both. By virtual address first: it may be tried again. */
static int hide_backing(struct space *space, const struct backing *backing)
{
	struct pamap_entry by_paddr = entry_of(backing, false), by_vaddr = entry_of(backing, true);
	int error = backing->view ? pamap_remove(space->by_vaddr, &by_vaddr) : 0;

	return error && error != -ENOENT ? error : pamap_remove(space->by_paddr, &by_paddr);
}

static void abandon(struct backings *backings, struct backing *backing)
{
	backing->next = backings->abandoned;
	backings->abandoned = backing->number;
}

/* Try again to take the abandoned ones out of the map: a list of those that went, for give_records. Under the lock. */
static uint32_t hide_abandoned(struct space *space)
{
	struct backings *backings = &space->backings;
	uint32_t next, number = backings->abandoned, gone = 0;

	backings->abandoned = 0;
	for (; number; number = next) {
		struct backing *backing = backing_at(backings, number);

		next = backing->next;
		if (hide_backing(space, backing)) {
			abandon(backings, backing);
			continue;
		}
		backing->listed = false;
		backing->next = gone;
		gone = number;
	}
	return gone;
}

/* Of backings that are in no map any more, but readers may have found there. Without the lock. */
static void give_records(struct space *space, uint32_t number)
{
	uint32_t next;
	int before;

	if (!number)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* or the records would be lost */
	rcu_wait();
	for (; number; number = next) {
		next = space_backing(space, number)->next;
		give_record(space, number);
	}
	pthread_setcancelstate(before, &before);
}

static int add(struct space *space, const struct ist_backing *from, uint32_t number)
{
	struct backing *backing = space_backing(space, number);
	bool was_found = false, is_abandoned;
	int error = fill(backing, from); /* not under the lock: a file takes its time */

	backing->number = number;
	if (!error)
		error = space_enter(space);
	if (error) {
		give_record(space, number);
		return error;
	}
	error = show_backing(space, backing, &was_found);
	is_abandoned = error && backing->listed;
	if (is_abandoned)
		abandon(&space->backings, backing); /* from now on others may finish it */
	else if (error)
		backing->next = 0;
	else
		space->backings.count++;
	space_leave(space);
	if (!error || is_abandoned)
		return error;
	if (was_found)
		give_records(space, number);
	else
		give_record(space, number);
	return error;
}

int space_add_backing(struct space *space, const struct ist_backing *from)
{
	struct ist_backing copy = *from; /* the caller's may change meanwhile */
	uint32_t number, gone;
	int error = rcu_inside() ? -EDEADLK : check_backing(&copy);

	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	gone = hide_abandoned(space);
	number = take_record(&space->backings);
	space_leave(space);
	give_records(space, gone);
	return number ? add(space, &copy, number) : -ENOMEM;
}

bool backings_are_used(struct space *space, const struct range *range)
{
	uint64_t page = range->page, last = range->page + (range->pages - 1);
	struct pamap_entry entry;
	bool used = false;

	/* After the mark, if there is one: see is_contested in mapping/register.c. */
	fence_full();
	rcu_enter();
	while (!used) {
		const struct backing *backing = space_find_backing(space, page);
		uint64_t here, end;

		if (!backing && (!pamap_next(space->by_paddr, page, &entry) || entry.page > last))
			break;
		if (!backing) {
			page = entry.page;
			continue;
		}
		end = backing->page + (backing->pages - 1);
		here = (end < last ? end : last) - page + 1;
		used = page_tree_is_used(&backing->tree, page - backing->page, here);
		if (end >= last)
			break;
		page = end + 1;
	}
	rcu_leave();
	return used;
}

/*
 * Nobody may wait for readers under the lock, or look through many pages. So removing and protecting have two halves: first nothing
 * new can be registered there; then, without the lock, it turns out whether something is in use, and what has ended is waited for.
 */
static int begin_removal(struct space *space, uint64_t paddr, struct backing **out)
{
	struct backing *backing = space_find_backing(space, paddr / IST_PAGE_SIZE);

	if (!backing || backing->page * IST_PAGE_SIZE != paddr)
		return -ENOENT;
	if (backing_is_leaving(backing))
		return -EBUSY;
	cache_shrink(space, 0);
	atomic_store_explicit(&backing->leaving, true, memory_order_relaxed);
	*out = backing;
	return 0;
}

/* Without the lock, so that what fails refuses nothing meanwhile. */
static bool is_backing_used(struct space *space, uint64_t paddr)
{
	struct range all = {paddr / IST_PAGE_SIZE, 0};
	const struct backing *backing;

	rcu_enter();
	backing = space_find_backing(space, all.page);
	if (backing && backing->page * IST_PAGE_SIZE == paddr)
		all.pages = backing->pages;
	rcu_leave();
	return all.pages && backings_are_used(space, &all);
}

/* Of a backing that is `leaving`: out of the maps, if nothing holds it; else -EBUSY, and it is not leaving any more. */
static int finish_removal(struct space *space, struct backing *backing)
{
	struct range all = {backing->page, backing->pages};
	int error = backings_are_used(space, &all) ? -EBUSY : limbo_drain(space);

	pthread_mutex_lock(&space->lock);
	/* Acquire: pairs with the decrement of who reads a list there. */
	if (!error && atomic_load_explicit(&backing->uses, memory_order_acquire))
		error = -EBUSY;
	if (!error)
		error = hide_backing(space, backing);
	if (error)
		atomic_store_explicit(&backing->leaving, false, memory_order_relaxed);
	else
		space->backings.count--;
	backing->listed = error != 0;
	pthread_mutex_unlock(&space->lock);
	return error;
}

int space_remove_backing(struct space *space, uint64_t paddr)
{
	struct backing *backing = NULL;
	uint32_t number;
	int before, error = rcu_inside() ? -EDEADLK : 0;

	if (!error && is_backing_used(space, paddr))
		error = -EBUSY;
	if (!error)
		error = space_enter(space);
	if (error)
		return error;
	error = begin_removal(space, paddr, &backing);
	space_leave(space);
	if (error)
		return error;
	number = backing->number;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* or it would be leaving for ever */
	error = finish_removal(space, backing);
	if (!error) {
		rcu_wait(); /* who has found it in the maps */
		give_record(space, number);
	}
	pthread_setcancelstate(before, &before);
	return error;
}

int space_find_whole_backing(struct space *space, uint64_t paddr, struct ist_backing *out)
{
	const struct backing *backing;
	int error = space_enter(space);

	if (error)
		return error;
	backing = space_find_backing(space, paddr / IST_PAGE_SIZE);
	if (backing)
		*out = (struct ist_backing){
		        .paddr = backing->page * IST_PAGE_SIZE,
		        .size = backing->pages * IST_PAGE_SIZE,
		        .vaddr = backing->ours ? NULL : backing->view,
		        .fd = backing->fd,
		        .offset = backing->offset,
		        .attributes = backing->attributes,
		};
	space_leave(space);
	return backing ? 0 : -ENOENT;
}
