/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Client memory in a second process. The receiver is this program, executed anew: it has nothing but a UNIX socket,
 * gets descriptors over it and reports what it could reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "support/support.h"

enum { SOCKET_FD = 9 };

struct message {
	uint64_t offset, length;
	int tries_pool; /* the descriptor is the whole pool's */
};

/* What the receiver found. Anything else than these is a failure of its own. */
struct report {
	int could_map, read_ok, could_write, could_map_beyond, could_grow, could_shrink, sees_secret;
};

static const char greeting[] = "from the pool", answer[] = "from the receiver", secret[] = "somebody else's";

static void send_fd(int sock, int fd, const struct message *message)
{
	struct iovec data = {(void *)(uintptr_t)message, sizeof(*message)};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct msghdr header = {
	        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

	memset(control, 0, sizeof(control));
	CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof(int));
	assert_int_equal(sendmsg(sock, &header, 0), sizeof(*message));
}

static int receive_fd(int sock, struct message *message)
{
	struct iovec data = {message, sizeof(*message)};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct msghdr header = {
	        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(sock, &header, 0) != sizeof(*message) || !CMSG_FIRSTHDR(&header))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(int));
	return fd;
}

/* The file's length as the receiver sees it, then every byte of it: is somebody else's there? */
static int finds_secret(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	char *all = mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED, fd, 0);
	int found;

	if (all == MAP_FAILED)
		return -1;
	found = memmem(all, (size_t)length, secret, sizeof(secret)) != NULL;
	munmap(all, (size_t)length);
	return found;
}

static int receiver(void)
{
	struct message message;
	struct report report = {0};
	int fd = receive_fd(SOCKET_FD, &message);
	size_t pages = (message.length + 4095) / 4096 * 4096;
	off_t length = lseek(fd, 0, SEEK_END);
	char *here = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)message.offset), byte;

	report.could_map = here != MAP_FAILED;
	if (report.could_map) {
		report.read_ok = memcmp(here, greeting, sizeof(greeting)) == 0;
		memcpy(here + 100, answer, sizeof(answer));
		report.could_write = 1;
	}
	report.could_map_beyond = pread(fd, &byte, 1, (off_t)(message.offset + pages)) == 1;
	report.sees_secret = finds_secret(fd);
	if (!message.tries_pool) {
		report.could_grow = ftruncate(fd, length + 4096) == 0;
		report.could_shrink = ftruncate(fd, 0) == 0;
	}
	if (write(SOCKET_FD, &report, sizeof(report)) != sizeof(report))
		return 1;
	/* Keep the mapping until told otherwise, or until killed. */
	if (read(SOCKET_FD, &byte, 1) == 1 && report.could_map)
		return memcmp(here, greeting, sizeof(greeting)) == 0 ? 0 : 2;
	return 0;
}

static pid_t start_receiver(int *sock)
{
	int pair[2];
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char self[] = "/proc/self/exe", role[] = "receiver", *arguments[] = {self, role, NULL};

		dup2(pair[1], SOCKET_FD); /* does not inherit close-on-exec */
		execv(self, arguments);
		_exit(127);
	}
	close(pair[1]);
	*sock = pair[0];
	return child;
}

static struct report exchange(int sock, int fd, const struct message *message)
{
	struct report report;

	send_fd(sock, fd, message);
	assert_int_equal(read(sock, &report, sizeof(report)), sizeof(report));
	return report;
}

