/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What else programs do with descriptors: streams, moving bytes, sockets' calls, fork and exec; and what is not seen, which must fail as
 * if there were nothing.
 * usage: streams (local|server) (full|pool) [again DEVICE MEMORY]
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILS(call, error)                                                                                   \
	check((errno = 0, (long)(call) == -1) && errno == (error), __LINE__, #call " = " #error)

static const char *program;
static bool is_server;

static bool is_tee(int fd)
{
	struct ist_tee_version version;

	return ioctl(fd, IST_TEE_IOC_VERSION, &version) == 0;
}

static int alloc(int tee, int *id)
{
	struct ist_tee_ioc_alloc data = {.size = 4096};
	int fd = ioctl(tee, IST_TEE_IOC_SHM_ALLOC, &data);

	*id = data.id;
	return fd;
}

static void refuses(int fd)
{
	int both[2], memory = memfd_create("mine", 0);
	char data[8] = "abc";
	struct iovec part = {data, sizeof(data)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	CHECK(pipe(both) == 0 && write(both[1], data, 4) == 4 && ftruncate(memory, 100) == 0);
	FAILS(splice(fd, NULL, both[1], NULL, 4, 0), EINVAL);
	FAILS(splice(both[0], NULL, fd, NULL, 4, 0), EINVAL);
	FAILS(splice(fd, NULL, -1, NULL, 4, 0), EBADF);
	CHECK(splice(fd, NULL, both[1], NULL, 0, 0) == 0);
	FAILS(sendfile(memory, fd, NULL, 4), EINVAL);
	FAILS(sendfile(fd, memory, NULL, 4), EINVAL);
	FAILS(sendfile(fd, -1, NULL, 4), EBADF);
	FAILS(copy_file_range(fd, NULL, memory, NULL, 4, 0), EINVAL);
	FAILS(copy_file_range(memory, NULL, fd, NULL, 4, 0), EINVAL);
	FAILS(copy_file_range(1000, NULL, fd, NULL, 4, 0), EBADF);
	FAILS(send(fd, data, 1, 0), ENOTSOCK);
	FAILS(sendto(fd, data, 1, 0, NULL, 0), ENOTSOCK);
	FAILS(sendmsg(fd, &message, 0), ENOTSOCK);
	FAILS(recv(fd, data, 1, MSG_DONTWAIT), ENOTSOCK);
	FAILS(recvfrom(fd, data, 1, MSG_DONTWAIT, NULL, NULL), ENOTSOCK);
	FAILS(recvmsg(fd, &message, MSG_DONTWAIT), ENOTSOCK);
	FAILS(shutdown(fd, SHUT_RDWR), ENOTSOCK);
	/* What is the program's own goes on as ever. */
	CHECK(splice(both[0], NULL, memory, NULL, 4, 0) == 4);
	CHECK(sendfile(both[1], memory, &(off_t){0}, 4) == 4 && read(both[0], data, 4) == 4);
	close(both[0]);
	close(both[1]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, both) == 0);
	CHECK(send(both[0], data, 4, 0) == 4 && recv(both[1], data, 4, 0) == 4);
	CHECK(sendmsg(both[0], &message, 0) == 8 && recvmsg(both[1], &message, 0) == 8);
	CHECK(shutdown(both[0], SHUT_WR) == 0);
	close(both[0]);
	close(both[1]);
	close(memory);
}

static void moving(void)
{
	int tee = open("/dev/tee0", O_RDWR), id, fd = alloc(tee, &id);

	refuses(tee);
	refuses(fd);
	CHECK(is_tee(tee) && close(fd) == 0);
	fd = alloc(tee, &id);
	CHECK(fd >= 0 && id == 1);
	close(fd);
	close(tee);
}

static void streams(void)
{
	int tee = open("/dev/tee0", O_RDWR), id, fd = alloc(tee, &id), next;
	FILE *memory = fdopen(fd, "r+"), *file = tmpfile(), *device;

	CHECK(memory && file && id == 1);
	CHECK(fputs("something", file) >= 0);
	device = freopen("/dev/tee0", "r+", file);
	CHECK(device && is_tee(fileno(device)) && fcntl(fileno(device), F_GETFD) == 0);
	device = freopen("/dev/tee1", "r+e", device); /* from one to another */
	CHECK(device && is_tee(fileno(device)) && fcntl(fileno(device), F_GETFD) == FD_CLOEXEC);
	fd = alloc(fileno(device), &next);
	CHECK(fd >= 0 && next == 1); /* the other device's first */
	close(fd);
	device = freopen("/dev/null", "r", device);
	CHECK(device && !is_tee(fileno(device)) && fclose(device) == 0);
	memory = freopen("/dev/null", "r+", memory); /* the last descriptor of the memory */
	fd = alloc(tee, &id);
	CHECK(memory && fd >= 0 && id == 1);
	fclose(memory);
	file = tmpfile();
	errno = 0;
	CHECK(freopen("/dev/tee0/", "r+", file) == NULL && errno == ENOTDIR);
	device = fdopen(dup(tee), "r+");
	CHECK(device && is_tee(fileno(device)) && fclose(device) == 0 && is_tee(tee));
	close(fd);
	close(tee);
}

/* Calls that no library sees. */
static void unseen(void)
{
	struct open_how how = {.flags = O_RDWR};
	long answer = syscall(SYS_openat2, AT_FDCWD, "/dev/tee0", &how, sizeof(how));

	CHECK(answer == -1 && (errno == ENOENT || errno == ENOSYS));
	FAILS(syscall(SYS_openat, AT_FDCWD, "/dev/tee0", O_RDWR, 0), ENOENT);
}

/* In a child of fork, or a program that was begun there: with a server all goes on, else what the parent had is not ours. */
static int inherited(int tee, int fd)
{
	struct ist_tee_ioc_alloc data = {.size = 1};
	int own, id;

	if (is_server) {
		CHECK(is_tee(tee));
	} else {
		FAILS(ioctl(tee, IST_TEE_IOC_SHM_ALLOC, &data), ENOTTY);
		FAILS(ioctl(fd, IST_TEE_IOC_SHM_ALLOC, &data), ENOTTY);
		CHECK(fcntl(tee, F_GETFD) >= 0);
	}
	own = open("/dev/tee0", O_RDWR);
	CHECK(own >= 0 && is_tee(own));
	fd = alloc(own, &id);
	CHECK(fd >= 0 && id == (is_server ? 2 : 1));
	close(fd);
	close(own);
	close(tee);
	return faults != 0;
}

static void begun_elsewhere(void)
{
	int tee = open("/dev/tee0", O_RDWR), id, fd = alloc(tee, &id), status;
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), numbers[2][12];

	CHECK(at != MAP_FAILED);
	snprintf(numbers[0], sizeof(numbers[0]), "%d", tee);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", fd);
	for (int exec = 0; exec < 2; exec++) {
		pid_t child = fork();

		if (child == 0) {
			at[1]++;
			if (!exec)
				_exit(inherited(tee, fd));
			execl(program, program, is_server ? "server" : "local", "full", "again", numbers[0],
			      numbers[1], NULL);
			_exit(9);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		CHECK(is_tee(tee) && at[1] == exec + 1);
	}
	munmap(at, 4096);
	close(fd);
	fd = alloc(tee, &id);
	CHECK(id == 1);
	close(fd);
	close(tee);
}

int main(int argc, char **argv)
{
	program = argv[0];
	is_server = argc > 1 && strcmp(argv[1], "server") == 0;
	if (argc == 6)
		return inherited(atoi(argv[4]), atoi(argv[5]));
	moving();
	streams();
	unseen();
	begun_elsewhere();
	return faults != 0;
}
