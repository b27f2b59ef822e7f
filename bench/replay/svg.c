/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "svg.h"

#include <stdio.h>
#include <stdlib.h>

struct svg {
	FILE *file;
};

struct svg *svg_open(const char *path, double width, double height)
{
	struct svg *svg = malloc(sizeof(*svg));

	if (!svg)
		return NULL;
	svg->file = fopen(path, "we");
	if (!svg->file) {
		free(svg);
		return NULL;
	}
	fprintf(svg->file,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" "
	        "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
	        width, height, width, height);
	return svg;
}

bool svg_close(struct svg *svg)
{
	bool ok;

	fputs("</svg>\n", svg->file);
	ok = !ferror(svg->file);
	ok &= fclose(svg->file) == 0;
	free(svg);
	return ok;
}

/* Names come from files: whatever means something to XML, or nothing at all, must not get through. */
static void put_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '&')
			fputs("&amp;", file);
		else if ((unsigned char)*text >= 0x20 && (unsigned char)*text < 0x7f)
			fputc(*text, file);
		else
			fputc('?', file);
	}
}

void svg_text(struct svg *svg, double x, double y, double size, enum svg_anchor anchor, const char *text)
{
	static const char *const anchors[] = {"start", "middle", "end"};

	fprintf(svg->file, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\">", x, y, size,
	        anchors[anchor]);
	put_escaped(svg->file, text);
	fputs("</text>\n", svg->file);
}

void svg_line(struct svg *svg, double x1, double y1, double x2, double y2, const char *colour, double width)
{
	fprintf(svg->file,
	        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%g\"/>\n",
	        x1, y1, x2, y2, colour, width);
}

void svg_dot(struct svg *svg, double x, double y, double radius, const char *colour)
{
	fprintf(svg->file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"%s\"/>\n", x, y, radius, colour);
}

static void put_points(FILE *file, const struct svg_point *points, uint32_t count)
{
	uint32_t i;

	fputs("<path d=\"", file);
	for (i = 0; i < count; i++)
		fprintf(file, "%c%.1f %.1f", i ? 'L' : 'M', points[i].x, points[i].y);
}

void svg_curve(struct svg *svg, const struct svg_point *points, uint32_t count, const char *colour,
               double width)
{
	put_points(svg->file, points, count);
	fprintf(svg->file, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"%g\"/>\n", colour, width);
}

void svg_shape(struct svg *svg, const struct svg_point *points, uint32_t count, const char *colour)
{
	put_points(svg->file, points, count);
	fprintf(svg->file, "Z\" fill=\"%s\"/>\n", colour);
}