static int end_receiver(pid_t child, int sock)
{
	int status;

	assert_int_equal(write(sock, "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(sock);
	return status;
}

/* A manager over a memfd; the carve-out begins `skew` bytes into the second page of the file. */
struct shared {
	struct ist_manager *manager;
	struct ist_client_pool *client;
	int fd;
	char *mapping;
};

enum { FILE_SIZE = 1 << 20 };

static struct shared shared_make(size_t skew)
{
	struct shared s;
	struct ist_manager_config config = {.paddr = PADDR + skew, .size = FILE_SIZE - 4096 - skew};

	s.fd = memfd_create("carve-out", MFD_CLOEXEC);
	assert_true(s.fd >= 0);
	assert_int_equal(ftruncate(s.fd, FILE_SIZE), 0);
	s.mapping = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
	assert_ptr_not_equal(s.mapping, MAP_FAILED);
	config.vaddr = s.mapping + 4096 + skew;
	assert_int_equal(ist_manager_create(&config, &s.manager), 0);
	assert_int_equal(ist_manager_set_file(s.manager, s.fd, 4096 + skew), 0);
	s.client = ist_manager_client_pool(s.manager);
	return s;
}

static void shared_drop(struct shared *s)
{
	assert_int_equal(ist_manager_destroy(s->manager), 0);
	munmap(s->mapping, FILE_SIZE);
	close(s->fd);
}

static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void whoever_has_the_pools_file_has_the_pool(void **state)
{
	const size_t skews[] = {0, 100};

	(void)state;
	for (int i = 0; i < 2; i++) {
		int before = open_descriptors();
		struct shared s = shared_make(skews[i]);
		struct ist_shm buffer, other;
		struct ist_export export;
		struct report report;
		struct message message;
		int sock;
		pid_t child = start_receiver(&sock);

		assert_int_equal(ist_client_pool_alloc(s.client, 5000, &buffer), 0);
		assert_int_equal(ist_client_pool_alloc(s.client, 5000, &other), 0);
		memcpy(buffer.view.vaddr, greeting, sizeof(greeting));
		memcpy(other.view.vaddr, secret, sizeof(secret));
		assert_int_equal(ist_client_export(&buffer, &export), 0);
		assert_int_equal(export.length, 5000);
		assert_true(fcntl(export.fd, F_GETFD) & FD_CLOEXEC);
		message = (struct message){export.offset, export.length, 1};
		report = exchange(sock, export.fd, &message);
		assert_true(report.could_map && report.read_ok && report.could_write);
		assert_string_equal((char *)buffer.view.vaddr + 100, answer);
		assert_int_equal(report.sees_secret, 1); /* as documented */
		close(export.fd);
		assert_int_equal(end_receiver(child, sock), 0);
		assert_int_equal(ist_shm_free(&buffer), 0);
		assert_int_equal(ist_shm_free(&other), 0);
		shared_drop(&s);
		assert_int_equal(open_descriptors(), before);
	}
}

static void an_isolated_buffer_shows_itself_alone(void **state)
{
	int before = open_descriptors();
	struct shared s = shared_make(0);
	struct ist_shm buffer, other, again;
	struct ist_client_request request = {.size = 5000, .owner = 7};
	struct ist_client_allocation found;
	struct ist_export export;
	struct report report;
	struct message message = {0, 5000, 0};
	int sock, fd = -1;
	pid_t child = start_receiver(&sock);

	(void)state;
	assert_int_equal(ist_client_pool_alloc(s.client, 5000, &other), 0);
	memcpy(other.view.vaddr, secret, sizeof(secret));
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &buffer, &fd), 0);
	for (int i = 0; i < 8192; i++)
		assert_int_equal(((char *)buffer.view.vaddr)[i], 0);
	assert_int_equal(ist_client_pool_find(s.client, buffer.view.paddr, &found), 0);
	assert_int_equal(found.owner, 7);
	assert_int_equal(ist_client_export(&buffer, &export), -ENOTSUP);
	memcpy(buffer.view.vaddr, greeting, sizeof(greeting));
	report = exchange(sock, fd, &message);
	assert_true(report.could_map && report.read_ok && report.could_write);
	assert_string_equal((char *)buffer.view.vaddr + 100, answer);
	assert_int_equal(report.could_map_beyond, 0);
	assert_int_equal(report.could_grow, 0);
	assert_int_equal(report.could_shrink, 0);
	assert_int_equal(report.sees_secret, 0);
	close(fd);

	/* Freed: the place holds the pool's own pages again, and the receiver keeps only what it had. */
	assert_int_equal(ist_shm_free(&buffer), 0);
	assert_int_equal(ist_client_pool_alloc_nozero(s.client, 5000, &again), 0);
	memcpy(again.view.vaddr, secret, sizeof(secret));
	assert_memory_equal(s.mapping + 4096 + (again.view.paddr - PADDR), secret, sizeof(secret));
	char through_file[sizeof(secret)];
	assert_int_equal(
	        pread(s.fd, through_file, sizeof(secret), (off_t)(4096 + (again.view.paddr - PADDR))),
	        sizeof(secret));
	assert_memory_equal(through_file, secret, sizeof(secret));
	assert_int_equal(end_receiver(child, sock), 0); /* still its greeting, nobody's secret */
	assert_int_equal(ist_shm_free(&again), 0);
	assert_int_equal(ist_shm_free(&other), 0);
	shared_drop(&s);
	assert_int_equal(open_descriptors(), before);
}

