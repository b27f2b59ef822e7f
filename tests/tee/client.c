/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A client that knows nothing of this library: it opens /dev/tee0 and makes ioctls. To be run with the preloaded library.
 * usage: client (local|server) (full|pool) [again FD]
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ECHO, SUM, COPY, WAIT };

static const char *program;
static bool is_server, is_full;

#define FAILS(call, error)                                                                                   \
	check((errno = 0, (long)(call) == -1) && errno == (error), __LINE__, #call " = " #error)

static int alloc(int tee, uint64_t size, int *id)
{
	struct ist_tee_ioc_alloc data = {.size = size};
	int fd = ioctl(tee, IST_TEE_IOC_SHM_ALLOC, &data);

	*id = data.id;
	return fd;
}

static int reg(int tee, void *addr, uint64_t length, int *id)
{
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)addr, .length = length};
	int fd = ioctl(tee, IST_TEE_IOC_SHM_REGISTER, &data);

	*id = data.id;
	return fd;
}

static uint32_t session(int tee)
{
	struct ist_tee_ioc_open arg = {.uuid = {1}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&arg, sizeof(arg)};

	CHECK(ioctl(tee, IST_TEE_IOC_OPEN_SESSION, &buf) == 0 && arg.ret == 0);
	return arg.session;
}

struct call {
	struct ist_tee_ioc_invoke arg;
	struct ist_tee_ioc_param param[4];
};

static int invoke(int tee, struct call *call)
{
	struct ist_tee_ioc_buf buf = {(uintptr_t)call, sizeof(*call)};

	call->arg.num_params = 4;
	return ioctl(tee, IST_TEE_IOC_INVOKE, &buf);
}

/* The sum of the bytes of a shm, by the trusted side; -1: it cannot. */
static long sum(int tee, uint32_t in, int id, uint64_t size)
{
	struct call call = {.arg = {.session = in, .func = SUM}};

	call.param[0] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_IN, 0, size, (uint64_t)(int64_t)id};
	call.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
	if (invoke(tee, &call) != 0 || call.arg.ret != 0)
		return -1;
	return (long)call.param[1].a;
}

static void opening(void)
{
	struct ist_tee_version version = {0};
	int tee = open("/dev/tee0", O_RDWR), other = openat(AT_FDCWD, "/dev/tee9", O_RDWR | O_CLOEXEC);
	struct pollfd both = {.fd = tee, .events = POLLIN | POLLOUT};
	uint32_t caps = IST_TEE_CAP_GP | (is_full ? IST_TEE_CAP_REG_MEM | IST_TEE_CAP_MEMREF_NULL : 0);

	CHECK(tee >= 0 && other >= 0);
	CHECK(fcntl(tee, F_GETFD) == 0 && fcntl(other, F_GETFD) == FD_CLOEXEC);
	CHECK(ioctl(tee, IST_TEE_IOC_VERSION, &version) == 0);
	CHECK(version.impl_id == 1 && version.impl_caps == 1 && version.gen_caps == caps);
	CHECK(poll(&both, 1, 0) == 1 && both.revents == (POLLIN | POLLOUT));
	FAILS(open("/dev/tee10", O_RDWR), ENOENT);
	FAILS(open("/dev/tee0/", O_RDWR), ENOTDIR);
	FAILS(open("/dev/tee0/../tee1", O_RDWR), ENOTDIR);
	FAILS(ioctl(tee, 0x5401, &version), EINVAL);
	FAILS(ioctl(tee, 0xa4ff, &version), EINVAL);
	FAILS(ioctl(tee, IST_TEE_IOC_VERSION, (void *)8), EFAULT);
	FAILS(mmap(NULL, 4096, PROT_READ, MAP_SHARED, tee, 0), ENODEV);
	CHECK(close(tee) == 0 && close(other) == 0);
	FAILS(ioctl(tee, IST_TEE_IOC_VERSION, &version), EBADF);
}

static bool is_tee(int fd)
{
	struct ist_tee_version version;
	bool good = ioctl(fd, IST_TEE_IOC_VERSION, &version) == 0;

	return close(fd) == 0 && good;
}

