/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Memory of the caller's may be made of several files side by side (one a huge page, a memory module, a node). Mapping pages
 * again goes by the file that lies at the first of them, and would go on in it; so it stops where another one begins, which the
 * system tells in /proc/self/maps. Read once a backing, when it is needed first: the caller keeps the memory as it is.
 */
#include "backing/seams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct area {
	uint64_t start, end, offset, inode;
	unsigned major, minor;
};

static bool read_area(FILE *maps, struct area *area)
{
	char permissions[8];
	int c, fields = fscanf(maps, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64, &area->start,
	                       &area->end, permissions, &area->offset, &area->major, &area->minor,
	                       &area->inode);

	do
		c = fgetc(maps);
	while (c != EOF && c != '\n');
	return fields == 7;
}

static bool goes_on(const struct area *before, const struct area *next)
{
	return before->end == next->start && before->inode != 0 && before->inode == next->inode &&
	       before->major == next->major && before->minor == next->minor &&
	       next->offset - before->offset == next->start - before->start;
}

static int add_seam(struct backing *backing, uint64_t at)
{
	if ((backing->seams & (backing->seams - 1)) == 0) {
		size_t room = backing->seams ? 2 * backing->seams : 1;
		uint64_t *grown = realloc(backing->seam, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		backing->seam = grown;
	}
	backing->seam[backing->seams++] = at;
	return 0;
}

static int find_seams(struct backing *backing)
{
	uint64_t first = (uint64_t)(uintptr_t)backing->view,
	         last = first + (backing->pages * IST_PAGE_SIZE - 1);
	struct area area, before = {0};
	FILE *maps = fopen("/proc/self/maps", "re");
	int error = 0;

	if (!maps)
		return -errno;
	backing->seams = 0;
	while (!error && read_area(maps, &area) && area.start <= last) {
		if (area.start > first && !goes_on(&before, &area))
			error = add_seam(backing, area.start);
		before = area;
	}
	fclose(maps);
	atomic_store_explicit(&backing->seams_known, !error, memory_order_release); /* backing_needs_lock */
	return error;
}

int64_t backing_seam(struct backing *backing, uint64_t at, uint64_t bytes)
{
	size_t low = 0, high;
	int error =
	        atomic_load_explicit(&backing->seams_known, memory_order_acquire) ? 0 : find_seams(backing);

	if (error)
		return error;
	high = backing->seams;
	while (low < high) { /* the first seam above `at` */
		size_t middle = low + (high - low) / 2;

		if (backing->seam[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return (int64_t)(low < backing->seams && backing->seam[low] - at < bytes ? backing->seam[low] - at
	                                                                         : bytes);
}
