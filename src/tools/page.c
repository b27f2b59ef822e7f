/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tools/page.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stat/sequence.h"

#define LINK "/memfd:" IST_STAT_FILE " (deleted)"

static bool fits(const struct ist_stat_head *head, uint64_t at, uint64_t rows, uint64_t size)
{
	uint64_t end = head->body_at + head->body_size;

	return at % 8 == 0 && at >= head->body_at && at <= end && rows <= (end - at) / size;
}

/* Null, or what is wrong. */
static const char *check_head(const struct ist_stat_head *head, uint64_t file_size)
{
	if (head->magic != IST_STAT_MAGIC)
		return "it is none of isthmus";
	if (head->version != IST_STAT_VERSION)
		return "it has another version";
	if (head->head_size < sizeof(*head) || head->file_size != file_size || head->body_at % 8 ||
	    head->body_at < head->head_size || head->body_at > file_size || head->body_size % 8 ||
	    head->body_size > file_size - head->body_at || head->body_size < sizeof(struct ist_stat_body) ||
	    !fits(head, head->classes_at, head->class_room, sizeof(struct ist_stat_class)) ||
	    !fits(head, head->cpus_at, head->cpu_room, sizeof(struct ist_stat_cpu)) ||
	    !fits(head, head->owners_at, head->owner_room, sizeof(struct ist_stat_owner)) ||
	    !fits(head, head->cells_at, head->cell_room, sizeof(struct ist_stat_cell)))
		return "its head makes no sense";
	return NULL;
}

static const char *check_body(const struct ist_stat_head *head, const struct ist_stat_body *body)
{
	if (body->cpus > head->cpu_room || body->owners > head->owner_room)
		return "its counts make no sense";
	for (unsigned i = 0; i < IST_STAT_POOLS; i++) {
		const struct ist_stat_pool *pool = &body->pool[i];

		if (pool->granule == 0 || pool->size % pool->granule ||
		    pool->classes > head->class_room / IST_STAT_POOLS ||
		    pool->cells > head->cell_room / IST_STAT_POOLS ||
		    (pool->cells && pool->cell_granules == 0))
			return "its counts make no sense";
	}
	return NULL;
}

/* What its process calls itself, by the innermost of its numbers; -1: unknown. */
static long inner_pid(long pid)
{
	char path[64], line[256];
	long found = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "NSpid:", 6) == 0)
			found = strtol(strrchr(line, '\t') ? strrchr(line, '\t') : line + 6, NULL, 10);
	}
	if (file)
		fclose(file);
	return found;
}

static void copy_name(struct page *page)
{
	size_t i;

	for (i = 0; i + 1 < sizeof(page->name) && page->head.name[i]; i++)
		page->name[i] =
		        page->head.name[i] >= ' ' && page->head.name[i] <= '~' ? page->head.name[i] : '?';
	page->name[i] = 0;
}

static const char *open_page(const char *path, long self, struct page *page)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), seals;
	const char *problem = NULL;
	struct stat stat;

	if (fd < 0)
		return strerror(errno);
	seals = fcntl(fd, F_GET_SEALS);
	if (fstat(fd, &stat))
		problem = strerror(errno);
	else if (seals < 0 || !(seals & F_SEAL_SHRINK))
		problem = "its length may change";
	else if ((uint64_t)stat.st_size < sizeof(page->head) || (uint64_t)stat.st_size > PAGE_BYTES_MOST)
		problem = "its length makes no sense";
	if (!problem) {
		void *mapping = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0);

		if (mapping == MAP_FAILED)
			problem = strerror(errno);
		else
			*page = (struct page){.mapping = mapping, .mapped = (size_t)stat.st_size};
	}
	close(fd);
	if (problem)
		return problem;
	memcpy(&page->head, page->mapping, sizeof(page->head));
	problem = check_head(&page->head, page->mapped);
	if (!problem && self > 0 && page->head.pid != self)
		problem = "it was inherited, and shows another process";
	if (!problem) {
		copy_name(page);
		page->snapshot = malloc(page->head.body_size);
		problem = page->snapshot ? NULL : "no memory";
	}
	if (problem)
		munmap((void *)(uintptr_t)page->mapping, page->mapped);
	return problem;
}

