/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Buffers that are made before somebody wants them. Lock: held for a few instructions. */
#include "teed/shelf.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tee/remote.h"

static struct {
	pthread_mutex_t lock;
	unsigned count;
	struct ready ready[SHELF_MOST]; /* the oldest first */
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static struct ready remove_at(unsigned at)
{
	struct ready taken = shelf.ready[at];

	shelf.count--;
	for (; at < shelf.count; at++)
		shelf.ready[at] = shelf.ready[at + 1];
	return taken;
}

static bool is_right(const struct ready *ready, const struct ist_manager *manager, size_t size)
{
	return ready->manager == manager && ready->memory.view.size == size;
}

static size_t whole_pages(uint64_t size)
{
	return (size_t)((size + IST_PAGE_SIZE - 1) / IST_PAGE_SIZE * IST_PAGE_SIZE);
}

bool shelf_take(const struct ist_manager *manager, uint64_t size, struct ready *out)
{
	bool found = false;

	if (size == 0 || size > SHELF_SIZE_MOST)
		return false;
	pthread_mutex_lock(&shelf.lock);
	for (unsigned i = 0; i < shelf.count && !found; i++) {
		found = is_right(&shelf.ready[i], manager, whole_pages(size));
		if (found)
			*out = remove_at(i);
	}
	pthread_mutex_unlock(&shelf.lock);
	return found;
}

void shelf_put(const struct ready *ready)
{
	struct ready oldest;
	bool is_full;

	pthread_mutex_lock(&shelf.lock);
	is_full = shelf.count == SHELF_MOST;
	if (is_full)
		oldest = remove_at(0);
	shelf.ready[shelf.count++] = *ready;
	pthread_mutex_unlock(&shelf.lock);
	if (is_full)
		ready_drop(&oldest);
}

void shelf_fill(struct ist_manager *manager, uint64_t size)
{
	struct ready ready;

	if (size == 0 || size > SHELF_SIZE_MOST || ready_make(manager, whole_pages(size), &ready) != 0)
		return;
	fchmod(ready.fd, REMOTE_MODE_MAP);
	shelf_put(&ready);
}

bool shelf_empty(void)
{
	struct ready ready;
	bool any = false, more = true;

	while (more) {
		pthread_mutex_lock(&shelf.lock);
		more = shelf.count > 0;
		if (more)
			ready = remove_at(0);
		pthread_mutex_unlock(&shelf.lock);
		if (more)
			ready_drop(&ready);
		any |= more;
	}
	return any;
}
