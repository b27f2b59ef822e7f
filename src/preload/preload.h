/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A library to preload: /dev/tee0 to /dev/tee9, and /dev/teepriv0 to 9, as if there were a TEE. With no server named, the devices are of this process
 * (local.c); else a server's (remote.c). Environment:
 *
 *   ISTHMUS_TEE_SERVER  path of the server's socket; default: none, devices of this process
 *   ISTHMUS_TEE_MODE    "pool": no registered memory, no null references, as old drivers; default: both
 *   ISTHMUS_TEE_SIZE    bytes of the carve-out of each device of this process, with K, M or G; default 32M
 */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define DEVICES 10
#define DEVICE_PRIVILEGED 16 /* the number of /dev/teepriv0; what is below is /dev/teeN */

/* What the program would have called. */
struct real {
	int (*open)(const char *path, int flags, ...);
	int (*openat)(int folder, const char *path, int flags, ...);
	FILE *(*fopen)(const char *path, const char *mode);
	FILE *(*freopen)(const char *path, const char *mode, FILE *stream);
	int (*ioctl)(int fd, unsigned long command, ...);
	void *(*mmap)(void *where, size_t bytes, int protection, int flags, int fd, off_t offset);
	int (*munmap)(void *where, size_t bytes);
	int (*close)(int fd);
	int (*dup2)(int from, int to);
	int (*dup3)(int from, int to, int flags);
	int (*close_range)(unsigned first, unsigned last, int flags); /* null before glibc 2.34 */
};
const struct real *real(void);

#define FRONT_UNMAPPED UINT64_MAX

struct found {
	uint64_t key; /* for closed */
	bool is_context;
	bool can_map;
	size_t size;
};

/* What there is of a front, local or remote. Each answers with a negative errno value. */
struct front {
	int (*open)(unsigned device, int flags);
	/* -ENOTTY: not ours. */
	long (*ioctl)(int fd, unsigned long command, void *arg);
	int (*find)(int fd, struct found *out);
	/* A descriptor of that key (0: of any) is gone; or (FRONT_UNMAPPED) a mapping. */
	void (*closed)(uint64_t key);
	/* These bytes are about to be unmapped, or mapped over; and once they are gone again. May be null. */
	void (*unmapping)(uint64_t addr, uint64_t bytes, bool gone);
};
const struct front *front(void);
extern const struct front local_front, remote_front;

/* Without a lock: false, if nothing of ours is there at all. */
bool fd_may_be_ours(int fd);
/* Whether it is ours, errno left as it is. */
bool fd_find(int fd, struct found *out);
/* The same, without a lock where its mode tells that it is not: files.c. */
bool file_is_ours(int fd, struct found *out);

/* The number of the device that a path leads to; or that it leads to none; or through one, which is no folder. */
enum { NAME_OTHER = -1, NAME_BEHIND = -2 };
int device_named(int folder, const char *path);

#endif