int pages_find(long pid, struct pages *out)
{
	char folder[64], path[PATH_MAX], target[64];
	long self = inner_pid(pid);
	const char *problem = NULL;
	struct dirent *entry;
	DIR *dir;

	*out = (struct pages){.process = (int)syscall(SYS_pidfd_open, pid, 0)};
	snprintf(folder, sizeof(folder), "/proc/%ld/fd", pid);
	dir = opendir(folder);
	if (!dir) {
		fprintf(stderr, "process %ld: %s\n", pid,
		        errno == ENOENT ? "there is none" : strerror(errno));
		pages_drop(out);
		return -1;
	}
	while (out->count < PAGES_MOST && (entry = readdir(dir))) {
		ssize_t length;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		length = readlink(path, target, sizeof(target));
		if (length != (ssize_t)strlen(LINK) || memcmp(target, LINK, strlen(LINK)))
			continue;
		problem = open_page(path, self, &out->at[out->count]);
		if (problem)
			fprintf(stderr, "%s: %s\n", path, problem);
		else
			out->count++;
	}
	closedir(dir);
	if (out->count)
		return 0;
	if (!problem)
		fprintf(stderr, "process %ld exports no statistics (ist_stat_export)\n", pid);
	pages_drop(out);
	return -1;
}

void pages_drop(struct pages *pages)
{
	for (int i = 0; i < pages->count; i++) {
		munmap((void *)(uintptr_t)pages->at[i].mapping, pages->at[i].mapped);
		free(pages->at[i].snapshot);
	}
	if (pages->process >= 0)
		close(pages->process);
	pages->count = 0;
	pages->process = -1;
}

bool pages_ended(const struct pages *pages, int milliseconds)
{
	struct pollfd wait = {.fd = pages->process, .events = POLLIN}; /* -1: waits only */

	return poll(&wait, 1, milliseconds) > 0;
}

int page_read(struct page *page)
{
	const uint64_t *sequence =
	        (const uint64_t *)(const void *)(page->mapping + offsetof(struct ist_stat_head, sequence));
	const uint64_t *body = (const uint64_t *)(const void *)(page->mapping + page->head.body_at);
	const char *problem;

	for (unsigned i = 0; i < STAT_TRIES; i++) {
		if (stat_copy(sequence, page->snapshot, body, page->head.body_size)) {
			problem = check_body(&page->head, page_body(page));
			if (problem)
				fprintf(stderr, "%s: %s\n", page->name, problem);
			return problem ? -1 : 0;
		}
		poll(NULL, 0, 1);
	}
	fprintf(stderr, "%s: it was stopped while it wrote its statistics\n", page->name);
	return -1;
}

long pid_argument(int argc, char **argv)
{
	char *end;
	long pid;

	if (optind + 1 != argc)
		return -1;
	errno = 0;
	pid = strtol(argv[optind], &end, 10);
	return errno || end == argv[optind] || *end || pid <= 0 || pid > INT_MAX ? -1 : pid;
}

const char *bytes_text(uint64_t bytes)
{
	static const char letters[] = " KMGTPE";
	static char texts[4][16];
	static unsigned turn;
	char *text = texts[turn++ % 4];
	double value = (double)bytes;
	unsigned letter = 0;

	for (; value >= 1024 && letter < 6; letter++)
		value /= 1024;
	if (letter == 0)
		snprintf(text, sizeof(texts[0]), "%u", (unsigned)bytes);
	else
		snprintf(text, sizeof(texts[0]), "%.*f%c", value < 10 ? 1 : 0, value, letters[letter]);
	return text;
}
