/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A vhost-user block device over isthmus: one front end at a time, any number in turn. See README.md. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "session.h"

#define MESSAGES_DEFAULT 1024 /* KiB of the driver pool */
#define MESSAGES_LEAST 8 /* one request with all segments that there may be */
#define CARVE_OUT_PADDR (UINT64_C(1) << 62) /* above GUEST_LIMIT: no guest has memory there */

#define TICK_NS 50000000 /* how long a front end may keep us waiting: see start_ticks */

struct server {
	struct ist_manager *manager;
	struct blk blk;
	void *carve_out;
	const char *path;
	int epoll, listener, signals;
	uint32_t peers; /* so far: the number of an owner */
	bool has_session;
	struct session session;
};

static int watch(const struct server *server, int fd, uint32_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int make_manager(struct server *server, size_t messages)
{
	struct ist_manager_config config = {
	        .paddr = CARVE_OUT_PADDR, .size = 2 * messages, .driver_pool_size = messages};

	server->carve_out =
	        mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (server->carve_out == MAP_FAILED)
		return -errno;
	config.vaddr = server->carve_out;
	return ist_manager_create(&config, &server->manager);
}

/* A socket that somebody listens at is left alone; one that was left behind is replaced. */
static int listen_at(struct server *server, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN) {
		close(fd);
		return -EADDRINUSE;
	}
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 8)) {
		int error = -errno;

		close(fd);
		return error;
	}
	server->listener = fd;
	server->path = path;
	return watch(server, fd, EVENT_LISTEN);
}

static int take_signals(struct server *server)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	server->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	return server->signals < 0 ? -errno : watch(server, server->signals, EVENT_SIGNAL);
}

static void on_tick(int signal_number)
{
	(void)signal_number;
}

/*
 * The one call that a front end can keep waiting is the write to its eventfd, when it is full and of the blocking kind. A signal every
 * 50 ms, to this thread alone, interrupts it, whichever moment it comes too early at.
 */
static int start_ticks(void)
{
	struct sigaction action = {.sa_handler = on_tick};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	struct itimerspec every = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	signal(SIGPIPE, SIG_IGN);
	if (sigaction(SIGALRM, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		return -errno;
	return 0;
}

#define ULL(number) ((unsigned long long)(number))

/* What is left of it should be nothing: tests read this. The first owner is the host, who is always there. */
static void say_gone(const struct server *server, int error)
{
	const struct session *session = &server->session;
	struct ist_mapping_stats stats = {0};
	struct ist_pool_stats pool = {0};

	ist_mapping_drain(server->manager);
	ist_mapping_stats(server->manager, &stats);
	ist_driver_pool_stats(ist_manager_driver_pool(server->manager), &pool);
	printf("peer %u gone: %s; %llu requests, %llu regions came and %llu went, %llu messages refused; "
	       "left: %llu owners, %llu backings, %llu mappings, %llu pages, %zu bytes of messages%s\n",
	       server->peers, session->reason ? session->reason : "the server ends", ULL(session->requests),
	       ULL(session->guest.came), ULL(session->guest.went), ULL(session->refused),
	       ULL(stats.owners - 1), ULL(stats.backings),
	       ULL(stats.mappings + stats.referenced + stats.waiting), ULL(stats.pages), pool.used,
	       error ? " (an error)" : "");
	fflush(stdout);
}

static void end_session(struct server *server)
{
	int error;

	if (!server->has_session)
		return;
	error = session_close(&server->session);
	server->has_session = false;
	say_gone(server, error);
}

/* One at a time: whoever comes meanwhile finds the connection closed. */
static void accept_peer(struct server *server)
{
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), error;

	if (fd < 0)
		return;
	if (server->has_session) {
		close(fd);
		return;
	}
	server->peers = server->peers == UINT32_MAX ? 1 : server->peers + 1;
	error = session_open(&server->session, fd, server->manager, server->peers, &server->blk,
	                     server->epoll);
	server->has_session = error == 0;
	if (error)
		fprintf(stderr, "peer %u: %s\n", server->peers, strerror(-error));
}

/* Events of a session that has ended in the meantime are nobody's. */
static int on_event(struct server *server, uint32_t what)
{
	struct session *session = &server->session;

	if (what == EVENT_LISTEN)
		accept_peer(server);
	if (what < EVENT_SOCKET || !server->has_session)
		return 0;
	if (what == EVENT_SOCKET)
		return session_message(session);
	return what == EVENT_DONE ? session_done(session) : session_kick(session, what - EVENT_KICK);
}

static int serve(struct server *server)
{
	struct epoll_event event[16];

	for (;;) {
		int count = epoll_wait(server->epoll, event, 16, -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < count; i++) {
			if (event[i].data.u32 == EVENT_SIGNAL) {
				end_session(server);
				return 0;
			}
			if (on_event(server, event[i].data.u32)) {
				end_session(server);
				break; /* further events may be of what has ended */
			}
		}
	}
}

struct options {
	bool read_only;
	size_t messages; /* bytes */
	const char *socket, *disk;
};

static bool parse(int count, char **arguments, struct options *options)
{
	static const struct option known[] = {
	        {"read-only", no_argument, NULL, 'r'}, {"messages", required_argument, NULL, 'm'}, {0}};
	long kib = MESSAGES_DEFAULT;
	char *end = NULL;
	int option;

	while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
		if (option == 'r')
			options->read_only = true;
		else if (option == 'm')
			kib = strtol(optarg, &end, 10);
		else
			return false;
	}
	if ((end && *end) || kib < MESSAGES_LEAST || kib > 1 << 20 || count - optind != 2)
		return false;
	options->messages = (size_t)kib * 1024;
	options->socket = arguments[optind];
	options->disk = arguments[optind + 1];
	return true;
}

static int start(struct server *server, const struct options *options)
{
	int error = fault_install();

	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	if (!error)
		error = make_manager(server, options->messages);
	if (!error)
		error = take_signals(server);
	if (!error)
		error = start_ticks();
	if (!error)
		error = blk_open(&server->blk, options->disk, options->read_only,
		                 ist_manager_driver_pool(server->manager));
	if (!error)
		error = watch(server, server->blk.done_event, EVENT_DONE);
	if (!error)
		error = listen_at(server, options->socket);
	return error;
}

int main(int count, char **arguments)
{
	static struct server server;
	struct options options = {0};
	int error;

	if (!parse(count, arguments, &options)) {
		fprintf(stderr,
		        "usage: vhost-user-blk [--read-only] [--messages KIB] SOCKET DISK\n"
		        "  --read-only     nothing is written to the disk\n"
		        "  --messages KIB  memory for requests that are under way, at least %d; default %d\n",
		        MESSAGES_LEAST, MESSAGES_DEFAULT);
		return 2;
	}
	error = start(&server, &options);
	if (error) {
		fprintf(stderr, "vhost-user-blk: %s\n", strerror(-error));
		return 1;
	}
	printf("serving %s at %s\n", options.disk, server.path);
	fflush(stdout);
	error = serve(&server);
	unlink(server.path);
	blk_close(&server.blk);
	if (error || ist_manager_destroy(server.manager)) {
		fprintf(stderr, "vhost-user-blk: something is left\n");
		return 1;
	}
	return 0;
}
