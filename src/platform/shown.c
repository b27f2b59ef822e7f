/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/platform.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* Mapped before it is sealed: the mapping that is there by then is the last that can write. */
static int map_and_seal(int fd, size_t bytes, void **where)
{
	void *page;

	page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) ||
	    madvise(page, bytes, MADV_DONTFORK)) {
		int error = errno == EINVAL ? -ENOTSUP : -errno;

		munmap(page, bytes);
		return error;
	}
	*where = page;
	return 0;
}

int platform_shown_file(const char *name, size_t bytes, void **where)
{
	int fd = platform_memory_file(name, bytes), error;

	if (fd < 0)
		return fd == -EINVAL || fd == -ENOSYS ? -ENOTSUP : fd;
	error = map_and_seal(fd, bytes, where);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

void platform_hide_file(int fd, void *where, size_t bytes)
{
	munmap(where, bytes);
	close(fd);
}