static void a_receiver_that_is_killed_harms_nobody(void **state)
{
	struct shared s = shared_make(0);
	struct ist_client_request request = {.size = 64 * KIB};
	struct message message = {0, 64 * KIB, 0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct ist_shm buffer;
		int sock, status, fd;
		pid_t child = start_receiver(&sock);

		assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &buffer, &fd), 0);
		memcpy(buffer.view.vaddr, greeting, sizeof(greeting));
		exchange(sock, fd, &message);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		memset(buffer.view.vaddr, 1, 64 * KIB);
		assert_int_equal(ist_shm_free(&buffer), 0);
		close(fd);
		close(sock);
	}
	shared_drop(&s);
}

/* The owner of the pool dies in the middle of its work; the receiver's mappings stay good. */
static void a_receiver_outlives_the_pool(void **state)
{
	int sock, ready[2], status;
	pid_t child = start_receiver(&sock), owner;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	owner = fork();
	if (owner == 0) {
		struct shared s = shared_make(0);
		struct ist_client_request request = {.size = 5000};
		struct message message = {0, 5000, 0};
		struct ist_shm buffer, other;
		int fd;

		if (ist_client_pool_alloc_isolated(s.client, &request, &buffer, &fd))
			_exit(1);
		memcpy(buffer.view.vaddr, greeting, sizeof(greeting));
		send_fd(sock, fd, &message);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;) { /* killed somewhere in here */
			if (ist_client_pool_alloc_nozero(s.client, 30000, &other) || ist_shm_free(&other))
				_exit(1);
		}
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	struct report report;
	assert_int_equal(read(sock, &report, sizeof(report)), sizeof(report));
	assert_true(report.could_map && report.read_ok);
	kill(owner, SIGKILL);
	assert_int_equal(waitpid(owner, &status, 0), owner);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(end_receiver(child, sock), 0);
	close(ready[0]);
	close(ready[1]);
}

static void errors(void **state)
{
	struct fixture f = fixture_make(64 * KIB, 0);
	struct ist_client_request request = {.size = 5000};
	struct ist_shm shm, copy, driver;
	struct ist_export export = {.fd = -7};
	struct ist_pool_stats before, after;
	int fd = -7, file = memfd_create("short", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ist_client_pool_alloc(f.client, 100, &shm), 0);
	assert_int_equal(ist_client_export(&shm, &export), -ENOTSUP);
	assert_int_equal(ist_client_pool_alloc_isolated(f.client, &request, &copy, &fd), -ENOTSUP);
	assert_int_equal(ist_manager_set_file(NULL, file, 0), -EINVAL);
	assert_int_equal(ist_manager_set_file(f.manager, -1, 0), -EBADF);
	assert_int_equal(ist_manager_set_file(f.manager, file, 0), -EINVAL); /* too short */
	assert_int_equal(ftruncate(file, 65 * KIB), 0);
	assert_int_equal(ist_manager_set_file(f.manager, file, 8), -EINVAL);
	assert_int_equal(ist_manager_set_file(f.manager, file, 4096), -EINVAL);
	assert_int_equal(ist_manager_set_file(f.manager, file, UINT64_MAX - 4095), -EINVAL);
	assert_int_equal(ist_shm_free(&shm), 0);
	fixture_drop(&f);
	close(file);

	struct shared s = shared_make(0);
	assert_int_equal(ist_manager_set_file(s.manager, s.fd, 4096), -EEXIST);
	assert_int_equal(ist_client_pool_alloc(s.client, 100, &shm), 0);
	assert_int_equal(ist_driver_pool_alloc(ist_manager_driver_pool(s.manager), 100, &driver), 0);
	copy = shm;
	assert_int_equal(ist_client_export(NULL, &export), -EINVAL);
	assert_int_equal(ist_client_export(&shm, NULL), -EINVAL);
	assert_int_equal(ist_client_export(&driver, &export), -EINVAL);
	shm.view.size++;
	assert_int_equal(ist_client_export(&shm, &export), -EINVAL);
	shm.view.size--;
	assert_int_equal(ist_shm_free(&shm), 0);
	assert_int_equal(ist_shm_free(&driver), 0);
	assert_int_equal(ist_client_export(&shm, &export), -EINVAL);
	assert_int_equal(ist_client_export(&copy, &export), -EALREADY);
	assert_int_equal(export.fd, -7);

	assert_int_equal(ist_client_pool_alloc_isolated(NULL, &request, &shm, &fd), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, NULL, &shm, &fd), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, NULL, &fd), -EINVAL);
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &shm, NULL), -EINVAL);
	request.size = 0;
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &shm, &fd), -EINVAL);
	request.size = FILE_SIZE;
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &shm, &fd), -ENOSPC);

	/* The system refuses to map: nothing is lost, neither when allocating nor when freeing. */
	request.size = 5000;
	ist_client_pool_stats(s.client, &before);
	platform_fail_map(1, 0);
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &shm, &fd), -ENOMEM);
	ist_client_pool_stats(s.client, &after);
	assert_int_equal(after.used, before.used);
	assert_int_equal(after.largest_free, before.largest_free);
	assert_int_equal(fd, -7);
	assert_int_equal(ist_client_pool_alloc_isolated(s.client, &request, &shm, &fd), 0);
	memcpy(shm.view.vaddr, greeting, sizeof(greeting));
	/* Once more out of the reserve, and not for ever. */
	platform_fail_map(1, 1);
	assert_int_equal(ist_shm_free(&shm), -ENOMEM);
	platform_fail_map(1, 0);
	assert_memory_equal(shm.view.vaddr, greeting, sizeof(greeting));
	ist_client_pool_stats(s.client, &after);
	assert_int_equal(after.used, before.used + 5000);
	assert_int_equal(ist_shm_free(&shm), 0);
	close(fd);
	shared_drop(&s);
}

