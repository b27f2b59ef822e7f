/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The calls that are taken from the C library. Which descriptors are ours is asked of the front, by the file they lead
 * to: duplicates, inherited and received ones are known without a book of our own, and dup, fcntl, fork and poll need no hook.
 */
#undef _FILE_OFFSET_BITS /* or open would be a name for open64: here both are defined */
#include "preload/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HOOK __attribute__((visibility("default")))
#define TEE_MAGIC 0xa4u

static struct real real_calls;
static const struct front *the_front;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Until something of ours is there nobody need look. */
static _Atomic bool in_use;

static void resolve(void)
{
	/* A cast between pointers to data and to code is what dlsym is about. */
	*(void **)&real_calls.open = dlsym(RTLD_NEXT, "open64");
	*(void **)&real_calls.openat = dlsym(RTLD_NEXT, "openat64");
	*(void **)&real_calls.fopen = dlsym(RTLD_NEXT, "fopen64");
	*(void **)&real_calls.freopen = dlsym(RTLD_NEXT, "freopen64");
	*(void **)&real_calls.ioctl = dlsym(RTLD_NEXT, "ioctl");
	*(void **)&real_calls.mmap = dlsym(RTLD_NEXT, "mmap64");
	*(void **)&real_calls.munmap = dlsym(RTLD_NEXT, "munmap");
	*(void **)&real_calls.close = dlsym(RTLD_NEXT, "close");
	*(void **)&real_calls.dup2 = dlsym(RTLD_NEXT, "dup2");
	*(void **)&real_calls.dup3 = dlsym(RTLD_NEXT, "dup3");
	*(void **)&real_calls.close_range = dlsym(RTLD_NEXT, "close_range");
	the_front = getenv("ISTHMUS_TEE_SERVER") ? &remote_front : &local_front;
	if (the_front == &remote_front) /* descriptors may have come with exec */
		atomic_store_explicit(&in_use, true, memory_order_relaxed);
}

const struct real *real(void)
{
	pthread_once(&once, resolve);
	return &real_calls;
}

const struct front *front(void)
{
	pthread_once(&once, resolve);
	return the_front;
}

static int as_errno(long answer)
{
	if (answer >= 0)
		return (int)answer;
	errno = (int)-answer;
	return -1;
}

/* O_CREAT and O_EXCL ask for what is not there; O_DIRECTORY for what it is not. */
static int open_device(int device, int flags)
{
	if (device == NAME_BEHIND)
		return as_errno(-ENOTDIR);
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return as_errno(-EEXIST);
	if (flags & O_DIRECTORY)
		return as_errno(-ENOTDIR);
	atomic_store_explicit(
	        &in_use, true,
	        memory_order_relaxed); /* a hint: whoever has a descriptor of ours has seen it */
	return as_errno(front()->open((unsigned)device, flags));
}

static mode_t mode_of(int flags, va_list list)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}

HOOK int open(const char *path, int flags, ...)
{
	int device = device_named(AT_FDCWD, path);
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	return device != NAME_OTHER ? open_device(device, flags) : real()->open(path, flags, mode);
}

HOOK int openat(int folder, const char *path, int flags, ...)
{
	int device = device_named(folder, path);
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	return device != NAME_OTHER ? open_device(device, flags) : real()->openat(folder, path, flags, mode);
}

/* Offsets have 64 bits, whatever the name. */
HOOK int open64(const char *path, int flags, ...) __attribute__((alias("open")));
HOOK int openat64(int folder, const char *path, int flags, ...) __attribute__((alias("openat")));

/* What open and openat become where the compiler looks out for misuse; never with O_CREAT. */
HOOK int __open_2(const char *path, int flags);
HOOK int __open64_2(const char *path, int flags);
HOOK int __openat_2(int folder, const char *path, int flags);
HOOK int __openat64_2(int folder, const char *path, int flags);

int __open_2(const char *path, int flags)
{
	int device = device_named(AT_FDCWD, path);

	return device != NAME_OTHER ? open_device(device, flags) : real()->open(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return __open_2(path, flags);
}

int __openat_2(int folder, const char *path, int flags)
{
	int device = device_named(folder, path);

	return device != NAME_OTHER ? open_device(device, flags) : real()->openat(folder, path, flags, 0);
}

int __openat64_2(int folder, const char *path, int flags)
{
	return __openat_2(folder, path, flags);
}

/* What fopen's mode asks of open. */
static int flags_of(const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;

	if (strchr(mode, 'e'))
		flags |= O_CLOEXEC;
	return mode[0] == 'r' ? flags : flags | O_CREAT | (strchr(mode, 'x') ? O_EXCL : 0);
}

HOOK FILE *fopen(const char *path, const char *mode)
{
	int device = device_named(AT_FDCWD, path), fd;
	FILE *file;

	if (device == NAME_OTHER)
		return real()->fopen(path, mode);
	fd = open_device(device, flags_of(mode));
	file = fd >= 0 ? fdopen(fd, mode) : NULL;
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

HOOK FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

/*
 * The stream leads to something else for a moment, and then by the same descriptor to the device. What it led to before, if that was
 * ours, is gone either way. A null path asks for another mode of what it leads to: of ours, for another reading of what cannot be read.
 */
HOOK FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	int device = device_named(AT_FDCWD, path), fd;
	bool had_ours;
	struct found found;
	FILE *file;

	had_ours = path && fd_find(fileno(stream), &found);
	fd = device != NAME_OTHER ? open_device(device, flags_of(mode)) : -1;
	if (device != NAME_OTHER && fd < 0) {
		int error = errno;

		fclose(stream); /* as it is where the other file cannot be opened */
		if (had_ours)
			front()->closed(found.key);
		errno = error;
		return NULL;
	}
	file = real()->freopen(device != NAME_OTHER ? "/dev/null" : path, mode, stream);
	if (fd >= 0) {
		if (file && dup3(fd, fileno(file), strchr(mode, 'e') ? O_CLOEXEC : 0) < 0) {
			fclose(file);
			file = NULL;
		}
		close(fd);
	}
	if (had_ours)
		front()->closed(found.key);
	return file;
}

HOOK FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
	return freopen(path, mode, stream);
}

