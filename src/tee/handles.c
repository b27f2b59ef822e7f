/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee/handles.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/fork.h"

#define BUCKETS_MIN 64u

static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* one of the batches */
	struct handles_batch *batches;
	uint64_t numbers;
	struct handle **bucket;
	size_t buckets, count;
	struct handle *lingering;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void handles_before_fork(void)
{
	pthread_mutex_lock(&table.lock);
}

static void handles_after_fork(void)
{
	pthread_mutex_unlock(&table.lock);
}

/*
 * The parent's things stay the parent's: the child forgets them. Its copies of the keepers it closes: they would hold files
 * of things that the parent lets go of.
 */
static void handles_in_child(void)
{
	for (size_t i = 0; i < table.buckets; i++) {
		for (struct handle *each = table.bucket[i]; each; each = each->next)
			close(each->keeper);
		table.bucket[i] = NULL;
	}
	table.count = 0;
	table.lingering = NULL;
	table.batches = NULL; /* of threads that are not here */
	pthread_cond_init(&table.ended, NULL);
	pthread_mutex_unlock(&table.lock);
}

static size_t bucket_at(uint64_t key, size_t buckets)
{
	return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (buckets - 1);
}

static bool table_grow(void)
{
	size_t buckets = table.buckets ? table.buckets * 2 : BUCKETS_MIN;
	struct handle **grown = calloc(buckets, sizeof(struct handle *)), *each;

	if (!grown)
		return table.buckets != 0; /* longer chains, then */
	for (size_t i = 0; i < table.buckets; i++) {
		while ((each = table.bucket[i])) {
			size_t at = bucket_at(each->key, buckets);

			table.bucket[i] = each->next;
			each->next = grown[at];
			grown[at] = each;
		}
	}
	free(table.bucket);
	table.bucket = grown;
	table.buckets = buckets;
	return true;
}

static int table_insert(struct handle *handle)
{
	static const struct fork_hook hook = {handles_before_fork, handles_after_fork, handles_in_child};
	bool room;

	if (fork_hook_add(FORK_HANDLES, &hook))
		return -ENOMEM;
	pthread_mutex_lock(&table.lock);
	room = table.count < table.buckets || table_grow();
	if (room) {
		struct handle **bucket = &table.bucket[bucket_at(handle->key, table.buckets)];

		handle->next = *bucket;
		*bucket = handle;
		table.count++;
	}
	pthread_mutex_unlock(&table.lock);
	return room ? 0 : -ENOMEM;
}

