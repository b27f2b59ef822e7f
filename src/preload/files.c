/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What of files a device is not, and what it looks like. Programs make these calls for anything, in signal handlers too: what
 * cannot be ours is told by its mode, without a lock. Paths are given to the C library first, which knows a bad pointer.
 */
#undef _FILE_OFFSET_BITS /* or fstat would be a name for fstat64: here both are defined */
#undef _FORTIFY_SOURCE /* or read would be defined already */
#include "preload/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tee/remote.h"

#define HOOK __attribute__((visibility("default")))
#define MAJOR_OF_TEE 249u

/* With 64-bit offsets, whatever the name: struct stat is struct stat64 where long has 64 bits. */
static struct {
	ssize_t (*read)(int fd, void *data, size_t bytes);
	ssize_t (*write)(int fd, const void *data, size_t bytes);
	ssize_t (*readv)(int fd, const struct iovec *data, int count);
	ssize_t (*writev)(int fd, const struct iovec *data, int count);
	ssize_t (*pread)(int fd, void *data, size_t bytes, off_t at);
	ssize_t (*pwrite)(int fd, const void *data, size_t bytes, off_t at);
	int (*ftruncate)(int fd, off_t bytes);
	int (*fstat)(int fd, void *out); /* this and the next three are null before glibc 2.33 */
	int (*stat)(const char *path, void *out);
	int (*lstat)(const char *path, void *out);
	int (*fstatat)(int folder, const char *path, void *out, int flags);
	int (*statx)(int folder, const char *path, int flags, unsigned mask, struct statx *out);
	int (*access)(const char *path, int mode);
	int (*faccessat)(int folder, const char *path, int mode, int flags);
} calls;
static pthread_once_t calls_once = PTHREAD_ONCE_INIT;

static void calls_resolve(void)
{
	*(void **)&calls.read = dlsym(RTLD_NEXT, "read");
	*(void **)&calls.write = dlsym(RTLD_NEXT, "write");
	*(void **)&calls.readv = dlsym(RTLD_NEXT, "readv");
	*(void **)&calls.writev = dlsym(RTLD_NEXT, "writev");
	*(void **)&calls.pread = dlsym(RTLD_NEXT, "pread64");
	*(void **)&calls.pwrite = dlsym(RTLD_NEXT, "pwrite64");
	*(void **)&calls.ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	*(void **)&calls.fstat = dlsym(RTLD_NEXT, "fstat64");
	*(void **)&calls.stat = dlsym(RTLD_NEXT, "stat64");
	*(void **)&calls.lstat = dlsym(RTLD_NEXT, "lstat64");
	*(void **)&calls.fstatat = dlsym(RTLD_NEXT, "fstatat64");
	*(void **)&calls.statx = dlsym(RTLD_NEXT, "statx");
	*(void **)&calls.access = dlsym(RTLD_NEXT, "access");
	*(void **)&calls.faccessat = dlsym(RTLD_NEXT, "faccessat");
}

/* Early, lest a signal handler be the first. */
__attribute__((constructor)) static void calls_ready(void)
{
	pthread_once(&calls_once, calls_resolve);
	real();
}

/* Contexts and shared memory are files without a name, or the sockets that remote.c marks. */
static bool may_be_ours(const struct stat *file)
{
	if (S_ISSOCK(file->st_mode))
		return (file->st_mode & REMOTE_MODE_MASK) == REMOTE_MODE_CONTEXT;
	return S_ISREG(file->st_mode) && file->st_nlink == 0;
}

bool file_is_ours(int fd, struct found *out)
{
	struct stat file;
	int before = errno;
	bool is_ours;

	calls_ready();
	if (!fd_may_be_ours(fd) || !calls.fstat)
		return false;
	is_ours = calls.fstat(fd, &file) == 0 && may_be_ours(&file) && fd_find(fd, out);
	errno = before;
	return is_ours;
}

/* Neither has bytes of its own. */
static bool refuses(int fd)
{
	struct found found;

	if (!file_is_ours(fd, &found))
		return false;
	errno = EINVAL;
	return true;
}

HOOK ssize_t read(int fd, void *data, size_t bytes)
{
	return refuses(fd) ? -1 : calls.read(fd, data, bytes);
}

