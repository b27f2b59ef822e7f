/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * OP-TEE's list of pages, as it lies in shared memory. The other side may write there while we read: a page is
 * copied into a buffer of our own, and everything that is decided is decided about the buffer [space.S5]. The system copies:
 * a page that is not there (a file that was truncated) is an error, and one that comes late holds up nobody else.
 */
#include "mapping/wire.h"

#include <errno.h>
#include <pthread.h>

#include "base/probe.h"
#include "mapping/life.h"
#include "mapping/pages.h"
#include "platform/platform.h"

#define LIST_ENTRIES                                                                                         \
	511u /* page addresses in a list page; the word behind them is the address of the next one */

/* Where a list page lies: in memory, or (from null) in a file. */
struct source {
	const void *from;
	int fd;
	uint64_t position;
	struct backing
	        *backing; /* stays, with its file or memory, until it is unpinned; null: the carve-out */
};

/* In a read section. */
static int find_in_backing(struct space *space, uint64_t page, struct source *out)
{
	struct backing *backing = space_find_backing(space, page);
	uint64_t into;

	if (!backing || (backing->attributes & IST_DEVICE) || !backing_pin(backing))
		return -ENXIO;
	into = (page - backing->page) * IST_PAGE_SIZE;
	if (backing->fd < 0)
		out->from = backing->view + into;
	out->fd = backing->fd;
	out->position = backing->offset + into;
	out->backing = backing;
	return 0;
}

static int find_source(struct space *space, uint64_t page, struct source *out)
{
	uint64_t offset = page * IST_PAGE_SIZE - space->carve_out->paddr;
	int error;

	*out = (struct source){.fd = -1};
	if (offset < space->carve_out->size) {
		out->from = (const char *)space->carve_out->vaddr + offset;
		return 0;
	}
	rcu_enter();
	error = space_is_protected(space, page, 1) ? -ENXIO : find_in_backing(space, page, out);
	rcu_leave();
	return error;
}

/* A file that is only to be mapped. */
static int copy_mapped(void *to, size_t bytes, const struct source *source)
{
	size_t host = platform_page_size(), lead = (size_t)(source->position % host);
	char *mapped = platform_map_file(host, source->fd, source->position - lead, false);
	int error = mapped ? platform_copy(to, mapped + lead, bytes) : -errno;

	platform_release(mapped, host);
	return error;
}

/* Without the lock: whoever serves the page takes his time, or never comes. */
static int copy_from(void *to, size_t bytes, const struct source *source)
{
	if (source->from)
		return platform_copy(to, source->from, bytes);
	if (platform_read_file(to, bytes, source->fd, source->position) == 0)
		return 0;
	return copy_mapped(to, bytes, source);
}

static int read_list_page(struct space *space, uint64_t *to, size_t count, uint64_t page)
{
	struct source source;
	int before, error;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* or the backing would be pinned for ever */
	error = find_source(space, page, &source);
	if (!error) {
		error = copy_from(to, count * sizeof(*to), &source);
		if (source.backing)
			backing_unpin(source.backing);
	}
	pthread_setcancelstate(before, &before);
	return error;
}

/* Under his lock. */
static int check_quota(struct space *space, struct owner *owner, uint64_t needed)
{
	const struct ist_owner_config *quota = &owner->config;
	int error = 0;

	if (needed > space->window.size / IST_PAGE_SIZE)
		error = -ENOSPC;
	if (!error && ((quota->max_buffer_pages && needed > quota->max_buffer_pages) ||
	               (quota->max_pages && needed > quota->max_pages))) {
		owner->refused++;
		error = -EDQUOT;
	}
	return error;
}

/* Under the lock, which opens the window if need be. */
static int check_length_inside(struct space *space, uint32_t id, uint64_t needed)
{
	int error = space_use(space);
	struct owner *owner = owner_find(&space->owners, id);

	if (error)
		return error;
	if (!owner)
		return -ENOENT;
	pthread_mutex_lock(&owner->lock);
	error = check_quota(space, owner, needed);
	pthread_mutex_unlock(&owner->lock);
	return error;
}

/* Before anything is read: what cannot be registered in the end must not cost a walk through an endless list. */
static int check_length(struct space *space, const struct request *request, uint64_t needed)
{
	struct owner *owner = space_is_used(space) ? space_enter_owner(space, request->owner) : NULL;
	int error;

	if (owner) {
		error = check_quota(space, owner, needed);
		space_leave_owner(owner);
	} else {
		error = space_enter(space);
		if (error)
			return error;
		error = check_length_inside(space, request->owner, needed);
		space_leave(space);
	}
	if (error) {
		atomic_fetch_add_explicit(&space->refused, 1, memory_order_relaxed);
		PROBE(registration_refused, error);
	}
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
	if (rcu_inside())
		return -EDEADLK;
	error = check_length(space, request, left);
	while (!error && left > 0) {
		size_t here = left < LIST_ENTRIES ? (size_t)left : LIST_ENTRIES;
		bool more = left > here; /* only then is the link looked at */

		error = read_list_page(space, copy, more ? LIST_ENTRIES + 1 : here, page);
		if (!error)
			error = pages_copy(&request->list, copy, here);
		if (!error && more)
			error = copy[LIST_ENTRIES] % IST_PAGE_SIZE ? -EINVAL : 0;
		page = more ? copy[LIST_ENTRIES] / IST_PAGE_SIZE : 0;
		left -= here;
	}
	return error;
}
