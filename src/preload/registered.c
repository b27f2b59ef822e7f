/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "preload/registered.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"
#include "preload/preload.h"

#define BUCKETS 1024u
#define PAGE UINT64_C(4096) /* no host has smaller ones */

struct registered_use {
	struct registered_use *next; /* of its bucket */
	uint64_t context, addr, length;
	uint64_t key; /* inode of the shadow */
	int32_t id;
	unsigned char *gone; /* a byte a page: it was unmapped, and the shadow alone has it. Null: none was */
	int owner; /* the process that registered it */
	int shadow; /* an open file of our own, which holds no lock (tee/handles.h) */
	unsigned uses; /* calls, and one while it is in the table */
};

static struct {
	pthread_mutex_t lock;
	unsigned count;
	struct registered_use *bucket[BUCKETS];
	bool hooked;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void table_before_fork(void)
{
	pthread_mutex_lock(&table.lock);
}

/* A child has all of it: the memory is there, too, and so are the descriptors. */
static void table_after_fork(void)
{
	pthread_mutex_unlock(&table.lock);
}

static struct registered_use **bucket_of(int32_t id)
{
	return &table.bucket[(uint32_t)id % BUCKETS];
}

static void use_put(struct registered_use *use)
{
	if (--use->uses)
		return;
	real()->close(use->shadow);
	free(use->gone);
	free(use);
}

/* Take out and let go of what is no more. Under the lock. */
static void take_out(struct registered_use **link)
{
	struct registered_use *use = *link;

	*link = use->next;
	table.count--;
	use_put(use);
}

/*
 * Nobody has a descriptor of it: then a lock can be had that all of them hold together. It goes with our own open file; the
 * server, who may ask at the same moment, asks again later.
 */
static bool is_let_go(const struct registered_use *use)
{
	if (flock(use->shadow, LOCK_EX | LOCK_NB) != 0)
		return false;
	flock(use->shadow, LOCK_UN);
	return true;
}

void registered_closed(uint64_t key)
{
	if (key == FRONT_UNMAPPED)
		return;
	pthread_mutex_lock(&table.lock);
	for (unsigned i = 0; i < BUCKETS && table.count; i++) {
		struct registered_use **link = &table.bucket[i];

		while (*link) {
			if ((key == 0 || (*link)->key == key) && is_let_go(*link))
				take_out(link);
			else
				link = &(*link)->next;
		}
	}
	pthread_mutex_unlock(&table.lock);
}

/* An id that the server has given out again: what had it before is gone, whoever did not tell. Under the lock. */
static void forget_stale(uint64_t context, int32_t id)
{
	struct registered_use **link = bucket_of(id);

	while (*link) {
		if ((*link)->context == context && (*link)->id == id)
			take_out(link);
		else
			link = &(*link)->next;
	}
}

int registered_add(uint64_t context, const struct ist_tee_ioc_register *data, int fd)
{
	struct registered_use *use = malloc(sizeof(*use));
	struct stat file;
	char path[32];

	if (!use)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &file) != 0) {
		free(use);
		return -errno;
	}
	*use = (struct registered_use){.context = context,
	                               .addr = data->addr,
	                               .length = data->length,
	                               .key = file.st_ino,
	                               .id = data->id,
	                               .owner = platform_pid(),
	                               .uses = 1};
	use->shadow = real()->open(path, O_RDWR | O_CLOEXEC);
	if (use->shadow < 0) {
		free(use);
		return -errno;
	}
	pthread_mutex_lock(&table.lock);
	if (!table.hooked)
		table.hooked = pthread_atfork(table_before_fork, table_after_fork, table_after_fork) == 0;
	forget_stale(context, use->id);
	use->next = *bucket_of(use->id);
	*bucket_of(use->id) = use;
	table.count++;
	pthread_mutex_unlock(&table.lock);
	return 0;
}

static struct registered_use *use_find(uint64_t context, uint64_t id)
{
	struct registered_use *each;

	pthread_mutex_lock(&table.lock);
	for (each = *bucket_of((int32_t)id); each; each = each->next)
		if (each->context == context && (uint64_t)each->id == id)
			break;
	if (each)
		each->uses++;
	pthread_mutex_unlock(&table.lock);
	return each;
}

static bool is_inside(const struct registered_use *use, uint64_t offset, uint64_t size)
{
	return offset <= use->length && size <= use->length - offset;
}

