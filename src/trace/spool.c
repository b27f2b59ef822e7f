/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A thread has a chunk of its own, which no other writes to: no lock, and one addition to a line that threads share, for the number.
 * A chunk that is full is left, and the next made: four system calls for a thousand records. No descriptor stays open, so a
 * program that closes all of them takes nothing away.
 */
#include "trace/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *folder;
static uint64_t process;
static _Atomic uint64_t numbers, chunks;
static _Atomic bool told; /* that something is lost */
static pthread_key_t key;
static bool has_key;

static _Thread_local struct {
	struct spool_chunk *chunk;
	uint32_t thread;
	uint32_t depth; /* hooks that are at work, one having interrupted the other */
} mine;

static void drop(void *chunk)
{
	mine.chunk = NULL; /* destructors of others may still record something */
	munmap(chunk, sizeof(struct spool_chunk));
}

static void begin_process(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	process = (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
	atomic_store_explicit(&numbers, 0, memory_order_relaxed);
	atomic_store_explicit(&chunks, 0, memory_order_relaxed);
}

/* The child has none of the parent's chunks (MADV_DONTFORK), and begins anew. */
static void after_fork_in_child(void)
{
	mine.chunk = NULL;
	mine.thread = 0;
	mine.depth = 0;
	if (has_key)
		pthread_setspecific(key, NULL);
	begin_process();
}

static __attribute__((constructor)) void begin(void)
{
	folder = getenv(SPOOL_FOLDER);
	begin_process();
	has_key = pthread_key_create(&key, drop) == 0;
	pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* Once, on stderr: the program's own errno and output are its own. */
static void tell(const char *path)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "isthmus-trace: what process %d does is lost: %s: %s\n",
	                      (int)getpid(), path, strerror(errno));

	if (!atomic_exchange_explicit(&told, true, memory_order_relaxed) && length > 0 &&
	    write(STDERR_FILENO, text, (size_t)length) < 0)
		return;
}

/* The file is filled first, so that no store into it is killed for want of room. */
static struct spool_chunk *map_chunk(const char *path)
{
	static const char zeroes[sizeof(struct spool_chunk)];
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	void *chunk = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (pwrite(fd, zeroes, sizeof(zeroes), 0) == (ssize_t)sizeof(zeroes))
		chunk = mmap(NULL, sizeof(zeroes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (chunk == MAP_FAILED)
		return NULL;
	madvise(chunk, sizeof(zeroes), MADV_DONTFORK);
	return chunk;
}

static struct spool_chunk *make_chunk(void)
{
	uint64_t number = atomic_fetch_add_explicit(&chunks, 1, memory_order_relaxed);
	struct spool_chunk *chunk;
	char path[4096];
	int pid = (int)getpid();

	if (!folder)
		return NULL;
	snprintf(path, sizeof(path), "%s/%d-%llx-%llu", folder, pid, (unsigned long long)process,
	         (unsigned long long)number);
	chunk = map_chunk(path);
	if (!chunk) {
		tell(path);
		return NULL;
	}
	chunk->process = process;
	chunk->pid = pid;
	chunk->magic = SPOOL_MAGIC;
	return chunk;
}

/* A place in this thread's chunk; null: it is lost. */
static struct spool_record *take_slot(void)
{
	struct spool_chunk *chunk = mine.chunk, *old = chunk;
	uint32_t slot = SPOOL_RECORDS;

	if (chunk)
		slot = atomic_fetch_add_explicit(&chunk->used, 1, memory_order_relaxed);
	if (slot < SPOOL_RECORDS)
		return &chunk->records[slot];
	chunk = make_chunk();
	if (!chunk) {
		if (old) /* not to come round */
			atomic_store_explicit(&old->used, SPOOL_RECORDS, memory_order_relaxed);
		return NULL;
	}
	atomic_store_explicit(&chunk->used, 1, memory_order_relaxed);
	mine.chunk = chunk;
	if (has_key)
		pthread_setspecific(key, chunk);
	/* Who was interrupted may be writing to the old one. */
	if (old && mine.depth == 1)
		munmap(old, sizeof(*old));
	return &chunk->records[0];
}

uint64_t spool_number(void)
{
	/* Relaxed: what one thread tells another goes through the allocator or the program, and the counter's own order follows that. */
	return atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
}

void spool_add(const struct spool_record *record, uint64_t number)
{
	struct spool_record *slot;
	int error = errno;

	mine.depth++;
	slot = take_slot();
	if (slot) {
		if (mine.thread == 0)
			mine.thread = (uint32_t)syscall(SYS_gettid);
		slot->place = record->place;
		slot->size = record->size;
		slot->offset = record->offset;
		slot->manager = record->manager;
		slot->owner = record->owner;
		slot->op = record->op;
		slot->thread = mine.thread;
		slot->cpu = (uint16_t)sched_getcpu();
		slot->align = record->align;
		atomic_store_explicit(&slot->number, number, memory_order_release); /* [trace.T1] */
	}
	mine.depth--;
	errno = error;
}