/* Other names for it. */
static void naming(void)
{
	int folder = open("/dev", O_RDONLY | O_DIRECTORY), root = open("/", O_RDONLY | O_DIRECTORY), before;
	FILE *file;

	before = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(is_tee(open("/dev//tee0", O_RDWR)) && is_tee(open("//dev/./tee0", O_RDWR)));
	CHECK(is_tee(open("/dev/../dev/tee0", O_RDWR)) && is_tee(open("/../dev/shm/../tee0", O_RDWR)));
	CHECK(is_tee(openat(folder, "tee0", O_RDWR)) && is_tee(openat(folder, "./tee9", O_RDWR)));
	CHECK(is_tee(openat(root, "dev/tee0", O_RDWR)) && is_tee(openat(-1, "/dev/tee0", O_RDWR)));
	CHECK(is_tee(creat("/dev/tee0", 0600)));
	FAILS(openat(root, "tee0", O_RDWR), ENOENT);
	FAILS(openat(folder, "tee0/", O_RDWR), ENOTDIR);
	FAILS(open("/dev/shm/tee0", O_RDWR), ENOENT);
	FAILS(openat(-1, "tee0", O_RDWR), EBADF);
	FAILS(open("/dev/tee0", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK(chdir("/dev") == 0 && is_tee(open("tee0", O_RDWR)) && is_tee(open("../dev/tee0", O_RDWR)));
	CHECK(chdir("/") == 0 && is_tee(open("dev/tee0", O_RDWR)));
	CHECK(fchdir(before) == 0);
	file = fopen("/dev/tee0", "r+");
	CHECK(file && is_tee(dup(fileno(file))));
	fclose(file);
	close(before);
	close(root);
	close(folder);
}

static bool is_device(int result, const struct stat *file)
{
	return result == 0 && file->st_mode == (S_IFCHR | 0600) && major(file->st_rdev) == 249;
}

static void looking(void)
{
	int folder = open("/dev", O_RDONLY | O_DIRECTORY), tee = open("/dev/tee0", O_RDWR), fd, id;
	struct stat file, by_fd;
	struct statx more;

	CHECK(is_device(stat("/dev/tee0", &file), &file) && is_device(lstat("/dev//tee9", &file), &file));
	CHECK(is_device(fstatat(folder, "tee0", &file, AT_SYMLINK_NOFOLLOW), &file));
	CHECK(is_device(fstat(tee, &by_fd), &by_fd) && by_fd.st_ino == file.st_ino);
	CHECK(by_fd.st_dev == file.st_dev && by_fd.st_rdev == file.st_rdev);
	CHECK(is_device(fstatat(tee, "", &file, AT_EMPTY_PATH), &file));
	CHECK(statx(folder, "tee0", 0, STATX_BASIC_STATS, &more) == 0 && more.stx_mode == (S_IFCHR | 0600));
	CHECK(statx(tee, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more) == 0 && more.stx_rdev_major == 249);
	CHECK(statx(folder, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more) == 0 && S_ISDIR(more.stx_mode));
	FAILS(statx(folder, "tee0/", 0, STATX_BASIC_STATS, &more), ENOTDIR);
	FAILS(stat("/dev/tee0/", &file), ENOTDIR);
	FAILS(stat("/dev/tee10", &file), ENOENT);
	FAILS(stat((char *)8, &file), EFAULT);
	CHECK(access("/dev/tee0", F_OK) == 0 && access("/dev/tee0", R_OK | W_OK) == 0);
	CHECK(faccessat(folder, "tee0", R_OK, 0) == 0);
	FAILS(access("/dev/tee0", X_OK), EACCES);
	FAILS(access("/dev/tee0/", F_OK), ENOTDIR);
	FAILS(access("/dev/tee10", F_OK), ENOENT);
	FAILS(access((char *)8, F_OK), EFAULT);
	fd = alloc(tee, 4096, &id);
	CHECK(fd >= 0 && fstat(fd, &file) == 0 && !S_ISCHR(file.st_mode));
	CHECK(fstat(0, &file) == 0 && fstat(folder, &file) == 0 && S_ISDIR(file.st_mode));
	close(fd);
	close(tee);
	close(folder);
}

/* Neither a device nor shared memory is read or written. */
static void refusing(int fd)
{
	char data[4] = "abc";
	struct iovec part = {data, sizeof(data)};

	FAILS(read(fd, data, sizeof(data)), EINVAL);
	FAILS(write(fd, data, sizeof(data)), EINVAL);
	FAILS(readv(fd, &part, 1), EINVAL);
	FAILS(writev(fd, &part, 1), EINVAL);
	FAILS(pread(fd, data, sizeof(data), 0), EINVAL);
	FAILS(pwrite(fd, data, sizeof(data), 0), EINVAL);
	FAILS(ftruncate(fd, 0), EINVAL);
	FAILS(ftruncate(fd, 1 << 20), EINVAL);
}

static void reading(void)
{
	int tee = open("/dev/tee0", O_RDWR), id, fd = alloc(tee, 4096, &id), both[2], memory;
	char data[4] = "abc";

	refusing(tee);
	refusing(fd);
	CHECK(sum(tee, session(tee), id, 4096) == 0); /* and goes on */
	CHECK(pipe(both) == 0 && write(both[1], data, 3) == 3 && read(both[0], data, 4) == 3);
	close(both[0]);
	close(both[1]);
	memory = memfd_create("mine", 0);
	CHECK(write(memory, data, 3) == 3 && pread(memory, data, 4, 0) == 3 && ftruncate(memory, 1) == 0);
	close(memory);
	FAILS(read(-1, data, 1), EBADF);
	close(fd);
	close(tee);
}

static void memory(void)
{
	int tee = open("/dev/tee0", O_RDWR), id, again, fd = alloc(tee, 4097, &id), mutant;
	uint32_t in = session(tee);
	char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && id == 1 && at != MAP_FAILED);
	CHECK(fcntl(fd, F_GETFD) == 0);
	FAILS(mmap(NULL, 12288, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	FAILS(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 4096), EINVAL);
	at[0] = 3;
	at[8191] = 4;
	CHECK(sum(tee, in, id, 8192) == 7);
	CHECK(sum(tee, in, id, 8193) == -1 && errno == EINVAL);
	mutant = dup(fd);
	close(fd);
	CHECK(sum(tee, in, id, 8192) == 7);
	CHECK(dup2(0, mutant) == mutant); /* the last descriptor */
	CHECK(sum(tee, in, id, 8192) == 7); /* but mapped */
	munmap(at, 8192);
	CHECK(sum(tee, in, id, 8192) == -1 && errno == EINVAL);
	close(mutant);
	fd = alloc(tee, 1, &again); /* the lowest id that is free */
	CHECK(again == 1);
	CHECK(sum(tee, in, again, 4096) == 0); /* nobody's old bytes */
	FAILS(alloc(tee, 0, &id), ENOMEM);
	FAILS(alloc(tee, 1ull << 40, &id), ENOMEM);
	close(tee); /* its memory stays as long as the descriptor */
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED);
	at[5] = 5;
	munmap(at, 4096);
	close(fd);
}

static void registering(void)
{
	static const char constant[100] = "read-only";
	char *pages = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int tee = open("/dev/tee0", O_RDWR), id, out, fd, out_fd;
	uint32_t in = session(tee);
	struct call call = {.arg = {.session = in, .func = ECHO}};

	if (!is_full) {
		FAILS(reg(tee, pages, 4096, &id), 524);
		close(tee);
		return;
	}
	FAILS(reg(tee, pages, 0, &id), ENOMEM);
	FAILS(reg(tee, (void *)16, 10, &id), EFAULT);
	FAILS(reg(tee, pages, UINT64_MAX, &id), EFAULT);
	FAILS(reg(tee, (void *)(uintptr_t)constant, 100, &id), EFAULT);
	fd = reg(tee, pages + 7, 10001, &id);
	out_fd = reg(tee, pages + 10100, 10000, &out);
	CHECK(fd >= 0 && out_fd >= 0);
	FAILS(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	memset(pages + 7, 2, 10001);
	CHECK(sum(tee, in, id, 10001) == 20002);
	CHECK(sum(tee, in, id, 10002) == -1 && errno == EINVAL);
	call.param[0] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_IN, 1, 9000, (uint64_t)id};
	call.param[1] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_OUT, 500, 9500, (uint64_t)out};
	CHECK(invoke(tee, &call) == 0 && call.arg.ret == 0);
	CHECK(call.param[1].b == 9000);
	CHECK(pages[10100 + 499] == 0 && pages[10100 + 500] == 2 && pages[10100 + 9499] == 2 &&
	      pages[10100 + 9500] == 0);
	call.param[1].b = 10;
	CHECK(invoke(tee, &call) == 0 && call.arg.ret == IST_TEE_ERROR_SHORT_BUFFER &&
	      call.param[1].b == 9000);
	close(fd);
	CHECK(sum(tee, in, id, 1) == -1 && errno == EINVAL);
	munmap(pages, 5 * 4096); /* under what is registered: no crash */
	sum(tee, in, out, 10000);
	close(out_fd);
	close(tee);
}

