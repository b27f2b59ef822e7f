/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A connection. There is always a thread of it that waits for the next request: who takes one that may last begins another thread
 * first, if there is none. When the connection ends, its context is closed at once, which asks running calls to end; the last
 * thread takes the rest apart.
 */
#include "teed/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tee/packet.h"
#include "tee/remote.h"
#include "tee/tee.h"
#include "teed/shelf.h"

#define STACK ((size_t)256 << 10)
#define LINES 32 /* of a connection: others bring a socket with each request */

/* Asked and answered over one socket, by a thread of its own. */
struct line {
	struct client *client; /* null: there is none */
	int socket;
};

struct client {
	struct server *server;
	int socket;
	pthread_mutex_t lock;
	unsigned threads, idle;
	bool ended;
	struct ist_tee_context *context;
	struct line line[LINES]; /* under the lock */
};

static _Atomic unsigned clients;

unsigned client_count(void)
{
	return atomic_load_explicit(&clients, memory_order_relaxed);
}

static void *client_thread(void *of);
static void *line_thread(void *of);

/* Under the lock. */
static int begin(struct client *client, void *(*run)(void *of), void *of)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK);
	error = pthread_create(&thread, &attributes, run, of);
	pthread_attr_destroy(&attributes);
	client->threads += error == 0;
	return -error;
}

/* Under the lock. */
static int begin_thread(struct client *client)
{
	int error = begin(client, client_thread, client);

	client->idle += error == 0;
	return error;
}

static void client_free(struct client *client)
{
	close(client->socket);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* The calling thread leaves. */
static void leave(struct client *client)
{
	bool last;

	pthread_mutex_lock(&client->lock);
	last = --client->threads == 0;
	pthread_mutex_unlock(&client->lock);
	if (last)
		client_free(client);
}

/* The connection has ended: whoever sees it first closes the context. */
static void end(struct client *client)
{
	struct ist_tee_context *context;
	bool first;

	pthread_mutex_lock(&client->lock);
	first = !client->ended;
	client->ended = true;
	context = client->context;
	client->context = NULL;
	for (int i = 0; i < LINES && first; i++)
		if (client->line[i].client)
			shutdown(client->line[i].socket, SHUT_RDWR);
	pthread_mutex_unlock(&client->lock);
	if (!first)
		return;
	shutdown(client->socket, SHUT_RDWR); /* also when it is we who want no more of it */
	ist_tee_context_close(context);
	atomic_fetch_sub_explicit(&clients, 1, memory_order_relaxed);
	ist_tee_reap(0);
}

/* The context, kept; or null. */
static struct ist_tee_context *context_of(struct client *client)
{
	struct ist_tee_context *context;

	pthread_mutex_lock(&client->lock);
	context = client->context;
	if (context)
		context_get(context);
	pthread_mutex_unlock(&client->lock);
	return context;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t begun, ended; /* how many times */
	bool is_due; /* somebody is at it, or waits for his turn */
	int64_t next;
} looking = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* By one thread at a time; under the lock, which is let go of meanwhile. */
static void look_at_all(void)
{
	int64_t next = looking.next, begin, end;

	pthread_mutex_unlock(&looking.lock);
	if (next > now_ns())
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
		                &(struct timespec){next / 1000000000, next % 1000000000}, NULL);
	pthread_mutex_lock(&looking.lock);
	looking.begun++;
	pthread_mutex_unlock(&looking.lock);
	begin = now_ns();
	ist_tee_reap(0);
	end = now_ns();
	pthread_mutex_lock(&looking.lock);
	looking.ended = looking.begun;
	looking.next = end + 10 * (end - begin);
}

/*
 * A client does not say which. It costs what there is of everybody, so all of this together may not take more than a tenth of the
 * time. Those who ask meanwhile wait for the same turn, so that nobody waits longer because others ask often.
 */
static void reap_all(void)
{
	uint64_t wanted;

	pthread_mutex_lock(&looking.lock);
	wanted = looking.begun + 1; /* the first that has not begun yet */
	while (looking.ended < wanted) {
		if (looking.is_due) {
			pthread_cond_wait(&looking.changed, &looking.lock);
			continue;
		}
		looking.is_due = true;
		look_at_all();
		looking.is_due = false;
		pthread_cond_broadcast(&looking.changed);
	}
	pthread_mutex_unlock(&looking.lock);
}

