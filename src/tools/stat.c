/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* isthmus-stat: what a running program's managers do, out of the statistics that it exports. */
#include "tools/stat.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STALE_NS UINT64_C(3000000000)

struct options {
	long pid;
	double interval; /* seconds */
	bool once, json;
};

static const char usage[] =
        "usage: isthmus-stat [--once] [--interval SECONDS] [--json] PID\n"
        "\n"
        "Shows what the managers of a process hold and do, once a second, until it ends. The process\n"
        "must have called ist_stat_export, and you must be allowed to look into its /proc/PID/fd.\n"
        "\n"
        "  --once              one time, and no more\n"
        "  --interval SECONDS  between two times (default 1)\n"
        "  --json              a line of JSON for each manager and time\n";

static bool parse(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {{"once", no_argument, NULL, 'o'},
	                                      {"interval", required_argument, NULL, 'i'},
	                                      {"json", no_argument, NULL, 'j'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {NULL, 0, NULL, 0}};
	char *end;
	int option;

	*out = (struct options){.interval = 1};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'o':
			out->once = true;
			break;
		case 'j':
			out->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'i':
			out->interval = strtod(optarg, &end);
			if (end == optarg || *end || !(out->interval >= 0.01 && out->interval <= 86400))
				return false;
			break;
		default:
			return false;
		}
	}
	out->pid = pid_argument(argc, argv);
	return out->pid > 0;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static void print(const struct options *options, const struct page *page, const struct ist_stat_body *before)
{
	const struct ist_stat_body *body = page_body(page);
	uint64_t age = now() - body->time_ns;

	if (options->json) {
		print_json(page);
		return;
	}
	print_tables(page, before);
	if (body->period_ns && !body->ended && age <= INT64_MAX &&
	    age > STALE_NS + 10 * (body->period_ns + body->took_ns))
		printf("the snapshot is %" PRIu64 " seconds old: is the process stopped?\n\n",
		       age / UINT64_C(1000000000));
}

/* All of its managers. Returns whether each could be read. */
static bool show(const struct options *options, struct pages *pages, struct ist_stat_body *before,
                 bool has_before)
{
	bool is_live = !options->json && !options->once && isatty(STDOUT_FILENO), all = true;

	if (is_live)
		fputs("\033[H\033[2J", stdout);
	for (int i = 0; i < pages->count; i++) {
		if (page_read(&pages->at[i])) {
			all = false;
			continue;
		}
		print(options, &pages->at[i], has_before ? &before[i] : NULL);
		before[i] = *page_body(&pages->at[i]);
	}
	fflush(stdout);
	return all && !ferror(stdout);
}

int main(int argc, char **argv)
{
	static struct ist_stat_body before[PAGES_MOST];
	struct options options;
	struct pages pages;
	bool well;

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	if (pages_find(options.pid, &pages))
		return 1;
	well = show(&options, &pages, before, false);
	while (well && !options.once && !pages_ended(&pages, (int)(options.interval * 1000)))
		well = show(&options, &pages, before, true);
	if (well && !options.once && !options.json)
		printf("process %ld has ended\n", options.pid);
	pages_drop(&pages);
	return well ? 0 : 1;
}