/* What is not all there, and what goes away: a server has it still, if the library has seen it go. */
static void missing(void)
{
	char *pages = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int tee = open("/dev/tee0", O_RDWR), id, fd;
	uint32_t in = session(tee);
	struct call call = {.arg = {.session = in, .func = SUM}};

	munmap(pages + 3 * 4096, 4096);
	FAILS(reg(tee, pages, 4 * 4096, &id), EFAULT);
	FAILS(reg(tee, pages + 3 * 4096 - 96, 97, &id), EFAULT);
	fd = reg(tee, pages + 100, 3 * 4096 - 200, &id);
	CHECK(fd >= 0);
	pages[100] = 1;
	pages[4096] = 2;
	pages[2 * 4096] = 4;
	CHECK(munmap(pages + 1, 4096) == -1 && errno == EINVAL); /* nothing happens */
	CHECK(munmap(pages + 4096, 4095) == 0);
	pages[101] = 8;
	if (is_server)
		CHECK(sum(tee, in, id, 3 * 4096 - 200) == 15);
	CHECK(mmap(pages, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      pages);
	pages[200] = 16; /* nobody's business */
	pages[2 * 4096] = 32;
	if (is_server)
		CHECK(sum(tee, in, id, 3 * 4096 - 200) == 43);
	close(fd);
	fd = reg(tee, pages, 4096, &id);
	CHECK(fd >= 0 && syscall(SYS_munmap, pages, 4096) == 0); /* seen by nobody */
	call.param[0] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_IN, 0, 4096, (uint64_t)id};
	call.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
	if (is_server)
		FAILS(invoke(tee, &call), EFAULT);
	else
		CHECK(invoke(tee, &call) == 0 && call.arg.ret == IST_TEE_ERROR_GENERIC);
	close(fd);
	munmap(pages + 2 * 4096, 4096);
	close(tee);
}

