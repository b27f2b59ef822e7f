/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "png.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct chunk_writer {
	FILE *file;
	uint32_t crc;
};

static void put(struct chunk_writer *writer, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	fwrite(data, 1, size, writer->file);
	for (size_t i = 0; i < size; i++) {
		writer->crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			writer->crc = writer->crc >> 1 ^ (writer->crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
}

static void put_u32(struct chunk_writer *writer, uint32_t value)
{
	const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
	                          (uint8_t)value};

	put(writer, bytes, sizeof(bytes));
}

static void begin(struct chunk_writer *writer, const char *type, size_t size)
{
	put_u32(writer, (uint32_t)size);
	writer->crc = UINT32_MAX; /* covers the type and the data */
	put(writer, type, 4);
}

static void end(struct chunk_writer *writer)
{
	put_u32(writer, ~writer->crc);
}

/* The image as a zlib stream of stored blocks, one a row: {filter 0, pixels}. */
static void put_rows(struct chunk_writer *writer, const uint8_t *pixels, uint32_t width, uint32_t height)
{
	uint32_t low = 1, high = 0, size = width + 1;
	const uint8_t header[2] = {0x78, 0x01}, filter = 0;

	begin(writer, "IDAT", 2 + (size_t)height * (5 + size) + 4);
	put(writer, header, sizeof(header));
	for (uint32_t row = 0; row < height; row++) {
		const uint8_t block[5] = {row + 1 == height, (uint8_t)size, (uint8_t)(size >> 8),
		                          (uint8_t)~size, (uint8_t)(~size >> 8)};

		put(writer, block, sizeof(block));
		put(writer, &filter, 1);
		put(writer, pixels + (size_t)row * width, width);
		high = (high + low) % 65521; /* Adler-32 of the filter byte, then of the row */
		for (uint32_t i = 0; i < width; i++) {
			low = (low + pixels[(size_t)row * width + i]) % 65521;
			high = (high + low) % 65521;
		}
	}
	put_u32(writer, high << 16 | low);
	end(writer);
}

int png_write(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height,
              const struct png_colour *palette, size_t colours)
{
	struct chunk_writer writer = {.file = fopen(path, "wb")};
	const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'},
	              format[5] = {8, 3, 0, 0, 0};
	bool failed;

	if (!writer.file)
		return -1;
	fwrite(signature, 1, sizeof(signature), writer.file);
	begin(&writer, "IHDR", 13);
	put_u32(&writer, width);
	put_u32(&writer, height);
	put(&writer, format, sizeof(format));
	end(&writer);
	begin(&writer, "PLTE", colours * 3);
	put(&writer, palette, colours * 3);
	end(&writer);
	put_rows(&writer, pixels, width, height);
	begin(&writer, "IEND", 0);
	end(&writer);
	failed = ferror(writer.file) != 0;
	return fclose(writer.file) || failed ? -1 : 0;
}