static long open_context(struct client *client, const struct remote_request *request)
{
	uint32_t number = request->device % REMOTE_PRIVILEGED;
	struct ist_tee_context *context;
	int error;

	if (number >= SERVER_DEVICES || request->device >= REMOTE_PRIVILEGED + SERVER_DEVICES)
		return -ENOENT;
	/*
	 * What others let go of before this was asked has its ids free, as the kernel would have it: also what the
	 * kernel took from a client that ended, of which nobody told.
	 */
	reap_all();
	error = request->device < REMOTE_PRIVILEGED
	                ? ist_tee_context_open(client->server->device[number], &context)
	                : ist_tee_supplicant_open(client->server->device[number], &context);
	if (error)
		return error;
	pthread_mutex_lock(&client->lock);
	error = client->context || client->ended ? -EINVAL : 0;
	if (!error)
		client->context = context;
	pthread_mutex_unlock(&client->lock);
	if (error)
		ist_tee_context_close(context);
	else /* never read: so that poll finds the client's descriptor readable and writable, as a device's */
		packet_send(client->socket, "", 1, -1);
	return error;
}

/* What is ready to be handed out: a descriptor that owns it, marked for those who find it; its key in the request. */
static long hand_out(struct remote_request *request, struct ist_tee_shm *shm, mode_t mode)
{
	int fd = shm_export(shm);

	if (fd < 0) {
		ist_tee_shm_put(shm);
		return fd;
	}
	request->key[0] = shm->handle.key;
	fchmod(fd, mode);
	return fd;
}

/* Of what was made beforehand; or -ENOENT. */
static long alloc_ready(struct ist_tee_context *context, uint64_t size, struct remote_request *request,
                        struct ist_tee_shm **out)
{
	struct ready ready;
	int fd;

	if (!shelf_take(ist_tee_device_manager(ist_tee_context_device(context)), size, &ready))
		return -ENOENT;
	fd = shm_adopt(context, &ready, out);
	if (fd < 0)
		shelf_put(&ready);
	else
		request->key[0] = ready.handle.key;
	return fd;
}

static long alloc_new(struct ist_tee_context *context, uint64_t size, struct remote_request *request,
                      struct ist_tee_shm **out)
{
	const uint32_t flags = IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF | IST_TEE_SHM_EXPORT;
	struct ist_tee_device *device = ist_tee_context_device(context);
	int error = ist_tee_shm_alloc(device, context, size, flags, out);

	if (error == -ENOMEM && shelf_empty())
		error = ist_tee_shm_alloc(device, context, size, flags, out);
	return error ? error : hand_out(request, *out, REMOTE_MODE_MAP);
}

static long alloc(struct ist_tee_context *context, struct remote_request *request)
{
	struct ist_tee_ioc_alloc data;
	struct ist_tee_shm *shm;
	long fd;

	memcpy(&data, request->arg, sizeof(data));
	if (data.flags)
		return -EINVAL;
	fd = alloc_ready(context, data.size, request, &shm);
	if (fd < 0)
		fd = alloc_new(context, data.size, request, &shm);
	if (fd < 0)
		return fd;
	/* The descriptor is ours still, so it is there. */
	data.size = ist_tee_shm_size(shm);
	data.id = ist_tee_shm_id(shm);
	memcpy(request->arg, &data, sizeof(data));
	return fd;
}

/* Memory that the client keeps, and a shadow of it here. The client has looked at the memory. */
static long register_shadow(struct ist_tee_context *context, struct remote_request *request)
{
	struct ist_tee_ioc_register data;
	struct ist_tee_shm *shm;
	int error;

	memcpy(&data, request->arg, sizeof(data));
	error = shm_alloc_shadow(context, data.length, &shm);
	if (error == -ENOMEM && shelf_empty())
		error = shm_alloc_shadow(context, data.length, &shm);
	if (error)
		return error;
	data.id = ist_tee_shm_id(shm);
	memcpy(request->arg, &data, sizeof(data));
	return hand_out(request, shm, REMOTE_MODE_REGISTERED);
}