HOOK ssize_t write(int fd, const void *data, size_t bytes)
{
	return refuses(fd) ? -1 : calls.write(fd, data, bytes);
}

HOOK ssize_t readv(int fd, const struct iovec *data, int count)
{
	return refuses(fd) ? -1 : calls.readv(fd, data, count);
}

HOOK ssize_t writev(int fd, const struct iovec *data, int count)
{
	return refuses(fd) ? -1 : calls.writev(fd, data, count);
}

HOOK ssize_t pread(int fd, void *data, size_t bytes, off_t at)
{
	return refuses(fd) ? -1 : calls.pread(fd, data, bytes, at);
}

HOOK ssize_t pread64(int fd, void *data, size_t bytes, off64_t at)
{
	return refuses(fd) ? -1 : calls.pread(fd, data, bytes, at);
}

HOOK ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
	return refuses(fd) ? -1 : calls.pwrite(fd, data, bytes, at);
}

HOOK ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
	return refuses(fd) ? -1 : calls.pwrite(fd, data, bytes, at);
}

HOOK int ftruncate(int fd, off_t bytes)
{
	return refuses(fd) ? -1 : calls.ftruncate(fd, bytes);
}

HOOK int ftruncate64(int fd, off64_t bytes)
{
	return refuses(fd) ? -1 : calls.ftruncate(fd, bytes);
}

/* What read becomes where the compiler looks out for misuse. */
HOOK ssize_t __read_chk(int fd, void *data, size_t bytes, size_t room);
void __chk_fail(void) __attribute__((noreturn));

ssize_t __read_chk(int fd, void *data, size_t bytes, size_t room)
{
	if (bytes > room)
		__chk_fail();
	return read(fd, data, bytes);
}

/* The same for all: which device a descriptor is of is not asked, and who compares a path's with a descriptor's finds them equal. */
static void device_stat(struct stat *out)
{
	memset(out, 0, sizeof(*out));
	out->st_mode = S_IFCHR | 0600;
	out->st_nlink = 1;
	out->st_ino = MAJOR_OF_TEE;
	out->st_rdev = makedev(MAJOR_OF_TEE, 0);
	out->st_uid = geteuid();
	out->st_gid = getegid();
	out->st_blksize = 4096;
}

static bool is_device_fd(int fd)
{
	struct found found;

	return file_is_ours(fd, &found) && found.is_context;
}

static int fd_stat(int fd, struct stat *out)
{
	struct found found;
	int result, before = errno;

	calls_ready();
	result = calls.fstat(fd, out);
	if (result == 0 && fd_may_be_ours(fd) && may_be_ours(out) && fd_find(fd, &found) && found.is_context)
		device_stat(out);
	if (result == 0)
		errno = before;
	return result;
}

/*
 * What to answer of a path, of which the C library says `result`, with errno: that (NAME_OTHER), ENOTDIR, or a device, with errno
 * as it was before.
 */
static int answer_of(int result, int before, int folder, const char *path)
{
	int device = NAME_OTHER;

	if (result == 0 || (errno != EFAULT && errno != EINVAL))
		device = device_named(folder, path);
	if (device != NAME_OTHER)
		errno = device == NAME_BEHIND ? ENOTDIR : before;
	return device;
}

static int path_stat(int result, int before, int folder, const char *path, struct stat *out)
{
	int device = answer_of(result, before, folder, path);

	if (device == NAME_OTHER || device == NAME_BEHIND)
		return device == NAME_OTHER ? result : -1;
	device_stat(out);
	return 0;
}

/* Newer kernels take a null for an empty path. */
static bool names_nothing(const char *path)
{
	return !path || !path[0];
}

static int at_stat(int folder, const char *path, struct stat *out, int flags)
{
	int before = errno, result;

	calls_ready();
	result = calls.fstatat(folder, path, out, flags);
	if (result == 0 && (flags & AT_EMPTY_PATH) && folder >= 0 && names_nothing(path))
		return fd_stat(folder, out);
	return path_stat(result, before, folder, path, out);
}

static int follow_stat(const char *path, struct stat *out)
{
	int before = errno;

	calls_ready();
	return path_stat(calls.stat(path, out), before, AT_FDCWD, path, out);
}

