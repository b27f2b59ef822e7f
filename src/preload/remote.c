/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Devices of a server (tee/remote.h). A context is a connected socket: a file that duplicates, children and programs started by exec
 * share as they would share the kernel's. Nothing is kept here but the sockets each thread is answered on (lines.c), and what
 * memory was registered (registered.c).
 */
#include "preload/preload.h"

#include <isthmus/tee.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload/lines.h"
#include "preload/registered.h"
#include "tee/remote.h"
#include "tee/tee.h"

/* Keys of descriptors that were closed, to be told with the next request. At first: what came by exec may have been closed before it. */
static struct {
	pthread_mutex_t lock;
	uint32_t count; /* or REMOTE_ALL_KEYS */
	uint64_t key[REMOTE_KEYS];
} closed_keys = {.lock = PTHREAD_MUTEX_INITIALIZER, .count = REMOTE_ALL_KEYS};

static int connect_to(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd;

	if (!path || strlen(path) >= sizeof(name.sun_path))
		return -ENOENT;
	strcpy(name.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0 && fchmod(fd, REMOTE_MODE_CONTEXT) == 0)
		return fd;
	real()->close(fd);
	return -ENOENT; /* as if there were no such device */
}

static void take_keys(struct remote_request *request)
{
	pthread_mutex_lock(&closed_keys.lock);
	request->key_count = closed_keys.count;
	if (closed_keys.count != REMOTE_ALL_KEYS)
		memcpy(request->key, closed_keys.key, closed_keys.count * sizeof(request->key[0]));
	closed_keys.count = 0;
	pthread_mutex_unlock(&closed_keys.lock);
}

/*
 * Ask, and wait for the answer; a descriptor that comes with it in *fd, or -1. `context`: its key, 0 if it is not open yet. A server
 * that is gone: -ENODEV.
 */
static int ask(int socket, uint64_t context, struct remote_request *request, int file,
               struct remote_reply *reply, int *fd)
{
	int error;

	request->magic = REMOTE_MAGIC;
	take_keys(request);
	error = lines_ask(socket, context, request, file, reply, fd);
	if (!error)
		return (int)reply->answer;
	reply->key = 0;
	return error;
}

