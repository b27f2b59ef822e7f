/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Ids of what others had: after a client has ended in whatever way, or closed unseen, the first id of the next context is 1.
 * usage: ids (local|server) (full|pool) [hold FD]
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 25, WAYS = 6 };

static const char *program, *mode;

static int alloc(int tee, int *id)
{
	struct ist_tee_ioc_alloc data = {.size = 8192};
	int fd = ioctl(tee, IST_TEE_IOC_SHM_ALLOC, &data);

	*id = data.id;
	return fd;
}

/* Some memory, in descriptors and in mappings without, and the end. */
static void be_a_client(int way, int ready)
{
	int tee = open("/dev/tee6", O_RDWR), id;
	char number[12];

	for (int i = 0; i < 20; i++) {
		int fd = alloc(tee, &id);
		void *at = i % 3 ? NULL : mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (i == 0 && id != 1)
			_exit(1);
		if (at == MAP_FAILED)
			_exit(2);
		if (i % 4 == 0)
			close(fd);
	}
	switch (way) {
	case 0: /* as it is */
		_exit(0);
	case 1: /* the context first */
		close(tee);
		_exit(0);
	case 2: /* all at once, and a little later */
		close_range(3, ~0u, 0);
		_exit(0);
	case 3: /* a program that knows of nothing, and ends */
		execl("/bin/true", "true", NULL);
		_exit(3);
	case 4: /* the same that knows the device, and closes what it has got unseen */
		snprintf(number, sizeof(number), "%d", tee);
		execl(program, program, "server", mode, "hold", number, NULL);
		_exit(4);
	default: /* killed, while it does nothing */
		if (write(ready, "", 1) != 1)
			_exit(5);
		pause();
	}
}

static void end_and_begin(int way)
{
	int both[2], status, id, fd, tee;
	char byte;
	pid_t child;

	CHECK(pipe(both) == 0);
	child = fork();
	if (child == 0)
		be_a_client(way, both[1]);
	close(both[1]);
	if (way == 5) {
		CHECK(read(both[0], &byte, 1) == 1);
		kill(child, SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(way == 5 ? WIFSIGNALED(status) : status == 0);
	close(both[0]);
	tee = open("/dev/tee6", O_RDWR);
	fd = alloc(tee, &id);
	CHECK(fd >= 0 && id == 1);
	if (id != 1)
		printf("  way %d: id %d\n", way, id);
	close(fd);
	close(tee);
}

/* After exec: what was there is closed, seen by nobody; then the next id is the lowest. */
static int hold(int tee)
{
	int id, fd;

	for (int i = 3; i < 100; i++)
		if (i != tee && fcntl(i, F_GETFD) >= 0) {
			FILE *file = fdopen(i, "r+");

			if (file)
				fclose(file);
		}
	fd = alloc(tee, &id);
	return fd >= 0 && id == 1 ? 0 : 6;
}

/* Closed where no hook sees it, in this process and by a child that had the last of it. */
static void unseen(void)
{
	int tee = open("/dev/tee6", O_RDWR), id, fd = alloc(tee, &id), next, status, both[2];
	FILE *file = fdopen(fd, "r+");
	pid_t child;

	CHECK(file && fclose(file) == 0 && id == 1);
	close(tee);
	tee = open("/dev/tee6", O_RDWR);
	fd = alloc(tee, &id);
	CHECK(id == 1 && pipe(both) == 0);
	child = fork();
	if (child == 0) {
		close(both[1]);
		_exit(read(both[0], &status, 1) != 0); /* until the parent says so */
	}
	close(both[0]);
	close(fd); /* the child has it still */
	close(tee);
	tee = open("/dev/tee6", O_RDWR);
	fd = alloc(tee, &next);
	CHECK(next == 2);
	close(fd);
	close(both[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(tee);
	tee = open("/dev/tee6", O_RDWR);
	fd = alloc(tee, &id);
	CHECK(id == 1);
	close(fd);
	close(tee);
}

int main(int argc, char **argv)
{
	bool is_server = argc > 1 && strcmp(argv[1], "server") == 0;

	program = argv[0];
	mode = argc > 2 ? argv[2] : "full";
	if (argc == 5)
		return hold(atoi(argv[4]));
	for (int round = 0; round < times(ROUNDS) && is_server; round++)
		for (int way = 0; way < WAYS; way++)
			end_and_begin(way);
	for (int round = 0; round < times(ROUNDS); round++)
		unseen();
	return faults != 0;
}
