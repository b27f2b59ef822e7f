/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Calls left until the planned failure; 0 means that none is planned. Tests set it while nobody else maps. */
#ifdef ISTHMUS_TEST_HOOKS
static _Atomic unsigned fail_countdown;
static _Atomic int fail_permanently;

void platform_fail_map(unsigned nth, int permanently)
{
	atomic_store_explicit(&fail_permanently, permanently, memory_order_relaxed);
	atomic_store_explicit(&fail_countdown, nth, memory_order_relaxed);
}

static bool planned_failure(void)
{
	unsigned left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);

	if (left == 0)
		return false;
	if (left == 1 && atomic_load_explicit(&fail_permanently, memory_order_relaxed))
		return true;
	atomic_store_explicit(&fail_countdown, left - 1, memory_order_relaxed);
	return left == 1;
}
#else
static bool planned_failure(void)
{
	return false;
}
#endif

size_t platform_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *platform_map(size_t bytes)
{
	size_t page = platform_page_size(), body;
	char *reserved;

	if (planned_failure() || bytes == 0 || bytes > SIZE_MAX - 3 * page)
		return NULL;
	body = (bytes + page - 1) / page * page;
	reserved = mmap(NULL, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	if (mprotect(reserved + page, body, PROT_READ | PROT_WRITE)) {
		munmap(reserved, body + 2 * page);
		return NULL;
	}
	/* Bookkeeping is sparse: a huge page for the first byte of it would cost 2 MiB. Best effort. */
	madvise(reserved + page, body, MADV_NOHUGEPAGE);
	return reserved + page;
}

void platform_unmap(void *memory, size_t bytes)
{
	size_t page = platform_page_size(), body = (bytes + page - 1) / page * page;

	if (memory)
		munmap((char *)memory - page, body + 2 * page);
}

static int errno_or(int result)
{
	return result < 0 ? -errno : result;
}

/*
 * As ftruncate: 0 or a negative errno value, -EFBIG for what the process's limit on file sizes forbids, and then without
 * the signal that the system sends to this thread. One that was pending before stays so.
 */
static int set_length(int fd, size_t bytes)
{
	static const struct timespec now = {0, 0};
	sigset_t only, before, pending;
	int error, taken;

	sigemptyset(&only);
	sigaddset(&only, SIGXFSZ);
	sigemptyset(&pending);
	error = -pthread_sigmask(SIG_BLOCK, &only, &before);
	if (error)
		return error;
	if (sigismember(&before, SIGXFSZ)) /* else none can be pending */
		sigpending(&pending);
	error = errno_or(ftruncate(fd, (off_t)bytes));
	if (error == -EFBIG && !sigismember(&pending, SIGXFSZ)) {
		do
			taken = errno_or(sigtimedwait(&only, NULL, &now));
		while (taken == -EINTR);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

int platform_memory_file(const char *name, size_t bytes)
{
	int error, fd = errno_or(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (fd < 0)
		return fd;
	error = set_length(fd, bytes);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

int platform_sealed_file(size_t bytes)
{
	int error, fd = platform_memory_file("isthmus", bytes);

	if (fd < 0)
		return fd;
	error = errno_or(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Whether all of [where, where + bytes) is mapped. */
static bool is_mapped(char *where, size_t bytes)
{
	unsigned char unused[1024];
	size_t most = sizeof(unused) * platform_page_size();

	while (bytes > 0) {
		size_t here = bytes < most ? bytes : most;

		if (mincore(where, here, unused) && errno == ENOMEM)
			return false;
		where += here;
		bytes -= here;
	}
	return true;
}

/*
 * A call that was to replace what is mapped at `where` has failed. The system checks its limits before it takes anything
 * away, so as a rule all is as it was; if not, a reservation closes the hole, unless somebody else's memory is in it.
 */
static int close_hole(void *where, size_t bytes, int error)
{
	if (is_mapped(where, bytes))
		return error;
	if (mmap(where, bytes, PROT_NONE, RESERVED | MAP_FIXED_NOREPLACE, -1, 0) == where)
		return error;
	return -ESTALE;
}

/*
 * MAP_FIXED would take away what is there before the file is asked: mapped elsewhere, and moved when it stands. *moving: the
 * file had agreed.
 */
static int map_and_move(void *where, size_t bytes, int fd, uint64_t offset, int writable, bool *moving)
{
	void *made = platform_map_file(bytes, fd, offset, writable);
	int error;

	*moving = made != NULL;
	if (!made)
		return -errno;
	if (mremap(made, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, where) == where)
		return 0;
	error = -errno;
	munmap(made, bytes);
	return error;
}

int platform_map_shared_at(void *where, size_t bytes, int fd, uint64_t offset, int writable)
{
	bool moving;
	int error = map_and_move(where, bytes, fd, offset, writable, &moving);

	return error && moving ? close_hole(where, bytes, error) : error;
}

/* What this file is asked it agrees to, so MAP_FIXED takes nothing away in vain. */
int platform_map_sealed_at(void *where, size_t bytes, int fd)
{
	int error = -ENOMEM;

	if (planned_failure())
		return error;
	if (mmap(where, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == where)
		return 0;
	error = -errno;
	if (is_mapped(where, bytes))
		return error;
	close_hole(where, bytes, error); /* what was there is gone either way */
	return -ESTALE;
}

int platform_map_file_at(void *where, size_t bytes, int fd, uint64_t offset)
{
	bool moving;
	int error = map_and_move(where, bytes, fd, offset, true, &moving);

	if (!error || !moving || is_mapped(where, bytes))
		return error;
	close_hole(where, bytes, error); /* what was there is gone either way */
	return -ESTALE;
}

void *platform_map_file(size_t bytes, int fd, uint64_t offset, int writable)
{
	void *made;

	if (planned_failure()) {
		errno = ENOMEM;
		return NULL;
	}
	made = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, (off_t)offset);
	return made == MAP_FAILED ? NULL : made;
}

void *platform_reserve(size_t bytes)
{
	void *reserved = planned_failure() ? MAP_FAILED : mmap(NULL, bytes, PROT_NONE, RESERVED, -1, 0);

	return reserved == MAP_FAILED ? NULL : reserved;
}

void platform_release(void *where, size_t bytes)
{
	if (where)
		munmap(where, bytes);
}

int platform_reserve_at(void *where, size_t bytes)
{
	if (planned_failure())
		return -ENOMEM;
	if (mmap(where, bytes, PROT_NONE, RESERVED | MAP_FIXED, -1, 0) == where)
		return 0;
	return close_hole(where, bytes, -errno);
}

int platform_map_again_at(void *where, size_t bytes, void *from, int writable)
{
	int error;

	if (planned_failure())
		return -ENOMEM;
	/* An old size of 0 asks for another mapping of the same pages. */
	if (mremap(from, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, where) == MAP_FAILED)
		return close_hole(where, bytes, -errno);
	if (writable || mprotect(where, bytes, PROT_READ) == 0)
		return 0;
	error = -errno;
	/* What is to be read only must not stay writable. */
	if (mmap(where, bytes, PROT_NONE, RESERVED | MAP_FIXED, -1, 0) == where)
		return error;
	return close_hole(where, bytes, error);
}

/* Where a sandbox forbids process_vm_readv: the kernel copies into a pipe, and answers EFAULT as well. */
static int copy_by_pipe(void *to, const void *from, size_t bytes)
{
	ssize_t done;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	done = write(ends[1], from, bytes); /* a page or less fits */
	if (done == (ssize_t)bytes)
		done = read(ends[0], to, bytes);
	error = done == (ssize_t)bytes ? 0 : -EFAULT;
	close(ends[0]);
	close(ends[1]);
	return error;
}

int platform_copy(void *to, const void *from, size_t bytes)
{
	struct iovec here = {to, bytes}, there = {(void *)(uintptr_t)from, bytes};
	ssize_t done = process_vm_readv(platform_pid(), &here, 1, &there, 1, 0);

	if (done == (ssize_t)bytes)
		return 0;
	if (done < 0 && (errno == ENOSYS || errno == EPERM))
		return copy_by_pipe(to, from, bytes);
	return -EFAULT;
}

int platform_read_file(void *to, size_t bytes, int fd, uint64_t offset)
{
	ssize_t done = pread(fd, to, bytes, (off_t)offset);

	return done == (ssize_t)bytes ? 0 : -EFAULT;
}

int platform_file_kind(int fd, struct platform_file *out)
{
	struct stat info;
	struct statfs system;

	if (fstat(fd, &info) || fstatfs(fd, &system))
		return -errno;
	out->regular = S_ISREG(info.st_mode);
	out->bytes = (uint64_t)info.st_size;
	out->page = system.f_type == HUGETLBFS_MAGIC ? (size_t)system.f_bsize : platform_page_size();
	return 0;
}

uint64_t platform_random(void)
{
	struct timespec now;
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) == sizeof(number))
		return number;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec) * UINT64_C(0x9e3779b97f4a7c15) ^
	       (uintptr_t)&now;
}

int platform_duplicate(int fd)
{
	return errno_or(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int platform_file_length(int fd, uint64_t *bytes)
{
	struct stat info;

	if (fstat(fd, &info))
		return -errno;
	*bytes = (uint64_t)info.st_size;
	return 0;
}
