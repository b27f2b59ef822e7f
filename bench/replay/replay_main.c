/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The replay program: traces in, tables out, and their figures for plots. */
#include "lib/cpu.h"
#include "lib/machine.h"
#include "lib/options.h"
#include "lib/progress.h"
#include "json.h"
#include "recording.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define ROOM 16u /* times the carve-out: how far the search for the smallest pool may go */

static int measure_file(const char *path, const struct options *options, const struct measure_config *config,
                        struct trace_report *report)
{
	struct replay_fault fault = {{0}};
	struct recording recording;
	struct trace_error error;
	int result;

	if (recording_load(path, &recording, &error)) {
		progress_clear();
		fprintf(stderr, "replay: %s\n", error.text);
		return -1;
	}
	report->name = recording.name;
	report->events = recording.events;
	report->objects = recording.objects;
	report->plan = recording.plan;
	result = measure_trace(config, report, &fault);
	progress_clear();
	if (result) {
		fprintf(stderr, "replay: %s: %s\n", path, fault.text);
	} else {
		table_print(stdout, config, report);
		fflush(stdout);
		if (options->out)
			result = json_write(options->out, config, report);
	}
	plan_release(&report->plan);
	return result;
}

static void print_intro(const struct clock_scale *scale, uint32_t peers, const char *why)
{
	machine_print();
	printf("clock: " CLOCK_NAME
	       ", steps of %.1f ns; reading it takes %.1f ns (mean; median %.1f), which is subtracted\n",
	       scale->step * scale->ns_per_tick, scale->overhead_mean * scale->ns_per_tick,
	       scale->overhead_median * scale->ns_per_tick);
	printf("every peer zeroes client memory to the end of its last page, as isthmus does\n");
	printf("best-fit: a mutexed region list, best fit, coalescing\n");
	if (peers == PEERS_MAX)
		printf("jemalloc: an arena a pool over the same memory, thread caches on; it rounds sizes up to its classes, pads\n"
		       "          those from 16 KiB up by a page, and knows no physical address, so it translates nothing\n");
	else
		printf("jemalloc: left out: %s\n", why);
}

static unsigned char *map_room(size_t size)
{
	void *room =
	        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED) {
		fprintf(stderr, "replay: cannot map %zu MiB: %s\n", size >> 20, strerror(errno));
		return NULL;
	}
	return room;
}

static int run(const struct options *options, uint32_t peers, const char *why)
{
	struct measure_config config = {.repeat = options->repeat};
	unsigned char *room = map_room(options->pool * ROOM);
	struct trace_report *report = malloc(sizeof(*report));
	int i, status = 0;

	if (!room || !report)
		return 1;
	if (options->out && mkdir(options->out, 0777) && errno != EEXIST) {
		fprintf(stderr, "replay: cannot make %s: %s\n", options->out, strerror(errno));
		return 1;
	}
	memcpy(config.modes, options->modes, sizeof(config.modes));
	cpu_pin_nth(0);
	config.scale = clock_calibrate();
	print_intro(&config.scale, peers, why);
	fflush(stdout);
	progress_begin((uint32_t)options->file_count * measure_steps(&config, peers));
	for (i = 0; i < options->file_count; i++) {
		*report = (struct trace_report){
		        .region = recording_region(room, options->pool, options->driver_pool),
		        .peer_count = peers,
		        .peers = {{.peer = &peer_isthmus}, {.peer = &peer_bestfit}, {.peer = &peer_jemalloc}},
		};
		if (measure_file(options->files[i], options, &config, report))
			status = 1;
	}
	free(report);
	munmap(room, options->pool * ROOM);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	const char *why = NULL;
	uint32_t peers = PEERS_MAX;

	options_parse(argc, argv, &options);
	if (!peer_jemalloc_available(argv, &why))
		peers--;
	return run(&options, peers, why);
}