static int link_stat(const char *path, struct stat *out)
{
	int before = errno;

	calls_ready();
	return path_stat(calls.lstat(path, out), before, AT_FDCWD, path, out);
}

HOOK int fstat(int fd, struct stat *out)
{
	return fd_stat(fd, out);
}

HOOK int fstat64(int fd, struct stat64 *out)
{
	return fd_stat(fd, (struct stat *)(void *)out);
}

HOOK int stat(const char *path, struct stat *out)
{
	return follow_stat(path, out);
}

HOOK int stat64(const char *path, struct stat64 *out)
{
	return follow_stat(path, (struct stat *)(void *)out);
}

HOOK int lstat(const char *path, struct stat *out)
{
	return link_stat(path, out);
}

HOOK int lstat64(const char *path, struct stat64 *out)
{
	return link_stat(path, (struct stat *)(void *)out);
}

HOOK int fstatat(int folder, const char *path, struct stat *out, int flags)
{
	return at_stat(folder, path, out, flags);
}

HOOK int fstatat64(int folder, const char *path, struct stat64 *out, int flags)
{
	return at_stat(folder, path, (struct stat *)(void *)out, flags);
}

static void device_statx(struct statx *out)
{
	struct stat file;

	device_stat(&file);
	memset(out, 0, sizeof(*out));
	out->stx_mask = STATX_BASIC_STATS;
	out->stx_mode = (uint16_t)file.st_mode;
	out->stx_nlink = (uint32_t)file.st_nlink;
	out->stx_ino = file.st_ino;
	out->stx_rdev_major = MAJOR_OF_TEE;
	out->stx_uid = file.st_uid;
	out->stx_gid = file.st_gid;
	out->stx_blksize = (uint32_t)file.st_blksize;
}

HOOK int statx(int folder, const char *path, int flags, unsigned mask, struct statx *out)
{
	int before = errno, result, device;

	calls_ready();
	result = calls.statx(folder, path, flags, mask, out);
	if (result == 0 && (flags & AT_EMPTY_PATH) && names_nothing(path)) {
		if (is_device_fd(folder))
			device_statx(out);
		return 0;
	}
	device = answer_of(result, before, folder, path);
	if (device == NAME_OTHER || device == NAME_BEHIND)
		return device == NAME_OTHER ? result : -1;
	device_statx(out);
	return 0;
}

static int path_access(int result, int before, int folder, const char *path, int mode)
{
	int device = answer_of(result, before, folder, path);

	if (device == NAME_OTHER || device == NAME_BEHIND)
		return device == NAME_OTHER ? result : -1;
	if (!(mode & X_OK))
		return 0;
	errno = EACCES;
	return -1;
}

HOOK int access(const char *path, int mode)
{
	int before = errno;

	calls_ready();
	return path_access(calls.access(path, mode), before, AT_FDCWD, path, mode);
}

HOOK int faccessat(int folder, const char *path, int mode, int flags)
{
	int before = errno;

	calls_ready();
	return path_access(calls.faccessat(folder, path, mode, flags), before, folder, path, mode);
}

/* What this library itself calls: straight to the C library, as in hooks.c. */
ssize_t __wrap_read(int fd, void *data, size_t bytes);
ssize_t __wrap_write(int fd, const void *data, size_t bytes);
ssize_t __wrap_pread64(int fd, void *data, size_t bytes, off64_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t bytes, off64_t at);
int __wrap_ftruncate64(int fd, off64_t bytes);
int __wrap_fstat64(int fd, struct stat64 *out);

ssize_t __wrap_read(int fd, void *data, size_t bytes)
{
	calls_ready();
	return calls.read(fd, data, bytes);
}

ssize_t __wrap_write(int fd, const void *data, size_t bytes)
{
	calls_ready();
	return calls.write(fd, data, bytes);
}

ssize_t __wrap_pread64(int fd, void *data, size_t bytes, off64_t at)
{
	calls_ready();
	return calls.pread(fd, data, bytes, at);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
	calls_ready();
	return calls.pwrite(fd, data, bytes, at);
}

int __wrap_ftruncate64(int fd, off64_t bytes)
{
	calls_ready();
	return calls.ftruncate(fd, bytes);
}

int __wrap_fstat64(int fd, struct stat64 *out)
{
	calls_ready();
	return calls.fstat(fd, out);
}
