/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/guest.h"

#include <dirent.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/sanitizers.h"

size_t count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	size_t lines = 0;
	int c;

	assert_non_null(file);
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

bool maps_settle(size_t most)
{
	if (IS_SANITIZED)
		return most > 0;
	for (int tries = 0; tries < 200 && count_maps() > most; tries++)
		usleep(10000);
	return count_maps() <= most;
}

size_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

struct guest guest_make(size_t size)
{
	struct guest guest = {.size = size};
	struct ist_backing backing = {.paddr = GUEST_PADDR, .size = size};

	guest.fixture = fixture_make(64 * IST_PAGE_SIZE, 0);
	guest.fd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(guest.fd >= 0);
	assert_int_equal(ftruncate(guest.fd, (off_t)size), 0);
	guest.ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, guest.fd, 0);
	assert_ptr_not_equal(guest.ram, MAP_FAILED);
	for (uint64_t at = 0; at < size; at += sizeof(uint64_t))
		*(uint64_t *)(void *)(guest.ram + at) = GUEST_PADDR + at;
	backing.fd = guest.fd;
	assert_int_equal(ist_backing_add(guest.fixture.manager, &backing), 0);
	return guest;
}

void guest_drop(struct guest *guest)
{
	struct ist_mapping_stats stats;

	assert_int_equal(ist_mapping_flush(guest->fixture.manager), 0);
	assert_int_equal(ist_mapping_drain(guest->fixture.manager), 0);
	ist_mapping_stats(guest->fixture.manager, &stats);
	assert_int_equal(stats.mappings, 0);
	assert_int_equal(stats.pages, 0);
	assert_int_equal(stats.referenced, 0);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(stats.cached, 0);
	assert_int_equal(stats.window_used, 0);
	fixture_drop(&guest->fixture);
	munmap(guest->ram, guest->size);
	close(guest->fd);
}

void guest_check(const void *vaddr, uint64_t paddr, size_t size)
{
	for (size_t at = 0; at + sizeof(uint64_t) <= size; at += 512)
		assert_int_equal(*(const uint64_t *)(const void *)((const char *)vaddr + at), paddr + at);
}

struct ist_registration registration_of(const uint64_t *pages, size_t count)
{
	return (struct ist_registration){.pages = pages, .page_count = count, .size = count * IST_PAGE_SIZE};
}