HOOK int creat(const char *path, mode_t mode)
{
	return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

HOOK int creat64(const char *path, mode_t mode)
{
	return creat(path, mode);
}

bool fd_may_be_ours(int fd)
{
	return fd >= 0 && atomic_load_explicit(&in_use, memory_order_relaxed);
}

bool fd_find(int fd, struct found *out)
{
	int before = errno;
	bool is_ours = fd_may_be_ours(fd) && front()->find(fd, out) == 0;

	errno = before;
	return is_ours;
}

HOOK int ioctl(int fd, unsigned long command, ...)
{
	struct found found;
	va_list list;
	void *arg;
	long answer = -ENOTTY;
	int result;

	va_start(list, command);
	arg = va_arg(list, void *);
	va_end(list);
	if ((command >> 8 & 0xff) == TEE_MAGIC)
		answer = front()->ioctl(fd, command, arg);
	if (answer != -ENOTTY)
		return as_errno(answer);
	result = real()->ioctl(fd, command, arg);
	if (result < 0 && errno == ENOTTY && fd_find(fd, &found))
		errno = EINVAL;
	return result;
}

/* 0, or why it cannot be mapped. */
static int check_map(const struct found *found, size_t bytes, off_t offset)
{
	if (found->is_context)
		return ENODEV;
	if (!found->can_map || offset < 0 || (size_t)offset > found->size ||
	    bytes > found->size - (size_t)offset)
		return EINVAL;
	return 0;
}

static void unmapping(void *where, size_t bytes, bool gone)
{
	int before = errno;

	if (atomic_load_explicit(&in_use, memory_order_relaxed) && front()->unmapping)
		front()->unmapping((uintptr_t)where, bytes, gone);
	errno = before;
}

static void *map(void *where, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	struct found found;
	int error = 0;
	void *at;

	if (!(flags & MAP_ANONYMOUS) && fd_find(fd, &found))
		error = check_map(&found, bytes, offset);
	if (error) {
		errno = error;
		return MAP_FAILED;
	}
	if (!(flags & MAP_FIXED))
		return real()->mmap(where, bytes, protection, flags, fd, offset);
	unmapping(where, bytes, false);
	at = real()->mmap(where, bytes, protection, flags, fd, offset);
	if (at != MAP_FAILED)
		unmapping(where, bytes, true);
	return at;
}

HOOK void *mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return map(where, bytes, protection, flags, fd, offset);
}

HOOK void *mmap64(void *where, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return map(where, bytes, protection, flags, fd, offset);
}

static void tell(uint64_t key)
{
	int before = errno;

	front()->closed(key);
	errno = before;
}

HOOK int munmap(void *where, size_t bytes)
{
	int result;

	unmapping(where, bytes, false);
	result = real()->munmap(where, bytes);
	if (result == 0)
		unmapping(where, bytes, true);
	if (result == 0 && atomic_load_explicit(&in_use, memory_order_relaxed))
		tell(FRONT_UNMAPPED);
	return result;
}

HOOK int close(int fd)
{
	struct found found;
	bool is_ours = fd_find(fd, &found);
	int result = real()->close(fd);

	if (is_ours)
		tell(found.key);
	return result;
}

HOOK int dup2(int from, int to)
{
	struct found found;
	bool is_ours = from != to && fd_find(to, &found);
	int result = real()->dup2(from, to);

	if (is_ours && result >= 0)
		tell(found.key);
	return result;
}

HOOK int dup3(int from, int to, int flags)
{
	struct found found;
	bool is_ours = from != to && fd_find(to, &found);
	int result = real()->dup3(from, to, flags);

	if (is_ours && result >= 0)
		tell(found.key);
	return result;
}

HOOK int close_range(unsigned first, unsigned last, int flags)
{
	int result = -1;

	errno = ENOSYS;
	if (real()->close_range)
		result = real()->close_range(first, last, flags);
	if (result == 0 && atomic_load_explicit(&in_use, memory_order_relaxed))
		tell(0);
	return result;
}

HOOK void closefrom(int first)
{
	if (close_range(first < 0 ? 0 : (unsigned)first, ~0u, 0) == 0)
		return;
	for (int fd = first < 0 ? 0 : first; fd < sysconf(_SC_OPEN_MAX); fd++)
		real()->close(fd);
	tell(0);
}

/* What this library itself calls, and what it is made of: straight to the C library (the linker's --wrap). */
int __wrap_close(int fd);
int __wrap_munmap(void *where, size_t bytes);
void *__wrap_mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap64(void *where, size_t bytes, int protection, int flags, int fd, off_t offset);

int __wrap_close(int fd)
{
	return real()->close(fd);
}

int __wrap_munmap(void *where, size_t bytes)
{
	return real()->munmap(where, bytes);
}

void *__wrap_mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return real()->mmap(where, bytes, protection, flags, fd, offset);
}

void *__wrap_mmap64(void *where, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return real()->mmap(where, bytes, protection, flags, fd, offset);
}