static int open_remote(unsigned device, int flags)
{
	struct remote_request request = {.op = REMOTE_OPEN, .device = device};
	struct remote_reply reply;
	int none, error, fd = connect_to(getenv("ISTHMUS_TEE_SERVER"));

	if (fd < 0)
		return fd;
	error = ask(fd, 0, &request, -1, &reply, &none);
	if (error) {
		real()->close(fd);
		return error;
	}
	if (flags & O_CLOEXEC)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* A socket that was marked as one that leads to a server, by whoever connected it; its key. */
static bool is_context(int fd, uint64_t *key)
{
	struct stat file;

	if (fstat(fd, &file) != 0 || !S_ISSOCK(file.st_mode) ||
	    (file.st_mode & REMOTE_MODE_MASK) != REMOTE_MODE_CONTEXT)
		return false;
	*key = file.st_ino;
	return true;
}

static int find_remote(int fd, struct found *out)
{
	struct stat file;
	uint64_t key;

	if (fstat(fd, &file) != 0)
		return -ENOTTY;
	if (S_ISSOCK(file.st_mode) && is_context(fd, &key)) {
		*out = (struct found){.key = 0, .is_context = true};
		return 0;
	}
	if (!S_ISREG(file.st_mode) || file.st_nlink != 0)
		return -ENOTTY;
	if ((file.st_mode & REMOTE_MODE_MASK) != REMOTE_MODE_MAP &&
	    (file.st_mode & REMOTE_MODE_MASK) != REMOTE_MODE_REGISTERED)
		return -ENOTTY;
	*out = (struct found){.key = file.st_ino,
	                      .can_map = (file.st_mode & REMOTE_MODE_MASK) == REMOTE_MODE_MAP,
	                      .size = (size_t)file.st_size};
	return 0;
}

/* Told with the next request; if there are many, or nobody knows which, the server looks at all there are. */
static void tell_closed(uint64_t key)
{
	pthread_mutex_lock(&closed_keys.lock);
	if (key == 0 || closed_keys.count >= REMOTE_KEYS)
		closed_keys.count = REMOTE_ALL_KEYS;
	else
		closed_keys.key[closed_keys.count++] = key;
	pthread_mutex_unlock(&closed_keys.lock);
}

static void closed_remote(uint64_t key)
{
	registered_closed(key);
	if (key != FRONT_UNMAPPED)
		tell_closed(key);
}

/* A descriptor that was to come with an answer, and that the caller is not going to have. */
static void give_back(const struct remote_reply *reply, int fd)
{
	if (fd >= 0)
		real()->close(fd);
	if (reply->key)
		closed_remote(reply->key);
}

/* Ask for an ioctl without a buffer. A descriptor is handed out last, when the client has the answer. */
static long plain(int socket, uint64_t context, uint32_t command, uint64_t arg, size_t bytes)
{
	struct remote_request request = {.op = REMOTE_IOCTL, .command = command};
	struct remote_reply reply;
	bool writes_back = command != IST_TEE_IOC_CANCEL && command != IST_TEE_IOC_CLOSE_SESSION;
	int fd, error, file = -1;

	if (command != IST_TEE_IOC_VERSION && ist_tee_copy(request.arg, (void *)(uintptr_t)arg, bytes))
		return -EFAULT;
	if (command == IST_TEE_IOC_SHM_REGISTER_FD) {
		file = (int)request.arg[0];
		if ((uint64_t)(int64_t)file != request.arg[0] || fcntl(file, F_GETFD) < 0)
			file = -1;
	}
	error = ask(socket, context, &request, file, &reply, &fd);
	if (error)
		return error;
	if (reply.key && fd < 0) /* there was no number for it */
		error = -EMFILE;
	else if (writes_back && ist_tee_copy((void *)(uintptr_t)arg, reply.arg, bytes))
		error = -EFAULT;
	if (error) {
		give_back(&reply, fd);
		return error;
	}
	return fd >= 0 ? fd : 0;
}

static long register_memory(int socket, uint64_t context, uint64_t arg)
{
	struct remote_request request = {.op = REMOTE_IOCTL, .command = IST_TEE_IOC_SHM_REGISTER};
	struct ist_tee_ioc_register data;
	struct remote_reply reply;
	int fd, error;

	if (ist_tee_copy(&data, (void *)(uintptr_t)arg, sizeof(data)))
		return -EFAULT;
	if (data.flags)
		return -EINVAL;
	error = data.length ? register_check(data.addr, data.length) : -ENOMEM;
	memcpy(request.arg, &data, sizeof(data));
	if (error) { /* but that there is no such call comes first */
		struct ist_tee_version version;
		long known =
		        plain(socket, context, IST_TEE_IOC_VERSION, (uintptr_t)&version, sizeof(version));

		return known == 0 && !(version.gen_caps & IST_TEE_CAP_REG_MEM) ? -E_NOTSUPP : error;
	}
	error = ask(socket, context, &request, -1, &reply, &fd);
	if (error)
		return error;
	memcpy(&data, reply.arg, sizeof(data));
	error = fd < 0 ? -EMFILE : registered_add(context, &data, fd);
	if (!error && ist_tee_copy((void *)(uintptr_t)arg, &data, sizeof(data)))
		error = -EFAULT;
	if (error) {
		give_back(&reply, fd);
		return error;
	}
	return fd;
}

/* Where in the buffer of a call its parameters begin, and what of the header is written back. */
struct shape {
	size_t params, out, out_bytes;
};

static const struct shape open_shape = {sizeof(struct ist_tee_ioc_open),
                                        offsetof(struct ist_tee_ioc_open, session), 12};
static const struct shape invoke_shape = {sizeof(struct ist_tee_ioc_invoke),
                                          offsetof(struct ist_tee_ioc_invoke, ret), 8};

static unsigned params_in(const struct shape *shape, size_t bytes, struct ist_tee_ioc_param *param,
                          const unsigned char *buf)
{
	unsigned count = bytes > shape->params ? (unsigned)((bytes - shape->params) / sizeof(*param)) : 0;

	memcpy(param, buf + shape->params, count * sizeof(*param));
	return count;
}

static int write_back(const struct shape *shape, uint64_t at, const unsigned char *buf, unsigned count)
{
	struct ist_tee_ioc_param param[IST_TEE_ARG_MAX / sizeof(struct ist_tee_ioc_param)];
	int error = ist_tee_copy((void *)(uintptr_t)(at + shape->out), buf + shape->out, shape->out_bytes);

	memcpy(param, buf + shape->params, count * sizeof(param[0]));
	for (unsigned i = 0; i < count && !error; i++) {
		uint64_t here = at + shape->params + i * sizeof(param[0]);

		if (param[i].attr == IST_TEE_PARAM_VALUE_OUT || param[i].attr == IST_TEE_PARAM_VALUE_INOUT)
			error = ist_tee_copy((void *)(uintptr_t)(here + 8), &param[i].a, 24);
		else if (param[i].attr == IST_TEE_PARAM_MEMREF_OUT ||
		         param[i].attr == IST_TEE_PARAM_MEMREF_INOUT)
			error = ist_tee_copy((void *)(uintptr_t)(here + 16), &param[i].b, 8);
	}
	return error;
}

/* The answer could not be told. */
static void close_opened(int socket, uint64_t context, const unsigned char *buf)
{
	struct ist_tee_ioc_open opened;
	struct ist_tee_ioc_close closing;

	memcpy(&opened, buf, sizeof(opened));
	closing.session = opened.session;
	if (opened.ret == IST_TEE_SUCCESS)
		plain(socket, context, IST_TEE_IOC_CLOSE_SESSION, (uintptr_t)&closing, sizeof(closing));
}

static long call(int socket, uint64_t context, uint32_t command, uint64_t arg)
{
	const struct shape *shape = command == IST_TEE_IOC_INVOKE ? &invoke_shape : &open_shape;
	struct remote_request request = {.op = REMOTE_IOCTL, .command = command};
	struct ist_tee_ioc_param param[IST_TEE_ARG_MAX / sizeof(struct ist_tee_ioc_param)];
	struct registered_use *uses[IST_TEE_ARG_MAX / sizeof(struct ist_tee_ioc_param)];
	struct remote_reply reply;
	struct ist_tee_ioc_buf buf;
	unsigned count;
	int fd, error;

	if (ist_tee_copy(&buf, (void *)(uintptr_t)arg, sizeof(buf)))
		return -EFAULT;
	if (buf.buf_len > IST_TEE_ARG_MAX || buf.buf_len < shape->params)
		return -EINVAL;
	if (ist_tee_copy(request.buf, (void *)(uintptr_t)buf.buf_ptr, buf.buf_len))
		return -EFAULT;
	request.buf_bytes = (uint32_t)buf.buf_len;
	count = params_in(shape, buf.buf_len, param, request.buf);
	for (unsigned i = 0; i < count; i++)
		uses[i] = NULL;
	error = registered_copy_in(context, param, count, uses);
	if (!error)
		error = ask(socket, 0, &request, -1, &reply, &fd);
	if (!error && (registered_copy_out(param, count, uses, reply.buf + shape->params) ||
	               write_back(shape, buf.buf_ptr, reply.buf, count))) {
		error = -EFAULT;
		if (command == IST_TEE_IOC_OPEN_SESSION)
			close_opened(socket, context, reply.buf);
	}
	registered_end(count, uses);
	return error;
}

/* A supplicant takes a request, or answers one. What comes back is the whole buffer, of which the server has changed what it may. */
static long supplicant(int socket, uint32_t command, uint64_t arg)
{
	struct remote_request request = {.op = REMOTE_IOCTL, .command = command};
	struct remote_reply reply;
	struct ist_tee_ioc_buf buf;
	int fd, error;

	if (ist_tee_copy(&buf, (void *)(uintptr_t)arg, sizeof(buf)))
		return -EFAULT;
	if (buf.buf_len > IST_TEE_ARG_MAX || buf.buf_len < sizeof(struct ist_tee_ioc_recv))
		return -EINVAL;
	if (ist_tee_copy(request.buf, (void *)(uintptr_t)buf.buf_ptr, buf.buf_len))
		return -EFAULT;
	request.buf_bytes = (uint32_t)buf.buf_len;
	error = ask(socket, 0, &request, -1, &reply, &fd);
	if (!error && command == IST_TEE_IOC_SUPPL_RECV &&
	    ist_tee_copy((void *)(uintptr_t)buf.buf_ptr, reply.buf, buf.buf_len))
		error = -EFAULT;
	return error;
}

static long ioctl_remote(int fd, unsigned long command, void *arg)
{
	uint32_t number = (uint32_t)command;
	struct found found;
	uint64_t context;

	if (!is_context(fd, &context))
		return find_remote(fd, &found) == 0 ? -EINVAL : -ENOTTY;
	switch (number) {
	case IST_TEE_IOC_OPEN_SESSION:
	case IST_TEE_IOC_INVOKE:
		return call(fd, context, number, (uintptr_t)arg);
	case IST_TEE_IOC_SUPPL_RECV:
	case IST_TEE_IOC_SUPPL_SEND:
		return supplicant(fd, number, (uintptr_t)arg);
	case IST_TEE_IOC_SHM_REGISTER:
		return register_memory(fd, context, (uintptr_t)arg);
	case IST_TEE_IOC_VERSION:
	case IST_TEE_IOC_SHM_ALLOC:
	case IST_TEE_IOC_SHM_REGISTER_FD:
	case IST_TEE_IOC_CANCEL:
	case IST_TEE_IOC_CLOSE_SESSION:
		return plain(fd, context, number, (uintptr_t)arg, number >> 16 & 0x3fff);
	default:
		return -EINVAL;
	}
}

const struct front remote_front = {open_remote, ioctl_remote, find_remote, closed_remote,
                                   registered_unmapping};