/* All of it, by the kernel, which says so if the memory is not there. */
static int copy_run(const struct registered_use *use, uint64_t offset, uint64_t size, bool in)
{
	while (size) {
		void *at = (void *)(uintptr_t)(use->addr + offset);
		ssize_t done = in ? pwrite(use->shadow, at, size, (off_t)offset)
		                  : pread(use->shadow, at, size, (off_t)offset);

		if (done <= 0)
			return -EFAULT;
		offset += (uint64_t)done;
		size -= (uint64_t)done;
	}
	return 0;
}

/* Where the page behind that of an offset begins. */
static uint64_t next_page(const struct registered_use *use, uint64_t offset)
{
	return ((use->addr + offset) / PAGE + 1) * PAGE - use->addr;
}

static uint64_t page_of(const struct registered_use *use, uint64_t offset)
{
	return (use->addr + offset) / PAGE - use->addr / PAGE;
}

/* Between the memory and its shadow, but for the pages that are gone. */
static int copy_pages(const struct registered_use *use, uint64_t offset, uint64_t size, bool in)
{
	uint64_t end = offset + size;
	int error = 0;

	if (!use->gone)
		return copy_run(use, offset, size, in);
	while (offset < end && !error) {
		uint64_t next = next_page(use, offset);

		if (next > end)
			next = end;
		if (!use->gone[page_of(use, offset)])
			error = copy_run(use, offset, next - offset, in);
		offset = next;
	}
	return error;
}

/* [from, to) of a use, in its bytes. A page that cannot be copied any more is as it was at the last call. */
static void keep_pages(struct registered_use *use, uint64_t from, uint64_t to, bool gone)
{
	if (!use->gone)
		use->gone = calloc(page_of(use, use->length - 1) + 1, 1);
	for (uint64_t next; from < to && use->gone; from = next) {
		unsigned char *is_gone = &use->gone[page_of(use, from)];

		next = next_page(use, from) < to ? next_page(use, from) : to;
		if (gone)
			*is_gone = 1;
		else if (!*is_gone && use->owner == platform_pid()) /* not a child's copy */
			copy_run(use, from, next - from, true);
	}
}

void registered_unmapping(uint64_t addr, uint64_t bytes, bool gone)
{
	uint64_t last = (addr + (bytes - 1)) | (PAGE - 1);

	if (!bytes || last < addr || addr % PAGE)
		return;
	pthread_mutex_lock(&table.lock);
	for (unsigned i = 0; i < BUCKETS && table.count; i++) {
		for (struct registered_use *use = table.bucket[i]; use; use = use->next) {
			uint64_t from = addr > use->addr ? addr - use->addr : 0;
			uint64_t to =
			        last >= use->addr + (use->length - 1) ? use->length : last + 1 - use->addr;

			if (last >= use->addr && addr <= use->addr + (use->length - 1))
				keep_pages(use, from, to, gone);
		}
	}
	pthread_mutex_unlock(&table.lock);
}

int registered_copy_in(uint64_t context, const struct ist_tee_ioc_param *param, unsigned count,
                       struct registered_use **uses)
{
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		if (param[i].attr < IST_TEE_PARAM_MEMREF_IN || param[i].attr > IST_TEE_PARAM_MEMREF_INOUT)
			continue;
		uses[i] = use_find(context, param[i].c);
		/* What is not inside the server refuses. What goes out is copied too: not all of it need be written. */
		if (uses[i] && is_inside(uses[i], param[i].a, param[i].b))
			error = copy_pages(uses[i], param[i].a, param[i].b, true);
	}
	return error;
}

int registered_copy_out(const struct ist_tee_ioc_param *param, unsigned count, struct registered_use **uses,
                        const void *answered)
{
	struct ist_tee_ioc_param now;
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		if (!uses[i] || param[i].attr == IST_TEE_PARAM_MEMREF_IN ||
		    !is_inside(uses[i], param[i].a, param[i].b))
			continue;
		memcpy(&now, (const char *)answered + i * sizeof(now), sizeof(now));
		error = copy_pages(uses[i], param[i].a, now.b < param[i].b ? now.b : param[i].b, false);
	}
	return error;
}

void registered_end(unsigned count, struct registered_use **uses)
{
	pthread_mutex_lock(&table.lock);
	for (unsigned i = 0; i < count; i++)
		if (uses[i])
			use_put(uses[i]);
	pthread_mutex_unlock(&table.lock);
}
