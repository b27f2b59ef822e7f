/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* isthmus-map: how the pools of a running program lie, as text or as a picture, out of the statistics that it exports. */
#include "tools/page.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 64u
#define ROWS_MOST 32u /* in the terminal */
#define SIDE 10u /* of a square, in pixels */
#define FULL 65535u
#define TOP 30u

struct options {
	long pid;
	const char *svg, *name;
};

static const char usage[] =
        "usage: isthmus-map [--svg FILE] [--name NAME] PID\n"
        "\n"
        "Shows how the pools of a process lie. It must have called ist_stat_export with a map (cells).\n"
        "\n"
        "  --svg FILE   as a picture, to FILE (- is the standard output)\n"
        "  --name NAME  of the manager with that name; default: the first one with a map\n"
        "\n"
        "In the terminal each sign is a stretch: . is free, : is kept by CPUs, 1 to 9 are tenths that\n"
        "are allocated, # is all of it. Behind each line is the largest allocation in it.\n";

static bool parse(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {{"svg", required_argument, NULL, 's'},
	                                      {"name", required_argument, NULL, 'n'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {NULL, 0, NULL, 0}};
	int option;

	*out = (struct options){0};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			out->svg = optarg;
			break;
		case 'n':
			out->name = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return false;
		}
	}
	out->pid = pid_argument(argc, argv);
	return out->pid > 0;
}

/* Several cells as one: the mean of what they have, the most of the largest. */
static struct ist_stat_cell fold(const struct ist_stat_cell *cells, uint64_t count)
{
	uint64_t live = 0, cached = 0, starts = 0;
	struct ist_stat_cell out = {0};

	for (uint64_t i = 0; i < count; i++) {
		live += cells[i].live;
		cached += cells[i].cached;
		starts += cells[i].starts;
		out.granules = cells[i].granules > out.granules ? cells[i].granules : out.granules;
	}
	out.live = (uint16_t)(live / count);
	out.cached = (uint16_t)(cached / count);
	out.starts = (uint16_t)(starts < FULL ? starts : FULL);
	if (live && out.live == 0)
		out.live = 1; /* a little is not nothing */
	return out;
}

static char sign(const struct ist_stat_cell *cell)
{
	unsigned tenths = cell->live * 10u / FULL;

	if (cell->live == 0)
		return cell->cached ? ':' : '.';
	return tenths >= 10 ? '#' : (char)('0' + (tenths ? tenths : 1));
}

static const char *largest_text(const struct ist_stat_pool *pool, unsigned granules)
{
	return granules == 0 ? "-" : granules == FULL ? "larger" : bytes_text(granules * pool->granule);
}

static void print_pool(const struct page *page, unsigned which)
{
	const struct ist_stat_pool *pool = &page_body(page)->pool[which];
	const struct ist_stat_cell *cells = page_cells(page, which);
	uint64_t each = (pool->cells + COLUMNS * ROWS_MOST - 1) / (COLUMNS * ROWS_MOST);

	printf("%s pool, %s at %#" PRIx64 ", %s used; a sign is %s\n", which ? "client" : "driver",
	       bytes_text(pool->size), pool->paddr, bytes_text(pool->used),
	       bytes_text(each * pool->cell_granules * pool->granule));
	for (uint64_t row = 0; row < pool->cells; row += each * COLUMNS) {
		unsigned largest = 0;

		printf("%12" PRIx64 " ", pool->paddr + row * pool->cell_granules * pool->granule);
		for (uint64_t i = row; i < pool->cells && i < row + each * COLUMNS; i += each) {
			struct ist_stat_cell cell =
			        fold(&cells[i], each < pool->cells - i ? each : pool->cells - i);

			putchar(sign(&cell));
			largest = cell.granules > largest ? cell.granules : largest;
		}
		printf(" %s\n", largest_text(pool, largest));
	}
	putchar('\n');
}

