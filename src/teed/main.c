/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A server of TEE devices for many processes: each connection to its socket is a context. */
#include "teed/server.h"

#include <isthmus/share.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SWEEP_MS_MIN 20
#define SWEEP_MS_MAX 1000

struct options {
	const char *socket, *file;
	size_t size;
	bool pool_only;
};

static const char usage[] =
        "usage: isthmus-teed [--size BYTES] [--file PATH] [--pool] SOCKET\n"
        "\n"
        "Serves TEE devices to programs that run with libisthmus-tee-preload.so preloaded and\n"
        "ISTHMUS_TEE_SERVER=SOCKET in their environment.\n"
        "\n"
        "  --size BYTES  of the carve-out, with K, M or G (default 64M)\n"
        "  --file PATH   a file that is the carve-out (default: a memory file)\n"
        "  --pool        no registered memory and no null references, as old drivers\n";

static _Atomic int stopped; /* lock-free, so a handler may write it */

static void stop(int signal)
{
	(void)signal;
	atomic_store_explicit(&stopped, 1, memory_order_relaxed);
}

/* 0: it is none, or too large. */
static size_t parse_size(const char *text)
{
	char *end;
	unsigned long long size = text[0] == '-' ? 0 : strtoull(text, &end, 0);
	unsigned power;

	if (size == 0)
		return 0;
	power = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	return end[power != 0] == 0 && size <= SIZE_MAX >> power ? (size_t)size << power : 0;
}

static bool parse(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {
	        {"size", required_argument, NULL, 's'},
	        {"file", required_argument, NULL, 'f'},
	        {"pool", no_argument, NULL, 'p'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	int option;

	*out = (struct options){.size = (size_t)64 << 20};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 's')
			out->size = parse_size(optarg);
		else if (option == 'f')
			out->file = optarg;
		else if (option == 'p')
			out->pool_only = true;
		else
			return false;
	}
	out->socket = argv[optind];
	return out->size && optind + 1 == argc;
}

static int open_carve_out(const struct options *options)
{
	int fd = options->file ? open(options->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
	                       : memfd_create("tee carve-out", MFD_CLOEXEC);

	int error = fd < 0 || ftruncate(fd, (off_t)options->size) != 0 ? -errno : 0;

	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

static int make_manager(const struct options *options, struct ist_manager **out)
{
	struct ist_manager_config config = {.paddr = UINT64_C(0x42000000), .size = options->size};
	int fd = open_carve_out(options), error;

	if (fd < 0)
		return fd;
	config.driver_pool_size = options->size / 16;
	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	error = config.vaddr == MAP_FAILED ? -errno : ist_manager_create(&config, out);
	if (!error)
		error = ist_manager_set_file(*out, fd, 0);
	close(fd);
	return error;
}

static int make_devices(const struct options *options, struct server *server)
{
	const struct ist_tee_config config = {.caps = options->pool_only ? IST_TEE_CAP_GP : 0};
	int error = make_manager(options, &server->manager);

	for (unsigned i = 0; i < SERVER_DEVICES && !error; i++)
		error = ist_tee_device_create(server->manager, &config, &server->device[i]);
	return error;
}

/* To a file that is no socket nobody can connect either. */
static bool is_socket(const char *path)
{
	struct stat file;

	return lstat(path, &file) == 0 && S_ISSOCK(file.st_mode);
}

/* A socket that a server left behind, dead, is taken away; of a living one, and of all other files, we keep our hands. */
static int listen_at(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int answer = -ENAMETOOLONG;

	if (fd < 0)
		return -errno;
	if (strlen(path) < sizeof(name.sun_path)) {
		strcpy(name.sun_path, path);
		if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
			answer = -EADDRINUSE;
		else if (errno == ECONNREFUSED && is_socket(path))
			unlink(path);
		if (answer != -EADDRINUSE)
			answer = bind(fd, (struct sockaddr *)&name, sizeof(name)) || listen(fd, 128) ? -errno
			                                                                             : fd;
	}
	if (answer < 0)
		close(fd);
	return answer;
}

/*
 * What dead clients had goes when the kernel has closed their descriptors, which is soon after their connection. So as long as
 * there are more contexts than connections, look again.
 */
static int sweep(struct server *server, int last_ms)
{
	uint64_t contexts = 0;

	for (unsigned i = 0; i < SERVER_DEVICES; i++) {
		struct ist_tee_stats stats;

		ist_tee_device_stats(server->device[i], &stats);
		contexts += stats.contexts;
	}
	if (contexts <= client_count())
		return SWEEP_MS_MIN;
	ist_tee_reap(0);
	return last_ms * 2 < SWEEP_MS_MAX ? last_ms * 2 : SWEEP_MS_MAX;
}

static void take_clients(struct server *server, int listener)
{
	int pause = SWEEP_MS_MIN;

	while (!atomic_load_explicit(&stopped, memory_order_relaxed)) {
		struct pollfd ready = {.fd = listener, .events = POLLIN};
		int fd;

		if (poll(&ready, 1, pause) > 0 && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 &&
		    client_serve(server, fd) != 0)
			close(fd);
		pause = sweep(server, pause);
	}
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "isthmus-teed: %s: %s\n", what, strerror(-error));
	return 1;
}

int main(int argc, char **argv)
{
	static struct server server; /* as long as threads that serve may run */
	const struct sigaction on_stop = {.sa_handler = stop};
	struct options options;
	struct rlimit files;
	int listener, error;

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &on_stop, NULL);
	sigaction(SIGINT, &on_stop, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* one for each shared memory there is */
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	error = make_devices(&options, &server);
	if (error)
		return fail("carve-out", error);
	listener = listen_at(options.socket);
	if (listener < 0)
		return fail(options.socket, listener);
	printf("serving at %s\n", options.socket);
	fflush(stdout);
	take_clients(&server, listener);
	unlink(options.socket);
	return 0;
}
