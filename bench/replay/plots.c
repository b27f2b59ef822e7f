/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "plots.h"
#include "svg.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const colours[PEERS_MAX] = {"#0a7d4f", "#c2570c", "#3558c8"};
#define GRID "#dddddd"
#define AXIS "#555555"

static void print_path(char *path, size_t size, const char *directory, const char *name, const char *what)
{
	snprintf(path, size, "%s/%s-%s.svg", directory, name, what);
}

static struct svg *open_plot(const char *path, double width, double height)
{
	struct svg *svg = svg_open(path, width, height);

	if (!svg)
		fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
	return svg;
}

static int close_plot(struct svg *svg, const char *path)
{
	if (svg_close(svg))
		return 0;
	fprintf(stderr, "cannot write %s\n", path);
	return -1;
}

static void draw_legend(struct svg *svg, double x, double y, const struct trace_report *report)
{
	uint32_t peer;

	for (peer = 0; peer < report->peer_count; peer++) {
		const char *text = report->peers[peer].peer->name;

		svg_line(svg, x, y - 4, x + 18, y - 4, colours[peer], 3);
		svg_text(svg, x + 24, y, 12, SVG_START, text);
		x += 50 + 7 * (double)strlen(text);
	}
}

/* ---- occupancy ---- */

#define WIDE 960.0
#define HIGH 420.0
#define LEFT 70.0
#define RIGHT 20.0
#define TOP 62.0
#define BOTTOM 40.0

static double time_x(const struct timeline *timeline, uint32_t point)
{
	return LEFT + (WIDE - LEFT - RIGHT) * (double)point /
	                      (double)(timeline->count > 1 ? timeline->count - 1 : 1);
}

static double bytes_y(const struct trace_report *report, size_t bytes)
{
	return HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * (double)bytes / (double)report->region.client_size;
}

static void draw_occupancy_axes(struct svg *svg, const struct trace_report *report)
{
	char text[160];
	uint32_t i;

	snprintf(text, sizeof(text), "%.100s: occupancy of the client pool", report->name);
	svg_text(svg, LEFT, 22, 15, SVG_START, text);
	for (i = 0; i <= 4; i++) {
		size_t bytes = report->region.client_size / 4 * i;

		snprintf(text, sizeof(text), "%zu KiB", bytes / 1024);
		svg_line(svg, LEFT, bytes_y(report, bytes), WIDE - RIGHT, bytes_y(report, bytes), GRID, 1);
		svg_text(svg, LEFT - 6, bytes_y(report, bytes) + 4, 11, SVG_END, text);
	}
	svg_line(svg, LEFT, HIGH - BOTTOM, WIDE - RIGHT, HIGH - BOTTOM, AXIS, 1);
	snprintf(text, sizeof(text), "recorded order, %u steps from left to right", report->plan.step_count);
	svg_text(svg, (LEFT + WIDE - RIGHT) / 2, HIGH - 12, 12, SVG_MIDDLE, text);
}

static int plot_occupancy(const char *path, const struct trace_report *report)
{
	static struct svg_point points[TIMELINE_POINTS + 2];
	struct svg *svg = open_plot(path, WIDE, HIGH);
	const struct timeline *first = &report->peers[0].timeline;
	uint32_t peer, i;

	if (!svg)
		return -1;
	for (i = 0; i < first->count; i++)
		points[i] = (struct svg_point){time_x(first, i), bytes_y(report, first->live[i])};
	points[i] = (struct svg_point){i ? points[i - 1].x : LEFT, bytes_y(report, 0)};
	points[i + 1] = (struct svg_point){LEFT, bytes_y(report, 0)};
	svg_shape(svg, points, first->count + 2, "#b9c9d9");
	draw_occupancy_axes(svg, report);
	/* From the widest to the narrowest, so that lines in the same place all show. */
	for (peer = report->peer_count; peer-- > 0;) {
		const struct timeline *timeline = &report->peers[peer].timeline;

		for (i = 0; i < timeline->count; i++)
			points[i] = (struct svg_point){time_x(timeline, i),
			                               bytes_y(report, timeline->largest_free[i])};
		svg_curve(svg, points, timeline->count, colours[peer], 1.2 + 0.9 * peer);
	}
	svg_text(svg, LEFT, 46, 12, SVG_START, "filled: live, in whole pages; lines: longest free run, by");
	draw_legend(svg, LEFT + 340, 46, report);
	return close_plot(svg, path);
}

/* ---- latency ---- */

#define PANEL_WIDE 330.0
#define PANEL_HIGH 250.0
#define PANEL_LEFT 62.0
#define PANEL_TOP 34.0
#define PANEL_BOTTOM 30.0
#define PANELS_A_ROW 3u
#define HEAD 64.0

struct panel {
	double x, y; /* upper left corner */
	double decades, floor; /* log10 of ns: height of the axis and where it starts */
};

static double percentile_x(const struct panel *panel, enum figure figure)
{
	return panel->x + PANEL_LEFT +
	       (PANEL_WIDE - PANEL_LEFT - 16) * ((double)(figure - FIGURE_P50) + 0.5) /
	               (double)(FIGURE_COUNT - FIGURE_P50);
}

static double ns_y(const struct panel *panel, double ns)
{
	double part = (log10(ns > 1 ? ns : 1) - panel->floor) / panel->decades;

	return panel->y + PANEL_HIGH - PANEL_BOTTOM - (PANEL_HIGH - PANEL_TOP - PANEL_BOTTOM) * part;
}