/* A descriptor that goes unseen keeps its id until somebody looks; its bytes are there when they are needed. */
static void unseen(void)
{
	int tee = open("/dev/tee0", O_RDWR), id, fd = alloc(tee, 20 << 20, &id);
	uint32_t in = session(tee);
	FILE *file = fdopen(fd, "r+");

	CHECK(file && fclose(file) == 0);
	CHECK(is_server || sum(tee, in, id, 1) == 0); /* a server looks whenever a client goes */
	fd = alloc(tee, 20 << 20, &id); /* more than there is, with the other */
	CHECK(fd >= 0);
	file = fdopen(fd, "r+");
	fclose(file);
	if (!is_server) {
		CHECK(close_range(~0u - 1, ~0u, 0) == 0);
		CHECK(sum(tee, in, id, 1) == -1 && errno == EINVAL);
	}
	close(tee);
}

static void errors_of_calls(void)
{
	int tee = open("/dev/tee0", O_RDWR);
	uint32_t in = session(tee);
	struct call call = {.arg = {.session = in + 1}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&call, 23};
	struct ist_tee_ioc_close closing = {.session = in};
	int error = is_full ? 0 : EINVAL;

	FAILS(ioctl(tee, IST_TEE_IOC_INVOKE, &buf), EINVAL);
	buf.buf_len = 1025;
	FAILS(ioctl(tee, IST_TEE_IOC_INVOKE, &buf), EINVAL);
	buf = (struct ist_tee_ioc_buf){8, 24};
	FAILS(ioctl(tee, IST_TEE_IOC_INVOKE, &buf), EFAULT);
	FAILS(invoke(tee, &call), EINVAL); /* no such session */
	call.arg.session = in;
	call.param[0].attr = 4;
	FAILS(invoke(tee, &call), EINVAL);
	call.param[0] = (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_IN, 0, 0, UINT64_MAX};
	CHECK(invoke(tee, &call) == (error ? -1 : 0) && (!error || errno == error));
	CHECK(ioctl(tee, IST_TEE_IOC_CLOSE_SESSION, &closing) == 0);
	FAILS(ioctl(tee, IST_TEE_IOC_CLOSE_SESSION, &closing), EINVAL);
	close(tee);
}