/* Whether the next mapping of a file loses its place, to somebody else's memory. What was lost: */
static bool loses_place;
static char *lost_place;
static size_t lost_bytes;

int __real_platform_map_file_at(void *where, size_t bytes, int fd, uint64_t offset);
int __wrap_platform_map_file_at(void *where, size_t bytes, int fd, uint64_t offset);

int __real_platform_map_sealed_at(void *where, size_t bytes, int fd);
int __wrap_platform_map_sealed_at(void *where, size_t bytes, int fd);

static int lose(void *where, size_t bytes)
{
	loses_place = false;
	lost_place =
	        mmap(where, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(lost_place, where);
	lost_bytes = bytes;
	memset(lost_place, 0x5e, bytes);
	return -ESTALE;
}

int __wrap_platform_map_file_at(void *where, size_t bytes, int fd, uint64_t offset)
{
	return loses_place ? lose(where, bytes) : __real_platform_map_file_at(where, bytes, fd, offset);
}

int __wrap_platform_map_sealed_at(void *where, size_t bytes, int fd)
{
	return loses_place ? lose(where, bytes) : __real_platform_map_sealed_at(where, bytes, fd);
}

static void check_not_lost(const struct ist_shm *shm)
{
	uintptr_t at = (uintptr_t)shm->view.vaddr, lost = (uintptr_t)lost_place;

	assert_true(at + shm->view.size <= lost || at >= lost + lost_bytes);
}

/* Take all that the pool has, in pieces of a page, and give it back: how many there were. */
static size_t take_all(struct shared *s)
{
	static struct ist_shm shm[FILE_SIZE / 4096];
	size_t count = 0;

	while (ist_client_pool_alloc(s->client, 4096, &shm[count]) == 0)
		check_not_lost(&shm[count++]);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ist_shm_free(&shm[i]), 0);
	return count;
}

/* 0: when it is allocated; 1: when it is freed; 2: when its owner ends. */
static void lose_a_place(struct shared *s, int when)
{
	struct ist_client_request request = {.size = 5000, .owner = 7};
	struct ist_shm shm, copy;
	int fd = -7;

	loses_place = when == 0;
	assert_int_equal(ist_client_pool_alloc_isolated(s->client, &request, &shm, &fd),
	                 when == 0 ? -ENOMEM : 0);
	if (when == 0) {
		assert_int_equal(fd, -7);
		return;
	}
	close(fd);
	copy = shm;
	loses_place = true;
	if (when == 1)
		assert_int_equal(ist_shm_free(&shm), 0);
	else
		assert_int_equal(ist_owner_destroy(s->manager, 7), 0);
	assert_int_equal(ist_shm_free(&copy), -EALREADY);
}