/* By the size of the largest allocation, from blue for one granule to red for 2^16. */
static void colour(FILE *out, const struct ist_stat_cell *cell)
{
	unsigned order = 0;

	while (cell->granules >> (order + 1))
		order++;
	if (cell->live)
		fprintf(out, "hsl(%u,70%%,%u%%)", 220 - order * 14, 85 - cell->live * 40u / FULL);
	else
		fputs(cell->cached ? "#ddd" : "#f7f7f7", out);
}

static void draw_cell(FILE *out, const struct ist_stat_pool *pool, const struct ist_stat_cell *cell,
                      uint64_t at, unsigned top)
{
	uint64_t bytes = pool->cell_granules * pool->granule;

	fprintf(out, "<rect x=\"%u\" y=\"%" PRIu64 "\" width=\"%u\" height=\"%u\" fill=\"",
	        (unsigned)(at % COLUMNS) * SIDE, top + at / COLUMNS * SIDE, SIDE - 1, SIDE - 1);
	colour(out, cell);
	fprintf(out,
	        "\"><title>%#" PRIx64
	        ": %u %% allocated, %u %% kept by CPUs, %u begin here, largest %s</title></rect>\n",
	        pool->paddr + at * bytes, cell->live * 100u / FULL, cell->cached * 100u / FULL, cell->starts,
	        largest_text(pool, cell->granules));
}

static unsigned height_of(const struct ist_stat_pool *pool)
{
	return TOP + (unsigned)((pool->cells + COLUMNS - 1) / COLUMNS) * SIDE;
}

static void draw(FILE *out, const struct page *page)
{
	const struct ist_stat_pool *pools = page_body(page)->pool;
	unsigned top = 0;

	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n",
	        COLUMNS * SIDE, height_of(&pools[0]) + height_of(&pools[1]));
	for (unsigned which = 0; which < IST_STAT_POOLS; which++) {
		const struct ist_stat_pool *pool = &pools[which];

		fprintf(out,
		        "<text x=\"0\" y=\"%u\">%s pool: %s at %#" PRIx64
		        ", %s used; a square is %s</text>\n",
		        top + 20, which ? "client" : "driver", bytes_text(pool->size), pool->paddr,
		        bytes_text(pool->used), bytes_text(pool->cell_granules * pool->granule));
		for (uint64_t i = 0; i < pool->cells; i++)
			draw_cell(out, pool, &page_cells(page, which)[i], i, top + TOP);
		top += height_of(pool);
	}
	fputs("</svg>\n", out);
}

static int write_svg(const char *path, const struct page *page)
{
	bool is_standard = strcmp(path, "-") == 0;
	FILE *out = is_standard ? stdout : fopen(path, "w");
	bool failed = !out;

	if (out) {
		draw(out, page);
		failed = fflush(out) || ferror(out);
		if (!is_standard)
			failed |= fclose(out) != 0;
	}
	if (failed)
		perror(path);
	return failed;
}

static struct page *choose(struct pages *pages, const char *name)
{
	for (int i = 0; i < pages->count; i++) {
		struct page *page = &pages->at[i];

		if (name ? strcmp(name, page->name) == 0 : page->head.cell_room > 0)
			return page;
	}
	return NULL;
}

static int show(const struct options *options, struct pages *pages)
{
	struct page *page = choose(pages, options->name);

	if (!page || page->head.cell_room == 0) {
		fprintf(stderr,
		        "process %ld: no manager%s%s exports a map (cells of struct ist_stat_options)\n",
		        options->pid, options->name ? " with the name " : "",
		        options->name ? options->name : "");
		return 1;
	}
	if (page_read(page))
		return 1;
	if (options->svg)
		return write_svg(options->svg, page);
	print_pool(page, 0);
	print_pool(page, 1);
	return ferror(stdout) != 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct pages pages;
	int failed;

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	if (pages_find(options.pid, &pages))
		return 1;
	failed = show(&options, &pages);
	pages_drop(&pages);
	return failed;
}