/* One process writes, the other has it summed: memory by inheritance; and a program that was started by exec goes on. */
static void other_processes(void)
{
	int tee = open("/dev/tee1", O_RDWR), id, status, fd = alloc(tee, 4096, &id);
	uint32_t in = session(tee);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t child = fork();

	if (child == 0) {
		at[9] = 9;
		if (is_server && sum(tee, in, id, 4096) != 9)
			_exit(1);
		if (is_server) {
			char number[12];

			snprintf(number, sizeof(number), "%d", tee);
			execl(program, program, "server", is_full ? "full" : "pool", "again", number, NULL);
		}
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(sum(tee, in, id, 4096) == 9);
	munmap(at, 4096);
	close(fd);
	close(tee);
}

static int after_exec(int tee)
{
	struct ist_tee_version version;
	int id, fd = alloc(tee, 100, &id);

	CHECK(ioctl(tee, IST_TEE_IOC_VERSION, &version) == 0);
	CHECK(fd >= 0 && id >= 2);
	CHECK(sum(tee, session(tee), id, 100) == 0);
	return faults != 0;
}

/* Clients that die anywhere, calling, allocating, waiting: the server has all of theirs back. */
static void dying(void)
{
	int tee, id = 0, fd;

	for (int round = 0; round < 30; round++) {
		pid_t child = fork();

		if (child == 0) {
			int own = open("/dev/tee2", O_RDWR), of_mine;
			uint32_t in = session(own);
			struct call call = {.arg = {.session = in, .func = WAIT}};

			for (int i = 0; round % 3 || i < 5; i++) {
				int mine = alloc(own, 8192, &of_mine);

				if (i % 3)
					close(mine);
			}
			invoke(own, &call);
			_exit(0);
		}
		usleep((useconds_t)(round * 500));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	tee = open("/dev/tee2", O_RDWR);
	for (int i = 0; i < 200 && id != 1;
	     i++) { /* the lowest id is free again when all of theirs is gone */
		usleep(10000);
		fd = alloc(tee, 1, &id);
		close(fd);
	}
	CHECK(id == 1);
	fd = alloc(tee, 16 << 20, &id);
	CHECK(fd >= 0);
	close(fd);
	close(tee);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void cycles(void)
{
	int before = 0;

	for (int i = 0; i < 20 + times(2000); i++) {
		int tee = open("/dev/tee3", O_RDWR), id, fd = alloc(tee, 4096, &id);
		void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		session(tee);
		CHECK(at != MAP_FAILED);
		munmap(at, 4096);
		close(i % 2 ? tee : fd);
		close(i % 2 ? fd : tee);
		if (i == 10)
			before = count_fds();
	}
	CHECK(count_fds() == before);
}

int main(int argc, char **argv)
{
	int probe;

	if (argc < 3)
		return 2;
	program = argv[0];
	is_server = strcmp(argv[1], "server") == 0;
	is_full = strcmp(argv[2], "full") == 0;
	if (argc == 5)
		return after_exec(atoi(argv[4]));
	if ((probe = open("/dev/tee0", O_RDWR)) < 0) {
		perror("/dev/tee0");
		return 1;
	}
	close(probe);
	opening();
	memory();
	registering();
	errors_of_calls();
	naming();
	looking();
	reading();
	unseen();
	if (is_full)
		missing();
	other_processes();
	cycles();
	if (is_server)
		dying();
	printf("%d faults\n", faults);
	return faults != 0;
}