/* Its pages are nobody's any more: never handed out, never written, and nothing waits for them. */
static void a_place_that_was_lost(void **state)
{
	int before = open_descriptors();

	(void)state;
	for (int when = 0; when < 3; when++) {
		struct shared s = shared_make(0);
		struct ist_client_allocation found;
		size_t all = take_all(&s);

		assert_int_equal(ist_owner_create(s.manager, &(struct ist_owner_config){.id = 7}), 0);
		lose_a_place(&s, when);
		assert_false(loses_place);
		assert_int_equal(lost_bytes, 8192);
		for (int round = 0; round < 3; round++)
			assert_int_equal(take_all(&s), all - 2);
		assert_int_equal(ist_client_pool_next(s.client, 0, &found), -ENOENT);
		for (size_t i = 0; i < lost_bytes; i++)
			assert_int_equal(lost_place[i], 0x5e);
		if (when < 2)
			assert_int_equal(ist_owner_destroy(s.manager, 7), 0);
		lost_bytes = 0;
		shared_drop(&s);
		assert_int_equal(open_descriptors(), before);
	}
}

static _Atomic int caught;

static void on_file_size(int number)
{
	(void)number;
	atomic_fetch_add_explicit(&caught, 1, memory_order_relaxed);
}

static int has_pending(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
}

/* In a child with a limit on file sizes: 0, or the number of what went wrong. */
static int jailed(bool blocked, bool pending, void (*handler)(int))
{
	struct shared s = shared_make(0);
	struct ist_client_request small = {.size = 65536}, large = {.size = 65537};
	struct rlimit limit = {65536, 65536};
	struct ist_shm shm;
	sigset_t only, before, after;
	int fd = -7;

	sigemptyset(&only);
	sigaddset(&only, SIGXFSZ);
	signal(SIGXFSZ, handler);
	if (setrlimit(RLIMIT_FSIZE, &limit) || (blocked && sigprocmask(SIG_BLOCK, &only, NULL)) ||
	    (pending && raise(SIGXFSZ)) || sigprocmask(SIG_BLOCK, NULL, &before))
		return 1;
	if (ist_client_pool_alloc_isolated(s.client, &large, &shm, &fd) != -EFBIG || fd != -7)
		return 2;
	if (has_pending() != pending || atomic_load_explicit(&caught, memory_order_relaxed) != 0)
		return 3;
	if (sigprocmask(SIG_BLOCK, NULL, &after) || sigismember(&after, SIGXFSZ) != blocked)
		return 4;
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&before, number) != sigismember(&after, number))
			return 4;
	if (ist_client_pool_alloc_isolated(s.client, &small, &shm, &fd) || ist_shm_free(&shm))
		return 5;
	close(fd);
	return ist_manager_destroy(s.manager) ? 6 : 0;
}

/* A limit on file sizes is an error, not a signal; a signal that was there before stays. */
static void a_limit_on_file_sizes(void **state)
{
	static const struct {
		bool blocked, pending;
		void (*handler)(int);
	} cases[] = {{false, false, SIG_DFL}, {true, false, SIG_DFL},       {true, true, SIG_DFL},
	             {false, false, SIG_IGN}, {false, false, on_file_size}, {true, true, on_file_size}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(jailed(cases[i].blocked, cases[i].pending, cases[i].handler));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_false(WIFSIGNALED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whoever_has_the_pools_file_has_the_pool),
	        cmocka_unit_test(an_isolated_buffer_shows_itself_alone),
	        cmocka_unit_test(a_receiver_that_is_killed_harms_nobody),
	        cmocka_unit_test(a_receiver_outlives_the_pool),
	        cmocka_unit_test(errors),
	        cmocka_unit_test(a_limit_on_file_sizes),
	        cmocka_unit_test(a_place_that_was_lost),
	};

	if (argc == 2 && strcmp(argv[1], "receiver") == 0)
		return receiver();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