int handles_file(void)
{
	int fd = memfd_create("tee", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

/* An open file of its own of what the keeper leads to, with a shared lock. */
static int open_again(int keeper)
{
	char path[32];
	int fd, error;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", keeper);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int handles_open(struct handle *handle, int keeper)
{
	struct stat file;
	int fd;

	if (fstat(keeper, &file) != 0)
		return -errno;
	fd = open_again(keeper);
	if (fd < 0)
		return fd;
	handle->key = file.st_ino;
	handle->device = file.st_dev;
	return fd;
}

int handles_enter(struct handle *handle, int keeper)
{
	int error;

	handle->keeper = keeper;
	error = table_insert(handle);
	if (error)
		handle->key = 0;
	return error;
}

int handles_begin(struct handle *handle, int keeper)
{
	int error, fd = handles_open(handle, keeper);

	if (fd < 0)
		return fd;
	error = handles_enter(handle, keeper);
	if (error)
		close(fd);
	return error ? error : fd;
}

static struct handle **table_find(uint64_t key)
{
	struct handle **link;

	if (!table.count)
		return NULL;
	for (link = &table.bucket[bucket_at(key, table.buckets)]; *link; link = &(*link)->next)
		if ((*link)->key == key)
			return link;
	return NULL;
}

struct handle *handles_find(int fd, uint64_t *key)
{
	struct handle **link, *found = NULL;
	struct stat file;

	if (fstat(fd, &file) != 0)
		return NULL;
	pthread_mutex_lock(&table.lock);
	link = table_find(file.st_ino);
	if (link && (*link)->device == file.st_dev && (*link)->keep(*link))
		found = *link;
	if (found && key)
		*key = found->key; /* here: when its last descriptor is closed it has none, and that is told by the kernel alone */
	pthread_mutex_unlock(&table.lock);
	return found;
}

/*
 * Whether nobody has it but us. A program that closed all descriptors there are has closed the keeper too, and its number may
 * lead elsewhere by now: then ours are gone as well, but the number is not ours to close.
 */
static bool is_let_go(struct handle *handle)
{
	struct stat file;

	bool is_told = fstat(handle->keeper, &file) == 0;

	if (!is_told && errno != EBADF)
		return false; /* the kernel does not say: at the next look */
	if (!is_told || file.st_ino != handle->key || file.st_dev != handle->device) {
		handle->keeper = -1;
		return true;
	}
	return flock(handle->keeper, LOCK_EX | LOCK_NB) == 0;
}

static void linger(struct handle *handle)
{
	if (handle->link)
		return;
	handle->lingering = table.lingering;
	handle->link = &table.lingering;
	if (handle->lingering)
		handle->lingering->link = &handle->lingering;
	table.lingering = handle;
}

static void linger_no_more(struct handle *handle)
{
	if (!handle->link)
		return;
	*handle->link = handle->lingering;
	if (handle->lingering)
		handle->lingering->link = handle->link;
	handle->link = NULL;
}

/* The one at *link, if it is let go of: out of the table, onto a list. */
static bool take_out(struct handle **link, struct handle **gone)
{
	struct handle *handle = *link;

	if (!is_let_go(handle))
		return false;
	*link = handle->next;
	table.count--;
	linger_no_more(handle);
	handle->next = *gone;
	*gone = handle;
	return true;
}

static void reap_one(uint64_t key, struct handle **gone)
{
	struct handle **link = table_find(key);

	if (link && !take_out(link, gone))
		linger(*link);
}

static void reap_lingering(struct handle **gone)
{
	struct handle *next;

	for (struct handle *each = table.lingering; each; each = next) {
		next = each->lingering;
		take_out(table_find(each->key), gone);
	}
}

static void reap_all(struct handle **gone)
{
	for (size_t i = 0; i < table.buckets && table.count; i++)
		for (struct handle **link = &table.bucket[i]; *link;)
			if (!take_out(link, gone))
				link = &(*link)->next;
}

/* Those that are quick, or those that are not. How many there were. */
static unsigned let_go(struct handle **gone, bool quick)
{
	unsigned count = 0;

	while (*gone) {
		struct handle *each = *gone;

		if (each->is_quick != quick) {
			gone = &each->next;
			continue;
		}
		*gone = each->next;
		each->key = 0;
		each->gone(each);
		count++;
	}
	return count;
}

/* Under the lock. */
static void batch_begin(struct handles_batch *batch)
{
	batch->number = ++table.numbers;
	batch->next = table.batches;
	table.batches = batch;
}

void handles_sending(struct handles_batch *batch)
{
	pthread_mutex_lock(&table.lock);
	batch_begin(batch);
	pthread_mutex_unlock(&table.lock);
}

void handles_sent(struct handles_batch *batch)
{
	struct handles_batch **link = &table.batches;

	pthread_mutex_lock(&table.lock);
	while (*link && *link != batch)
		link = &(*link)->next;
	if (*link)
		*link = batch->next;
	pthread_cond_broadcast(&table.ended);
	pthread_mutex_unlock(&table.lock);
}

unsigned handles_reap(uint64_t key)
{
	struct handles_batch batch = {.gone = NULL};
	unsigned count;

	pthread_mutex_lock(&table.lock);
	if (key == 0)
		reap_all(&batch.gone);
	else if (key == UINT64_MAX)
		reap_lingering(&batch.gone);
	else
		reap_one(key, &batch.gone);
	if (batch.gone)
		batch_begin(&batch);
	pthread_mutex_unlock(&table.lock);
	if (!batch.gone)
		return 0;
	count = let_go(&batch.gone, true);
	handles_sent(&batch);
	return count + let_go(&batch.gone, false);
}

static bool has_batch(uint64_t most)
{
	for (const struct handles_batch *each = table.batches; each; each = each->next)
		if (each->number <= most)
			return true;
	return false;
}

void handles_settle(void)
{
	uint64_t most;

	pthread_mutex_lock(&table.lock);
	most = table.numbers;
	while (has_batch(most))
		pthread_cond_wait(&table.ended, &table.lock);
	pthread_mutex_unlock(&table.lock);
}
