/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "preload/lines.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"
#include "preload/preload.h"
#include "tee/packet.h"

#define LINE_AFTER 4u /* requests in a row over one context */

struct pair {
	int mine, theirs; /* theirs -1: the server has it */
	ino_t inode; /* of `mine`: who closes all descriptors there are closes it too */
	int owner; /* the process */
};

/* Of a thread. */
struct lines {
	struct pair loose, line; /* owner 0: there is none */
	uint64_t context; /* of the line, or of the last requests */
	uint32_t count; /* of those */
};

static pthread_key_t lines_key;
static pthread_once_t lines_once = PTHREAD_ONCE_INIT;
static bool lines_has_key;

static bool pair_is_good(const struct pair *pair)
{
	struct stat file;

	return pair->owner == platform_pid() && fstat(pair->mine, &file) == 0 && file.st_ino == pair->inode;
}

/* If it is a parent's, or was closed under us, its numbers are not ours to close. */
static void pair_drop(struct pair *pair)
{
	if (pair->owner && pair_is_good(pair)) {
		real()->close(pair->mine);
		if (pair->theirs >= 0)
			real()->close(pair->theirs);
	}
	pair->owner = 0;
}

static int pair_make(struct pair *out)
{
	struct stat file;
	int both[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both) != 0)
		return errno == EMFILE ? -EMFILE : -ENOMEM;
	fstat(both[0], &file);
	*out = (struct pair){both[0], both[1], file.st_ino, platform_pid()};
	return 0;
}

static void lines_drop(void *of)
{
	struct lines *lines = of;

	pair_drop(&lines->loose);
	pair_drop(&lines->line);
	free(lines);
}

static void lines_start(void)
{
	lines_has_key = pthread_key_create(&lines_key, lines_drop) == 0;
}

static struct lines *lines_get(void)
{
	struct lines *lines;

	pthread_once(&lines_once, lines_start);
	if (!lines_has_key)
		return NULL;
	lines = pthread_getspecific(lines_key);
	if (lines)
		return lines;
	lines = calloc(1, sizeof(*lines));
	if (lines && pthread_setspecific(lines_key, lines) != 0) {
		free(lines);
		return NULL;
	}
	return lines;
}

/* Until there is an answer, or nobody left to give one. */
static int wait_for(int end, int socket)
{
	struct pollfd both[2] = {{.fd = end, .events = POLLIN}, {.fd = socket, .events = POLLRDHUP}};

	for (;;) {
		if (poll(both, 2, -1) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (both[0].revents & POLLIN)
			return 0;
		if (both[1].revents)
			return -ENODEV;
	}
}

/* After an error an answer may still come, so the pair is not used again. */
static int ask_loose(struct pair *pair, int socket, const struct remote_request *request, int file,
                     struct remote_reply *reply, int *fd)
{
	int fds[PACKET_FDS] = {-1, -1}, error = 0;

	if (!pair->owner || !pair_is_good(pair))
		error = pair_make(pair);
	if (error)
		return error;
	error = packet_send_and_wait(socket, request, sizeof(*request), (const int[]){pair->theirs, file});
	if (!error)
		error = wait_for(pair->mine, socket);
	if (!error && packet_receive_as(pair->mine, reply, sizeof(*reply), fds, true) != 1)
		error = -ENODEV;
	*fd = fds[0];
	if (!error)
		return 0;
	pair_drop(pair);
	return error == -EBADF ? -EBADF : -ENODEV;
}

/* The same over a line; -EAGAIN: it has ended before, nothing was sent. */
static int ask_line(struct pair *line, const struct remote_request *request, int file,
                    struct remote_reply *reply, int *fd)
{
	int fds[PACKET_FDS] = {-1, -1}, error = -EAGAIN;

	if (pair_is_good(line))
		error = packet_send(line->mine, request, sizeof(*request), file) ? -EAGAIN : 0;
	if (!error && packet_receive_as(line->mine, reply, sizeof(*reply), fds, true) != 1)
		error = -ENODEV;
	*fd = fds[0];
	if (error)
		pair_drop(line);
	return error;
}

/* A line of this context, if it is worth it and the server has one to give; it is asked once. */
static void want_line(struct lines *lines, int socket, uint64_t context)
{
	const struct remote_request request = {.magic = REMOTE_MAGIC, .op = REMOTE_LINE};
	struct remote_reply reply;
	struct pair pair;
	int fd;

	if (lines->context != context) {
		lines->context = context;
		lines->count = 0;
	}
	if (++lines->count != LINE_AFTER || pair_make(&pair) != 0)
		return;
	if (ask_loose(&pair, socket, &request, -1, &reply, &fd) != 0)
		return;
	if (reply.answer != 0) {
		pair_drop(&pair);
		return;
	}
	real()->close(pair.theirs);
	pair.theirs = -1;
	lines->line = pair;
}

int lines_ask(int socket, uint64_t context, const struct remote_request *request, int file,
              struct remote_reply *reply, int *fd)
{
	struct lines *lines = lines_get();
	int error;

	*fd = -1;
	if (!lines)
		return -ENOMEM;
	if (context && lines->line.owner && lines->context == context) {
		error = ask_line(&lines->line, request, file, reply, fd);
		if (error != -EAGAIN)
			return error;
	}
	if (context && !lines->line.owner)
		want_line(lines, socket, context);
	return ask_loose(&lines->loose, socket, request, file, reply, fd);
}
