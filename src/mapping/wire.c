/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * OP-TEE's list of pages, as it lies in shared memory. The other side may write there while we read: each word is loaded
 * exactly once, into a buffer of our own, and everything that is decided is decided about the buffer [S5]. A list page is
 * accessible only while it is copied.
 */
#include <errno.h>

#include "mapping/space.h"
#include "platform/platform.h"

#define LIST_ENTRIES                                                                                         \
	511u /* page addresses in a list page; the word behind them is the address of the next one */

/* Relaxed: a word is a word, and what the others do to it is their affair. */
static void copy_words(uint64_t *to, const void *from, size_t count)
{
	const _Atomic uint64_t *word = from;

	for (size_t i = 0; i < count; i++)
		to[i] = atomic_load_explicit(&word[i], memory_order_relaxed);
}

/* A page of a file, mapped for the moment, in a place of the window that is kept for this. */
static int copy_from_file(struct space *space, uint64_t *to, size_t count, int fd, uint64_t position)
{
	size_t host = space->window.host_page, lead = (size_t)(position % host);
	char *where = window_desk(&space->window);
	int error = where ? platform_map_shared_at(where, host, fd, position - lead, false) : -ENOSPC;

	if (error)
		return error;
	copy_words(to, where + lead, count);
	/* If the system refuses, the page stays readable to us until the next list is read. */
	platform_reserve_at(where, host);
	return 0;
}

static int copy_list_page(struct space *space, uint64_t *to, size_t count, uint64_t page)
{
	uint64_t offset = page * IST_PAGE_SIZE - space->carve_out->paddr;
	const struct backing *backing = backing_at(&space->backings, page);
	uint64_t into;

	if (offset < space->carve_out->size) {
		copy_words(to, (const char *)space->carve_out->vaddr + offset, count);
		return 0;
	}
	if (!backing || (backing->attributes & IST_DEVICE) || ranges_overlap(&space->protections, page, 1))
		return -ENXIO;
	into = (page - backing->page) * IST_PAGE_SIZE;
	if (!backing->vaddr)
		return copy_from_file(space, to, count, backing->fd, backing->offset + into);
	copy_words(to, backing->vaddr + into, count);
	return 0;
}

/* The lock is held for one list page at a time: lists are as long as their author likes. */
static int read_list_page(struct space *space, uint64_t *to, size_t count, uint64_t page)
{
	int error = space_enter(space);

	if (error)
		return error;
	error = space_use(space);
	if (!error)
		error = copy_list_page(space, to, count, page);
	space_leave(space);
	return error;
}

static int add_entries(struct request *request, const uint64_t *entry, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = entry[i] % IST_PAGE_SIZE ? -EINVAL
		                                     : pages_add(&request->list, entry[i] / IST_PAGE_SIZE, 1);

		if (error)
			return error;
	}
	return 0;
}

/* Before anything is read: what cannot be registered in the end must not cost a walk through an endless list. */
static int check_length(struct space *space, const struct request *request, uint64_t needed)
{
	struct owner *owner;
	int error = space_enter(space);

	if (error)
		return error;
	error = space_use(space);
	owner = owner_find(&space->owners, request->owner);
	if (!error && !owner)
		error = -ENOENT;
	if (!error && needed > space->window.size / IST_PAGE_SIZE)
		error = -ENOSPC;
	if (!error && ((owner->config.max_buffer_pages && needed > owner->config.max_buffer_pages) ||
	               (owner->config.max_pages && needed > owner->config.max_pages))) {
		owner->refused++;
		error = -EDQUOT;
	}
	space->refused += error != 0;
	space_leave(space);
	return error;
}

int wire_read(struct space *space, uint64_t list, struct request *request)
{
	uint64_t page = list / IST_PAGE_SIZE, left, copy[LIST_ENTRIES + 1];
	int error = 0;

	request->offset = list % IST_PAGE_SIZE;
	left = pages_needed(request->offset, request->size);
	if (left == 0)
		return -EINVAL;
	error = check_length(space, request, left);
	while (!error && left > 0) {
		size_t here = left < LIST_ENTRIES ? (size_t)left : LIST_ENTRIES;
		bool more = left > here; /* only then is the link looked at */

		error = read_list_page(space, copy, more ? LIST_ENTRIES + 1 : here, page);
		if (!error)
			error = add_entries(request, copy, here);
		if (!error && more)
			error = copy[LIST_ENTRIES] % IST_PAGE_SIZE ? -EINVAL : 0;
		page = more ? copy[LIST_ENTRIES] / IST_PAGE_SIZE : 0;
		left -= here;
	}
	return error;
}
