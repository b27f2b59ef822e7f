/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "guest/back.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/sanitizers.h"
#include "support/support.h"

/* The library's records are had in steps, by how much waits for readers at a time. A test has many more peers than that. */
#define MAPS_SLACK 16

uint8_t disk_byte(size_t offset)
{
	return (uint8_t)(offset * 31 + offset / 512 * 7 + offset / 65536);
}

static void make_disk(struct back *back)
{
	uint8_t *bytes = malloc(DISK_BYTES);

	assert_non_null(bytes);
	for (size_t i = 0; i < DISK_BYTES; i++)
		bytes[i] = disk_byte(i);
	back->image = open(back->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(back->image >= 0);
	assert_int_equal(write(back->image, bytes, DISK_BYTES), DISK_BYTES);
	free(bytes);
}

struct back back_start(const char *program, const char *option)
{
	struct back back = {0};
	char line[256];
	int said[2];

	strcpy(back.folder, "/tmp/vhost-user-blk.XXXXXX");
	assert_non_null(mkdtemp(back.folder));
	snprintf(back.socket, sizeof(back.socket), "%s/socket", back.folder);
	snprintf(back.disk, sizeof(back.disk), "%s/disk", back.folder);
	make_disk(&back);
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	back.pid = fork();
	assert_true(back.pid >= 0);
	if (back.pid == 0) {
		prctl(PR_SET_PDEATHSIG,
		      SIGKILL); /* where a test fails, it ends without ending what it began */
		dup2(said[1], STDOUT_FILENO);
		if (option)
			execl(program, program, option, back.socket, back.disk, (char *)NULL);
		else
			execl(program, program, back.socket, back.disk, (char *)NULL);
		_exit(127);
	}
	close(said[1]);
	back.said = fdopen(said[0], "r");
	assert_non_null(back.said);
	assert_non_null(fgets(line, sizeof(line), back.said));
	assert_int_equal(strncmp(line, "serving", 7), 0);
	return back;
}

static size_t count_entries(pid_t pid)
{
	char path[64];
	size_t count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* All of its mappings, and those of a guest's memory. */
static size_t count_mappings(pid_t pid, size_t *guests)
{
	char path[64], line[512];
	size_t count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	*guests = 0;
	while (fgets(line, sizeof(line), file)) {
		count++;
		*guests += strstr(line, "memfd:guest") != NULL;
	}
	fclose(file);
	return count;
}

void back_remember(struct back *back)
{
	size_t guests;

	back->fds = count_entries(back->pid);
	back->maps = count_mappings(back->pid, &guests) + MAPS_SLACK;
}

struct back_gone back_peer_gone(struct back *back)
{
	unsigned long long owners, backings, mappings, pages, messages;
	struct back_gone gone;
	char line[512];
	size_t guests;

	if (!fgets(line, sizeof(line), back->said))
		fail_msg("the back end has died");
	if (sscanf(line,
	           "peer %*u gone: %63[^;]; %llu requests, %llu regions came and %llu went, %llu messages refused; "
	           "left: %llu owners, %llu backings, %llu mappings, %llu pages, %llu bytes of messages",
	           gone.why, &gone.requests, &gone.came, &gone.went, &gone.refused, &owners, &backings,
	           &mappings, &pages, &messages) != 10 ||
	    strstr(line, "error") || owners || backings || mappings || pages || messages)
		fail_msg("the back end says: %s", line);
	if (back->fds) {
		assert_int_equal(count_entries(back->pid), back->fds);
		assert_true(count_mappings(back->pid, &guests) <= back->maps || IS_SANITIZED);
		assert_int_equal(guests, 0);
	}
	return gone;
}

void back_stop(struct back *back)
{
	int status;

	assert_int_equal(kill(back->pid, SIGTERM), 0);
	assert_int_equal(waitpid(back->pid, &status, 0), back->pid);
	assert_int_equal(status, 0);
	fclose(back->said);
	close(back->image);
	assert_int_equal(unlink(back->disk), 0);
	assert_int_equal(rmdir(back->folder), 0);
}
