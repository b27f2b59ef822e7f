/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A client that closes many descriptors at once, has none left, or cannot be told the answer: ids are free again when nobody has them.
 * usage: closing (local|server) (full|pool)
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MANY = 40 };

static int device;
static int kept[1024];

static int alloc(struct ist_tee_ioc_alloc *data)
{
	*data = (struct ist_tee_ioc_alloc){.size = 4096};
	return ioctl(device, IST_TEE_IOC_SHM_ALLOC, data);
}

/* Nobody has an id. */
static void check_all_free(int line)
{
	struct ist_tee_ioc_alloc data;
	int fd = alloc(&data);

	check(fd > 2 && data.id == 1, line, "the next id is 1");
	close(fd);
}

static void close_many(bool at_once)
{
	struct ist_tee_ioc_alloc data;

	for (int i = 0; i < MANY; i++) {
		kept[i] = alloc(&data);
		CHECK(kept[i] > 2 && data.id == i + 1);
	}
	if (at_once)
		CHECK(close_range((unsigned)kept[0], (unsigned)kept[MANY - 1], 0) == 0);
	for (int i = 0; i < MANY && !at_once; i++)
		CHECK(close(kept[i]) == 0);
	check_all_free(__LINE__);
}

/* No number for one more descriptor: an error each time, and nothing is kept. */
static void no_numbers(bool is_full)
{
	static char memory[4096];
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)memory, .length = sizeof(memory)};
	struct ist_tee_ioc_alloc one;
	struct rlimit before, few;
	int count = 0;

	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){64, before.rlim_max};
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (count < 100 && (kept[count] = alloc(&one)) >= 0) {
		CHECK(kept[count] > 2);
		count++;
	}
	CHECK(count > 10 && count < 100 && errno == EMFILE);
	for (int i = 0; i < 5; i++) {
		CHECK(alloc(&one) == -1 && errno == EMFILE);
		if (is_full)
			CHECK(ioctl(device, IST_TEE_IOC_SHM_REGISTER, &data) == -1 && errno == EMFILE);
	}
	while (count > 0)
		close(kept[--count]);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	check_all_free(__LINE__);
}

static void cannot_be_told(bool is_full)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)page, .length = 100};

	CHECK(page != MAP_FAILED);
	memcpy(page + 1024, &(struct ist_tee_ioc_alloc){.size = 4096}, sizeof(struct ist_tee_ioc_alloc));
	memcpy(page + 2048, &data, sizeof(data));
	*(uint64_t *)(void *)(page + 2048) = (uintptr_t)kept; /* memory that can be written */
	CHECK(mprotect(page, 4096, PROT_READ) == 0);
	for (int i = 0; i < MANY; i++) {
		CHECK(ioctl(device, IST_TEE_IOC_SHM_ALLOC, page + 1024) == -1 && errno == EFAULT);
		if (is_full)
			CHECK(ioctl(device, IST_TEE_IOC_SHM_REGISTER, page + 2048) == -1 && errno == EFAULT);
	}
	munmap(page, 4096);
	check_all_free(__LINE__);
}

int main(int argc, char **argv)
{
	bool is_full = argc > 2 && strcmp(argv[2], "full") == 0;

	device = open("/dev/tee0", O_RDWR);
	CHECK(device > 2);
	close_many(false);
	close_many(true);
	no_numbers(is_full);
	cannot_be_told(is_full);
	close(device);
	return faults != 0;
}
