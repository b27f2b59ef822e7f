/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Neither devices nor shared memory are something that bytes are moved from or to, nor are they sockets, though what stands for them
 * may be: the calls for these answer as the kernel would.
 */
#undef _FILE_OFFSET_BITS /* or sendfile would be a name for sendfile64: here both are defined */
#undef _FORTIFY_SOURCE /* or recv would be defined already */
#include "preload/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOOK __attribute__((visibility("default")))

static struct {
	ssize_t (*splice)(int in, off64_t *in_at, int out, off64_t *out_at, size_t bytes, unsigned flags);
	ssize_t (*sendfile)(int out, int in, off64_t *at, size_t bytes);
	ssize_t (*copy_file_range)(int in, off64_t *in_at, int out, off64_t *out_at, size_t bytes,
	                           unsigned flags);
	ssize_t (*send)(int fd, const void *data, size_t bytes, int flags);
	ssize_t (*sendto)(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
	                  socklen_t length);
	ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
	ssize_t (*recv)(int fd, void *data, size_t bytes, int flags);
	ssize_t (*recvfrom)(int fd, void *data, size_t bytes, int flags, struct sockaddr *from,
	                    socklen_t *length);
	ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
	int (*shutdown)(int fd, int how);
} calls;
static pthread_once_t calls_once = PTHREAD_ONCE_INIT;

static void calls_resolve(void)
{
	*(void **)&calls.splice = dlsym(RTLD_NEXT, "splice");
	*(void **)&calls.sendfile = dlsym(RTLD_NEXT, "sendfile64");
	*(void **)&calls.copy_file_range = dlsym(RTLD_NEXT, "copy_file_range");
	*(void **)&calls.send = dlsym(RTLD_NEXT, "send");
	*(void **)&calls.sendto = dlsym(RTLD_NEXT, "sendto");
	*(void **)&calls.sendmsg = dlsym(RTLD_NEXT, "sendmsg");
	*(void **)&calls.recv = dlsym(RTLD_NEXT, "recv");
	*(void **)&calls.recvfrom = dlsym(RTLD_NEXT, "recvfrom");
	*(void **)&calls.recvmsg = dlsym(RTLD_NEXT, "recvmsg");
	*(void **)&calls.shutdown = dlsym(RTLD_NEXT, "shutdown");
}

/* Early, lest a signal handler be the first. */
__attribute__((constructor)) static void calls_ready(void)
{
	pthread_once(&calls_once, calls_resolve);
}

static bool refuse(int error)
{
	errno = error;
	return true;
}

static bool is_open(int fd)
{
	int before = errno;
	bool open = fcntl(fd, F_GETFD) >= 0;

	errno = before;
	return open;
}

/* Between two descriptors, of which one is ours: the other is looked at first. */
static bool refuses_move(int in, int out)
{
	struct found found;

	calls_ready();
	if (!file_is_ours(in, &found) && !file_is_ours(out, &found))
		return false;
	return refuse(is_open(in) && is_open(out) ? EINVAL : EBADF);
}

static bool refuses_socket(int fd)
{
	struct found found;

	calls_ready();
	return file_is_ours(fd, &found) && refuse(ENOTSOCK);
}

HOOK ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t bytes, unsigned flags)
{
	if (bytes && refuses_move(in, out))
		return -1;
	calls_ready();
	return calls.splice(in, in_at, out, out_at, bytes, flags);
}

HOOK ssize_t sendfile64(int out, int in, off64_t *at, size_t bytes)
{
	return refuses_move(in, out) ? -1 : calls.sendfile(out, in, at, bytes);
}

HOOK ssize_t sendfile(int out, int in, off_t *at, size_t bytes)
{
	return sendfile64(out, in, at, bytes);
}

HOOK ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t bytes, unsigned flags)
{
	return refuses_move(in, out) ? -1 : calls.copy_file_range(in, in_at, out, out_at, bytes, flags);
}

HOOK ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
	return refuses_socket(fd) ? -1 : calls.send(fd, data, bytes, flags);
}

HOOK ssize_t sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
                    socklen_t length)
{
	return refuses_socket(fd) ? -1 : calls.sendto(fd, data, bytes, flags, to, length);
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return refuses_socket(fd) ? -1 : calls.sendmsg(fd, message, flags);
}

HOOK ssize_t recv(int fd, void *data, size_t bytes, int flags)
{
	return refuses_socket(fd) ? -1 : calls.recv(fd, data, bytes, flags);
}

HOOK ssize_t recvfrom(int fd, void *data, size_t bytes, int flags, struct sockaddr *from, socklen_t *length)
{
	return refuses_socket(fd) ? -1 : calls.recvfrom(fd, data, bytes, flags, from, length);
}

HOOK ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return refuses_socket(fd) ? -1 : calls.recvmsg(fd, message, flags);
}

HOOK int shutdown(int fd, int how)
{
	return refuses_socket(fd) ? -1 : calls.shutdown(fd, how);
}

/* What this library itself calls: straight to the C library, as in hooks.c. */
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	calls_ready();
	return calls.sendmsg(fd, message, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	calls_ready();
	return calls.recvmsg(fd, message, flags);
}