/* A file: its descriptor comes from the ioctl, and is told apart here. */
static long register_file(struct ist_tee_context *context, struct remote_request *request, int file)
{
	struct ist_tee_ioc_register_fd data;
	struct stat info;
	long fd;

	memcpy(&data, request->arg, sizeof(data));
	data.fd = file;
	fd = ist_tee_ioctl(context, request->command, &data);
	memcpy(request->arg, &data, sizeof(data));
	if (fd < 0)
		return fd;
	fstat((int)fd, &info);
	request->key[0] = info.st_ino;
	fchmod((int)fd, REMOTE_MODE_REGISTERED);
	return fd;
}

/* An ioctl whose arguments lie in the request. What came beside it is a file to register. */
static long do_ioctl(struct ist_tee_context *context, struct remote_request *request, int file)
{
	struct ist_tee_ioc_buf buf;

	switch (request->command) {
	case IST_TEE_IOC_OPEN_SESSION:
	case IST_TEE_IOC_INVOKE:
	case IST_TEE_IOC_SUPPL_RECV:
	case IST_TEE_IOC_SUPPL_SEND:
		buf = (struct ist_tee_ioc_buf){(uintptr_t)request->buf, request->buf_bytes};
		return ist_tee_ioctl(context, request->command, &buf);
	case IST_TEE_IOC_SHM_ALLOC:
		return alloc(context, request);
	case IST_TEE_IOC_SHM_REGISTER:
		return context->is_supplicant ? -E_NOTSUPP : register_shadow(context, request);
	case IST_TEE_IOC_SHM_REGISTER_FD:
		return context->is_supplicant ? -EINVAL : register_file(context, request, file);
	default:
		return ist_tee_ioctl(context, request->command, request->arg);
	}
}

static bool gives_descriptor(uint32_t command)
{
	return command == IST_TEE_IOC_SHM_ALLOC || command == IST_TEE_IOC_SHM_REGISTER ||
	       command == IST_TEE_IOC_SHM_REGISTER_FD;
}

/* The socket is kept: a duplicate of what came. */
static long add_line(struct client *client, int socket)
{
	struct line *line = client->line;
	int error = -EMFILE;

	pthread_mutex_lock(&client->lock);
	while (line < client->line + LINES && line->client)
		line++;
	if (line < client->line + LINES && !client->ended) {
		*line = (struct line){client, fcntl(socket, F_DUPFD_CLOEXEC, 0)};
		error = line->socket < 0 ? -errno : begin(client, line_thread, line);
		if (error) {
			line->client = NULL;
			close(line->socket);
		}
	}
	pthread_mutex_unlock(&client->lock);
	return error;
}

static long answer_to(struct client *client, struct remote_request *request, int file)
{
	struct ist_tee_context *context;
	long answer = -EINVAL;

	if (request->op == REMOTE_OPEN)
		return open_context(client, request);
	context = context_of(client);
	if (!context)
		return -EINVAL;
	if (request->op == REMOTE_IOCTL && request->buf_bytes <= sizeof(request->buf))
		answer = do_ioctl(context, request, file);
	context_put(context);
	return answer;
}

/* The answer, and a descriptor if it is one, with its key in the request; it is not ours any more. */
static void tell(const struct remote_request *request, long answer, int to)
{
	bool has_fd = answer >= 0 && request->op == REMOTE_IOCTL && gives_descriptor(request->command);
	struct remote_reply reply = {.answer = has_fd ? 0 : answer};
	struct handles_batch batch;
	int fd = has_fd ? (int)answer : -1, error;

	memcpy(reply.arg, request->arg, sizeof(reply.arg));
	memcpy(reply.buf, request->buf, sizeof(reply.buf));
	if (has_fd)
		reply.key = request->key[0];
	if (has_fd)
		handles_sending(&batch);
	error = packet_send(to, &reply, sizeof(reply), fd);
	if (!has_fd)
		return;
	close(fd);
	handles_sent(&batch);
	if (error) /* nobody has it */
		ist_tee_reap(reply.key);
}