static void draw_panel_axes(struct svg *svg, struct panel *panel, const struct trace_report *report,
                            enum mode mode, enum step_kind kind)
{
	double low = 1e12, high = 1;
	uint32_t peer, decade;
	enum figure figure;
	char text[64];

	for (peer = 0; peer < report->peer_count; peer++) {
		const struct latency *latency = &report->peers[peer].modes[mode].kinds[kind];

		if (!latency->count)
			continue;
		low = fmin(low, latency->figures[FIGURE_P50].low);
		high = fmax(high, latency->figures[FIGURE_MAX].high);
	}
	panel->floor = floor(log10(fmax(fmin(low, high), 1)));
	panel->decades = fmax(ceil(log10(high)) - panel->floor, 1);
	svg_text(svg, panel->x + PANEL_LEFT, panel->y + 22, 13, SVG_START, step_kind_name(kind));
	for (decade = 0; decade <= (uint32_t)panel->decades; decade++) {
		double ns = pow(10, panel->floor + decade);

		snprintf(text, sizeof(text),
		         ns < 1e3   ? "%.0f ns"
		         : ns < 1e6 ? "%.0f us"
		                    : "%.0f ms",
		         ns < 1e3   ? ns
		         : ns < 1e6 ? ns / 1e3
		                    : ns / 1e6);
		svg_line(svg, panel->x + PANEL_LEFT, ns_y(panel, ns), panel->x + PANEL_WIDE - 16,
		         ns_y(panel, ns), GRID, 1);
		svg_text(svg, panel->x + PANEL_LEFT - 6, ns_y(panel, ns) + 4, 11, SVG_END, text);
	}
	for (figure = FIGURE_P50; figure < FIGURE_COUNT; figure++)
		svg_text(svg, percentile_x(panel, figure), panel->y + PANEL_HIGH - PANEL_BOTTOM + 16, 11,
		         SVG_MIDDLE, figure_name(figure));
}

static void draw_panel(struct svg *svg, struct panel *panel, const struct trace_report *report,
                       enum mode mode, enum step_kind kind)
{
	struct svg_point points[FIGURE_COUNT];
	enum figure figure;
	uint32_t peer;

	draw_panel_axes(svg, panel, report, mode, kind);
	for (peer = 0; peer < report->peer_count; peer++) {
		const struct latency *latency = &report->peers[peer].modes[mode].kinds[kind];

		if (!latency->count)
			continue;
		for (figure = FIGURE_P50; figure < FIGURE_COUNT; figure++) {
			const struct spread *spread = &latency->figures[figure];
			/* Side by side, or the ranges of the peers would hide each other. */
			double x = percentile_x(panel, figure) + 5 * ((double)peer - 1);

			points[figure - FIGURE_P50] = (struct svg_point){x, ns_y(panel, spread->median)};
			svg_line(svg, x, ns_y(panel, spread->low), x, ns_y(panel, spread->high),
			         colours[peer], 1);
			svg_dot(svg, x, ns_y(panel, spread->median), 2.5, colours[peer]);
		}
		svg_curve(svg, points, FIGURE_COUNT - FIGURE_P50, colours[peer], 1.5);
	}
}

static int plot_latency(const char *path, const struct measure_config *config,
                        const struct trace_report *report, enum mode mode)
{
	uint32_t kind, panels = 0, drawn = 0;
	struct svg *svg;
	char text[200];

	for (kind = 0; kind < STEP_KIND_COUNT; kind++)
		panels += report->plan.kinds[kind] != 0;
	svg = open_plot(path, PANELS_A_ROW * PANEL_WIDE,
	                HEAD + PANEL_HIGH * ((panels + PANELS_A_ROW - 1) / PANELS_A_ROW));
	if (!svg)
		return -1;
	snprintf(text, sizeof(text), "%.100s: latency, %s", report->name, mode_name(mode));
	svg_text(svg, 20, 22, 15, SVG_START, text);
	snprintf(text, sizeof(text),
	         "medians of %u repetitions, bars from lowest to highest:", config->repeat);
	svg_text(svg, 20, 46, 12, SVG_START, text);
	draw_legend(svg, 370, 46, report);
	for (kind = 0; kind < STEP_KIND_COUNT; kind++) {
		struct panel panel = {.x = PANEL_WIDE * (drawn % PANELS_A_ROW),
		                      .y = HEAD + PANEL_HIGH * (drawn / PANELS_A_ROW)};

		if (!report->plan.kinds[kind])
			continue;
		draw_panel(svg, &panel, report, mode, kind);
		drawn++;
	}
	return close_plot(svg, path);
}

int plots_write(const char *directory, const struct measure_config *config, const struct trace_report *report)
{
	static const char *const words[MODE_COUNT] = {"latency-single", "latency-multi"};
	char path[4096];
	enum mode mode;

	print_path(path, sizeof(path), directory, report->name, "occupancy");
	if (plot_occupancy(path, report))
		return -1;
	for (mode = 0; mode < MODE_COUNT; mode++) {
		if (!config->modes[mode])
			continue;
		print_path(path, sizeof(path), directory, report->name, words[mode]);
		if (plot_latency(path, config, report, mode))
			return -1;
	}
	return 0;
}
