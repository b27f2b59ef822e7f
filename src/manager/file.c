/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>
#include <unistd.h>

#include "client/share.h"
#include "manager/manager.h"
#include "platform/platform.h"

/* Whether the carve-out as the caller gave it, and no less, lies in the file. */
static int check_file(const struct ist_manager *manager, int fd, uint64_t offset)
{
	uint64_t length, needed = manager->skipped + manager->carve_out.size;
	int error = platform_file_length(fd, &length);

	if (error)
		return error;
	if (((uintptr_t)manager->carve_out.vaddr - manager->skipped - offset) % IST_PAGE_SIZE != 0 ||
	    offset > length || needed > length - offset)
		return -EINVAL;
	return 0;
}

int manager_set_file(struct ist_manager *manager, int fd, uint64_t offset)
{
	int own, error = check_file(manager, fd, offset);

	if (error)
		return error;
	own = platform_duplicate(fd);
	if (own < 0)
		return own;
	error = client_share_set_file(&manager->client, own,
	                              offset + manager->skipped + manager->driver.pool.size);
	if (error)
		close(own);
	return error;
}
