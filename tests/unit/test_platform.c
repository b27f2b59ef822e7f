/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the library builds on: private memory between pages that nobody can touch, sealed files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "platform/topology.h"
#include "support/guest.h"

/* Whether a child that writes there dies of it. */
static bool kills(char *at)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL); /* not cmocka's, nor a sanitizer's */
		*at = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void memory_between_guard_pages(void **state)
{
	const size_t sizes[] = {1, 4096, 4097, 100000};

	(void)state;
	for (int i = 0; i < 4; i++) {
		size_t body =
		        (sizes[i] + platform_page_size() - 1) / platform_page_size() * platform_page_size();
		char *memory = platform_map(sizes[i]);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % platform_page_size(), 0);
		for (size_t at = 0; at < body; at++)
			assert_int_equal(memory[at], 0);
		assert_false(kills(memory));
		assert_false(kills(memory + body - 1));
		assert_true(kills(memory - 1));
		assert_true(kills(memory - platform_page_size()));
		assert_true(kills(memory + body));
		assert_true(kills(memory + body + platform_page_size() - 1));
		platform_unmap(memory, sizes[i]);
	}
	assert_null(platform_map(0));
	assert_null(platform_map(SIZE_MAX));
	assert_null(platform_map(SIZE_MAX / 2));
	platform_unmap(NULL, 100);
}

static void failures_on_demand(void **state)
{
	void *memory;

	(void)state;
	platform_fail_map(2, 0);
	memory = platform_map(100);
	assert_non_null(memory);
	assert_null(platform_map(100));
	platform_unmap(memory, 100);
	memory = platform_map(100);
	assert_non_null(memory);
	platform_unmap(memory, 100);
	platform_fail_map(1, 1);
	assert_null(platform_map(100));
	assert_null(platform_map(100));
	platform_fail_map(0, 0);
	memory = platform_map(100);
	assert_non_null(memory);
	platform_unmap(memory, 100);
}

static void files(void **state)
{
	uint64_t bytes = 77;
	int fd = platform_sealed_file(10000), copy;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(platform_file_length(fd, &bytes), 0);
	assert_int_equal(bytes, 10000);
	assert_int_equal(ftruncate(fd, 20000), -1);
	assert_int_equal(ftruncate(fd, 5000), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1); /* sealed against more seals, too */
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	copy = platform_duplicate(fd);
	assert_true(copy >= 0 && copy != fd);
	assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
	close(fd);
	close(copy);
	assert_int_equal(platform_duplicate(fd), -EBADF);
	assert_int_equal(platform_file_length(fd, &bytes), -EBADF);
	assert_int_equal(bytes, 10000);
	assert_true(platform_map_file_at((void *)0x10000, 4096, fd, 0) == -EBADF);
}

extern int hwloc_hide_errors(void)
        __attribute__((weak)); /* what it makes of HWLOC_HIDE_ERRORS; 2: nothing is printed */
extern char __libc_single_threaded __attribute__((weak));

/* A library has no business on stderr; and none in the environment. */
static void hwloc_is_told_to_be_silent(void **state)
{
	bool alone = &__libc_single_threaded && __libc_single_threaded;

	(void)state;
	topology_start();
	assert_null(getenv("HWLOC_HIDE_ERRORS"));
	if (!hwloc_hide_errors || !alone)
		skip();
	assert_int_equal(hwloc_hide_errors(), 2);
}

/* Single pages that nobody may write, of no file: so are the reserve's, and no mapping that a sanitizer makes or splits for its own use. */
static size_t count_spares(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from, to, inode;
		char rights[5];

		assert_int_equal(sscanf(line, "%lx-%lx %4s %*s %*s %lu", &from, &to, rights, &inode), 4);
		count += to - from == platform_page_size() && rights[1] == '-' && rights[2] == '-' &&
		         inode == 0;
	}
	fclose(maps);
	return count;
}

/* Kept while nobody holds it, so that it need not be made again; taken away when that is asked for, but not from a holder. */
static void a_reserve_of_mappings(void **state)
{
	size_t before, with;

	(void)state;
	before = count_spares();
	platform_spare_hold();
	with = count_spares();
	assert_true(with >= before + 10);
	platform_spare_trim();
	assert_int_equal(count_spares(), with);
	platform_spare_drop();
	assert_int_equal(count_spares(), with);
	platform_spare_hold();
	assert_int_equal(count_spares(), with);
	assert_true(platform_spare_spend());
	assert_int_equal(count_spares(), before);
	platform_spare_restore();
	assert_int_equal(count_spares(), with);
	platform_spare_drop();
	platform_spare_trim();
	assert_int_equal(count_spares(), before);
	assert_false(platform_spare_spend());
}

static void its_own_number(void **state)
{
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(platform_pid(), getpid());
	assert_int_equal(platform_pid(), getpid());
	child = fork();
	if (child == 0)
		_exit(platform_pid() == getpid() && platform_pid() == getpid() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(platform_pid(), getpid());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hwloc_is_told_to_be_silent), /* first: it is told once */
	        cmocka_unit_test(memory_between_guard_pages),
	        cmocka_unit_test(failures_on_demand),
	        cmocka_unit_test(a_reserve_of_mappings),
	        cmocka_unit_test(its_own_number),
	        cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
