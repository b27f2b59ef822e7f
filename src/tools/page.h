/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Reading the statistics of another process, who may be hostile: his file is read once, copied, and the copy is checked. A file
 * that could be made shorter while it is mapped, which would kill the reader, is refused.
 */
#ifndef TOOLS_PAGE_H
#define TOOLS_PAGE_H

#include <isthmus/stat_page.h>

#include <stdbool.h>
#include <stdio.h>

#define PAGES_MOST 64
#define PAGE_BYTES_MOST ((uint64_t)64 << 20) /* of a file; the library makes none that is larger */

struct page {
	const char *mapping; /* the file */
	size_t mapped;
	struct ist_stat_head head; /* a checked copy */
	char name[sizeof(((struct ist_stat_head *)NULL)->name)]; /* printable */
	uint64_t *snapshot; /* head.body_size bytes: a checked copy, after page_read */
};

struct pages {
	struct page at[PAGES_MOST];
	int count;
	int process; /* a pidfd, or -1 */
};

/* The files of a process. 0, or -1 and what is wrong on stderr. */
int pages_find(long pid, struct pages *out);
void pages_drop(struct pages *pages);
/* Whether the process has ended, waiting so long for it. */
bool pages_ended(const struct pages *pages, int milliseconds);

/* Copy the snapshot. 0; -1: it was being written all the time, or makes no sense; and why on stderr. */
int page_read(struct page *page);

static inline const struct ist_stat_body *page_body(const struct page *page)
{
	return (const struct ist_stat_body *)(const void *)page->snapshot;
}

static inline const void *page_table(const struct page *page, uint64_t at)
{
	return (const char *)page->snapshot + (at - page->head.body_at);
}

/* Rows of a pool; classes: body->pool[which].classes, cells: body->pool[which].cells. */
static inline const struct ist_stat_class *page_classes(const struct page *page, unsigned which)
{
	return (const struct ist_stat_class *)page_table(page, page->head.classes_at) +
	       which * (page->head.class_room / IST_STAT_POOLS);
}

static inline const struct ist_stat_cell *page_cells(const struct page *page, unsigned which)
{
	return (const struct ist_stat_cell *)page_table(page, page->head.cells_at) +
	       which * (page->head.cell_room / IST_STAT_POOLS);
}

/* The only word that is left of the arguments, a number of a process: above 0, or -1. After getopt_long. */
long pid_argument(int argc, char **argv);

/* Size in bytes in a few letters, such as 1.5M; in one of four buffers that are used in turn. */
const char *bytes_text(uint64_t bytes);

#endif
