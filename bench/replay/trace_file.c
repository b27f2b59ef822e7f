/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Reading trace files: the whole file into memory, then to the reader that its first bytes name. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t)1 << 30)

static int read_all(int fd, const char *path, unsigned char **data, size_t *size, struct trace_error *error)
{
	size_t room = 1 << 16, have = 0;
	unsigned char *buffer = malloc(room);

	while (buffer) {
		ssize_t got = read(fd, buffer + have, room - have);
		unsigned char *moved;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			trace_error_set(error, "%s: cannot read: %s", path, strerror(errno));
			free(buffer);
			return -1;
		}
		if (got == 0) {
			*data = buffer;
			*size = have;
			return 0;
		}
		have += (size_t)got;
		if (have < room)
			continue;
		if (room >= FILE_SIZE_MAX) {
			trace_error_set(error, "%s: larger than 1 GiB", path);
			free(buffer);
			return -1;
		}
		room *= 2;
		moved = realloc(buffer, room);
		if (!moved)
			free(buffer);
		buffer = moved;
	}
	trace_error_set(error, "%s: out of memory", path);
	return -1;
}

static bool is_compressed(const unsigned char *data, size_t size)
{
	static const struct {
		unsigned char bytes[4];
		size_t length;
	} magics[] = {{{0xfd, '7', 'z', 'X'}, 4}, {{0x1f, 0x8b}, 2}, {{0x28, 0xb5, 0x2f, 0xfd}, 4}};
	size_t i;

	for (i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (size >= magics[i].length && !memcmp(data, magics[i].bytes, magics[i].length))
			return true;
	return false;
}

int trace_load(const char *path, struct trace *trace, struct trace_error *error)
{
	unsigned char *data = NULL;
	struct stat status;
	size_t size = 0;
	int fd, result;

	*trace = (struct trace){0};
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		trace_error_set(error, "%s: cannot open: %s", path, strerror(errno));
		return -1;
	}
	if (!fstat(fd, &status) && S_ISDIR(status.st_mode)) {
		trace_error_set(error, "%s: is a directory, not a trace", path);
		close(fd);
		return -1;
	}
	result = read_all(fd, path, &data, &size, error);
	close(fd);
	if (result)
		return result;
	if (size == 0) {
		trace_error_set(error, "%s: empty file", path);
		result = -1;
	} else if (is_compressed(data, size)) {
		trace_error_set(error, "%s: compressed; decompress it first (xz -d, gzip -d, zstd -d)", path);
		result = -1;
	} else if (trace_binary_detect(data, size)) {
		result = trace_binary_read(path, data, size, trace, error);
	} else {
		result = trace_text_read(path, data, size, trace, error);
	}
	free(data);
	return result;
}