static void reap(const struct remote_request *request)
{
	uint32_t count = request->key_count <= REMOTE_KEYS ? request->key_count : 0;

	if (request->key_count > REMOTE_KEYS)
		reap_all();
	else if (count)
		handles_settle(); /* the thread that sent it may not have come to close its own */
	for (uint32_t i = 0; i < count; i++)
		if (request->key[i] != 0 && request->key[i] != IST_TEE_REAP_UNMAPPED)
			ist_tee_reap(request->key[i]);
	ist_tee_reap(IST_TEE_REAP_UNMAPPED);
}

/* It waits for an application, or for what one wants, which may take its time. */
static bool may_last(const struct remote_request *request)
{
	return request->op == REMOTE_IOCTL &&
	       (request->command == IST_TEE_IOC_INVOKE || request->command == IST_TEE_IOC_OPEN_SESSION ||
	        request->command == IST_TEE_IOC_SUPPL_RECV);
}

/* What was closed, then the request; what it left to be done afterwards, for it answers first. */
static void serve_request(struct client *client, struct remote_request *request, int file, int to)
{
	long answer = -EINVAL;

	if (!may_last(request))
		shm_defer_begin();
	reap(request);
	if (to >= 0)
		tell(request, answer = answer_to(client, request, file), to);
	shm_defer_end();
	if (answer >= 0 && request->op == REMOTE_IOCTL && request->command == IST_TEE_IOC_SHM_ALLOC)
		shelf_fill(client->server->manager, request->arg[0]);
}

/* This thread is busy: another one waits for requests meanwhile. Without one the next request waits. */
static void be_busy(struct client *client, bool for_long)
{
	pthread_mutex_lock(&client->lock);
	client->idle--;
	if (for_long && client->idle == 0 && !client->ended)
		begin_thread(client);
	pthread_mutex_unlock(&client->lock);
}

/* False: there are others who wait, this thread can go. */
static bool be_idle(struct client *client)
{
	bool stay;

	pthread_mutex_lock(&client->lock);
	stay = client->idle == 0 && !client->ended;
	if (stay)
		client->idle++;
	pthread_mutex_unlock(&client->lock);
	return stay;
}

static void serve_one(struct client *client, struct remote_request *request, const int fds[PACKET_FDS])
{
	be_busy(client, may_last(request));
	if (request->op == REMOTE_LINE && fds[0] >= 0)
		tell(request, add_line(client, fds[0]), fds[0]);
	else
		serve_request(client, request, fds[1], request->op == REMOTE_CLOSED ? -1 : fds[0]);
}

static void close_all(const int fds[PACKET_FDS])
{
	for (int i = 0; i < PACKET_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void *line_thread(void *of)
{
	struct line *line = of;
	struct client *client = line->client;
	struct remote_request request;
	int fds[PACKET_FDS], socket = line->socket;

	while (packet_receive(socket, &request, sizeof(request), fds) == 1 && request.magic == REMOTE_MAGIC &&
	       request.op == REMOTE_IOCTL) {
		serve_request(client, &request, fds[0], socket);
		close_all(fds);
	}
	close_all(fds);
	pthread_mutex_lock(&client->lock);
	line->client = NULL;
	close(socket);
	pthread_mutex_unlock(&client->lock);
	leave(client);
	return NULL;
}

static void *client_thread(void *of)
{
	struct client *client = of;
	struct remote_request request;
	int fds[PACKET_FDS], got;

	do {
		got = packet_receive(client->socket, &request, sizeof(request), fds);
		if (got == 1 && request.magic == REMOTE_MAGIC)
			serve_one(client, &request, fds);
		else
			got = 0;
		close_all(fds);
	} while (got && be_idle(client));
	if (!got)
		end(client);
	leave(client);
	return NULL;
}

int client_serve(struct server *server, int socket)
{
	struct client *client = calloc(1, sizeof(*client));
	int error;

	if (!client)
		return -ENOMEM;
	client->server = server;
	client->socket = socket;
	pthread_mutex_init(&client->lock, NULL);
	atomic_fetch_add_explicit(&clients, 1, memory_order_relaxed);
	pthread_mutex_lock(&client->lock);
	error = begin_thread(client);
	pthread_mutex_unlock(&client->lock);
	if (error) {
		atomic_fetch_sub_explicit(&clients, 1, memory_order_relaxed);
		pthread_mutex_destroy(&client->lock);
		free(client);
	}
	return error;
}
