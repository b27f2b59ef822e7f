/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* As much of SVG as two plots need. Coordinates are pixels from the upper left corner. */
#ifndef BENCH_SVG_H
#define BENCH_SVG_H

#include <stdbool.h>
#include <stdint.h>

struct svg;

enum svg_anchor {
	SVG_START,
	SVG_MIDDLE,
	SVG_END,
};

struct svg_point {
	double x, y;
};

/* Returns null when the file cannot be made; errno says why. */
struct svg *svg_open(const char *path, double width, double height);
/* Returns false when anything could not be written. */
bool svg_close(struct svg *svg);

void svg_text(struct svg *svg, double x, double y, double size, enum svg_anchor anchor, const char *text);
void svg_line(struct svg *svg, double x1, double y1, double x2, double y2, const char *colour, double width);
void svg_dot(struct svg *svg, double x, double y, double radius, const char *colour);
/* An open line. */
void svg_curve(struct svg *svg, const struct svg_point *points, uint32_t count, const char *colour,
               double width);
/* A filled shape. */
void svg_shape(struct svg *svg, const struct svg_point *points, uint32_t count, const char *colour);

#endif
