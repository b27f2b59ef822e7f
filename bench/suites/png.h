/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A picture file of one byte a pixel, into a palette. Not compressed, so no library is needed. */
#ifndef BENCH_PNG_H
#define BENCH_PNG_H

#include <stddef.h>
#include <stdint.h>

struct png_colour {
	uint8_t red, green, blue;
};

/* Rows from the top, `width` bytes each. Returns 0, or -1 with errno set. */
int png_write(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height,
              const struct png_colour *palette, size_t colours);

#endif
