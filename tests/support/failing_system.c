/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/failing_system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static _Atomic unsigned countdown, calls;
static _Atomic bool stays_broken, no_membarrier;
static const char *_Atomic last;

void system_fail(unsigned nth, bool for_good)
{
	atomic_store_explicit(&last, NULL, memory_order_relaxed);
	atomic_store_explicit(&calls, 0, memory_order_relaxed);
	atomic_store_explicit(&stays_broken, for_good, memory_order_relaxed);
	atomic_store_explicit(&countdown, nth, memory_order_relaxed);
}

const char *system_failed(void)
{
	return atomic_load_explicit(&last, memory_order_relaxed);
}

unsigned system_calls(void)
{
	return atomic_load_explicit(&calls, memory_order_relaxed);
}

void system_refuse_membarrier(void)
{
	atomic_store_explicit(&no_membarrier, true, memory_order_relaxed);
}

/* Whether this call is to fail, then with `error` in errno. By any thread. */
static bool fails(const char *name, int error)
{
	unsigned left = atomic_load_explicit(&countdown, memory_order_relaxed);
	bool for_good = atomic_load_explicit(&stays_broken, memory_order_relaxed);

	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
	do {
		if (left == 0)
			return false;
		if (left == 1 && for_good)
			break;
	} while (!atomic_compare_exchange_weak_explicit(&countdown, &left, left - 1, memory_order_relaxed,
	                                                memory_order_relaxed));
	if (left != 1)
		return false;
	atomic_store_explicit(&last, name, memory_order_relaxed);
	errno = error;
	return true;
}

#define WRAP(type, name, declared, passed, error, failure)                                                   \
	type __real_##name declared;                                                                         \
	type __wrap_##name declared;                                                                         \
	type __wrap_##name declared                                                                          \
	{                                                                                                    \
		return fails(#name, error) ? failure : __real_##name passed;                                 \
	}

WRAP(void *, malloc, (size_t size), (size), ENOMEM, NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), ENOMEM, NULL)
WRAP(void *, realloc, (void *old, size_t size), (old, size), ENOMEM, NULL)
WRAP(int, posix_memalign, (void **out, size_t align, size_t size), (out, align, size), ENOMEM, ENOMEM)
WRAP(void *, mmap64, (void *at, size_t bytes, int rights, int flags, int fd, off_t offset),
     (at, bytes, rights, flags, fd, offset), ENOMEM, MAP_FAILED)
WRAP(void *, mmap, (void *at, size_t bytes, int rights, int flags, int fd, off_t offset),
     (at, bytes, rights, flags, fd, offset), ENOMEM, MAP_FAILED)
WRAP(int, mprotect, (void *at, size_t bytes, int rights), (at, bytes, rights), ENOMEM, -1)
WRAP(int, madvise, (void *at, size_t bytes, int advice), (at, bytes, advice), EINVAL, -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE, -1)
WRAP(int, ftruncate64, (int fd, off_t bytes), (fd, bytes), EFBIG, -1)
WRAP(int, fstat64, (int fd, struct stat *out), (fd, out), EIO, -1)
WRAP(int, fstatfs64, (int fd, struct statfs *out), (fd, out), EIO, -1)
WRAP(int, pipe2, (int *fds, int flags), (fds, flags), EMFILE, -1)
WRAP(ssize_t, pread64, (int fd, void *to, size_t bytes, off_t at), (fd, to, bytes, at), EIO, -1)
WRAP(ssize_t, getrandom, (void *to, size_t bytes, unsigned flags), (to, bytes, flags), ENOSYS, -1)
WRAP(FILE *, fopen64, (const char *path, const char *mode), (path, mode), EMFILE, NULL)
WRAP(ssize_t, process_vm_readv,
     (pid_t pid, const struct iovec *to, unsigned long tos, const struct iovec *from, unsigned long froms,
      unsigned long flags),
     (pid, to, tos, from, froms, flags), ENOSYS, -1)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *of),
     (thread, attributes, run, of), EAGAIN, EAGAIN)

void *__real_mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...);
void *__wrap_mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...);
void *__wrap_mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...)
{
	va_list more;
	void *at = NULL;

	va_start(more, flags);
	if (flags & MREMAP_FIXED)
		at = va_arg(more, void *);
	va_end(more);
	return fails("mremap", ENOMEM) ? MAP_FAILED : __real_mremap(old, old_bytes, bytes, flags, at);
}

/* Descriptors are duplicated by it, and files are sealed; all commands that the library knows have one number or none. */
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list more;
	long argument;

	va_start(more, command);
	argument = va_arg(more, long);
	va_end(more);
	return fails("fcntl", EMFILE) ? -1 : __real_fcntl64(fd, command, argument);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list more;
	int mode;

	va_start(more, flags);
	mode = va_arg(more, int);
	va_end(more);
	return fails("open", EMFILE) ? -1 : __real_open64(path, flags, mode);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list more;
	long argument[6];

	va_start(more, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(more, long);
	va_end(more);
	if (number == SYS_membarrier) {
		if (atomic_load_explicit(&no_membarrier, memory_order_relaxed)) {
			errno = ENOSYS;
			return -1;
		}
		if (fails("membarrier", ENOMEM))
			return -1;
	}
	return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
	                      argument[5]);
}
