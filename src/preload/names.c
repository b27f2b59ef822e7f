/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which path is a device's. By its text: what links lead where is not looked at. Only what has a component that looks like a
 * device is looked at closer.
 */
#include "preload/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/dev/"
#define FOLDER_LENGTH (sizeof(FOLDER) - 1)

/* teeN or teeprivN: its number; or NAME_OTHER. */
static int component(const char *at)
{
	int first = 0;

	if (strncmp(at, "tee", 3) != 0)
		return NAME_OTHER;
	at += 3;
	if (strncmp(at, "priv", 4) == 0) {
		first = DEVICE_PRIVILEGED;
		at += 4;
	}
	if (at[0] < '0' || at[0] > '9' || (at[1] != '\0' && at[1] != '/'))
		return NAME_OTHER;
	return first + at[0] - '0';
}

static bool looks_like_one(const char *path)
{
	for (const char *at = path; (at = strstr(at, "tee")); at++)
		if ((at == path || at[-1] == '/') && component(at) != NAME_OTHER)
			return true;
	return false;
}

/* Where a relative path begins: its length, 0 if nobody knows. */
static size_t name_begin(int folder, char *out, size_t room)
{
	char link[32];
	ssize_t length;

	if (folder == AT_FDCWD)
		return getcwd(out, room) && out[0] == '/' ? strlen(out) : 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
	length = readlink(link, out, room);
	return length > 0 && (size_t)length < room && out[0] == '/' ? (size_t)length : 0;
}

static size_t name_parent(const char *out, size_t length)
{
	while (length && out[--length] != '/')
		;
	return length;
}

/* out, `length` bytes without a slash at the end, and then path: a device, or NAME_OTHER or NAME_BEHIND. */
static int name_walk(char *out, size_t length, const char *path)
{
	for (;;) {
		size_t bytes;

		path += strspn(path, "/");
		bytes = strcspn(path, "/");
		if (!bytes)
			return NAME_OTHER;
		if (length + bytes + 2 > PATH_MAX)
			return NAME_OTHER;
		if (bytes == 2 && memcmp(path, "..", 2) == 0) {
			length = name_parent(out, length);
		} else if (bytes != 1 || path[0] != '.') {
			out[length++] = '/';
			memcpy(out + length, path, bytes);
			length += bytes;
		}
		out[length] = '\0';
		path += bytes;
		if (length > FOLDER_LENGTH && memcmp(out, FOLDER, FOLDER_LENGTH) == 0 &&
		    !strchr(out + FOLDER_LENGTH, '/') && component(out + FOLDER_LENGTH) != NAME_OTHER)
			return *path ? NAME_BEHIND : component(out + FOLDER_LENGTH);
	}
}

/* By itself, for its stack: signal handlers open things too. */
__attribute__((noinline)) static int name_resolve(int folder, const char *path)
{
	char out[PATH_MAX];
	size_t length = 0;
	int before = errno;

	if (path[0] != '/') {
		length = name_begin(folder, out, sizeof(out));
		errno = before;
		if (!length)
			return NAME_OTHER;
		if (length == 1) /* the root */
			length = 0;
	}
	return name_walk(out, length, path);
}

int device_named(int folder, const char *path)
{
	return path && looks_like_one(path) ? name_resolve(folder, path) : NAME_OTHER;
}
