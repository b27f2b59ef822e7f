/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The name of a file may have anything in it. */
static void put_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
			fprintf(file, "\\u%04x", *text);
		else
			fputc(*text, file);
	}
	fputc('"', file);
}

static void put_bytes(FILE *file, const size_t *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		fprintf(file, "%s%zu", i ? "," : "[", bytes[i]);
	fputs(count ? "]" : "[]", file);
}

static void put_latency(FILE *file, const struct latency *latency)
{
	fputc('{', file);
	for (enum figure figure = 0; latency->count && figure < FIGURE_COUNT; figure++) {
		const struct spread *spread = &latency->figures[figure];

		fprintf(file, "%s\"%s\": [%.1f, %.1f, %.1f]", figure ? ", " : "", figure_name(figure),
		        spread->median, spread->low, spread->high);
	}
	fputc('}', file);
}

static void put_mode(FILE *file, const struct trace_report *report, enum mode mode)
{
	const char *comma = "";

	fprintf(file, "\"%s\": {", mode_name(mode));
	for (uint32_t kind = 0; kind < STEP_KIND_COUNT; kind++) {
		if (!report->plan.kinds[kind])
			continue;
		fprintf(file, "%s\n\"%s\": {", comma, step_kind_name((enum step_kind)kind));
		for (uint32_t peer = 0; peer < report->peer_count; peer++) {
			fprintf(file, "%s\"%s\": ", peer ? ", " : "", report->peers[peer].peer->name);
			put_latency(file, &report->peers[peer].modes[mode].kinds[kind]);
		}
		fputc('}', file);
		comma = ",";
	}
	fputc('}', file);
}

static void put_report(FILE *file, const struct measure_config *config, const struct trace_report *report)
{
	const struct timeline *first = &report->peers[0].timeline;
	const char *comma = "";

	fputs("{\"name\": ", file);
	put_string(file, report->name);
	fprintf(file, ", \"repeat\": %u, \"steps\": %u, \"client_size\": %zu,\n\"live\": ", config->repeat,
	        report->plan.step_count, report->region.client_size);
	put_bytes(file, first->live, first->count);
	fputs(",\n\"largest_free\": {", file);
	for (uint32_t peer = 0; peer < report->peer_count; peer++) {
		const struct timeline *timeline = &report->peers[peer].timeline;

		fprintf(file, "%s\"%s\": ", peer ? ",\n" : "", report->peers[peer].peer->name);
		put_bytes(file, timeline->largest_free, timeline->count);
	}
	fputs("},\n\"modes\": {", file);
	for (enum mode mode = 0; mode < MODE_COUNT; mode++) {
		if (!config->modes[mode])
			continue;
		fputs(comma, file);
		put_mode(file, report, mode);
		comma = ",\n";
	}
	fputs("}}\n", file);
}

int json_write(const char *directory, const struct measure_config *config, const struct trace_report *report)
{
	char path[4096];
	FILE *file;
	int failed;

	snprintf(path, sizeof(path), "%s/%s.json", directory, report->name);
	file = fopen(path, "w");
	if (file) {
		put_report(file, config, report);
		failed = ferror(file);
		if (!fclose(file) && !failed)
			return 0;
	}
	fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
	return -1;
}
