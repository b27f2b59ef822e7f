/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "preload/preload.h"

#include <errno.h>

static int open_remote(unsigned device, int flags)
{
	(void)device, (void)flags;
	return -ENOENT;
}

static long ioctl_remote(int fd, unsigned long command, void *arg)
{
	(void)fd, (void)command, (void)arg;
	return -ENOTTY;
}

static int find_remote(int fd, struct found *out)
{
	(void)fd, (void)out;
	return -ENOTTY;
}

static void closed_remote(uint64_t key)
{
	(void)key;
}

const struct front remote_front = {open_remote, ioctl_remote, find_remote, closed_remote};
