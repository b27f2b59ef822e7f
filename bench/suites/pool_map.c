/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pool_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "png.h"

enum { BLOCK = 512, GAP = 8, FREE_COLOUR = 0, GAP_COLOUR = 3 };

static const struct png_colour palette[] = {
        {236, 240, 244},
        {38, 84, 124},
        {120, 164, 200},
        {255, 255, 255},
};

void pool_map_begin(struct pool_map *map, struct ist_client_pool *pool)
{
	struct ist_pool_stats stats;

	ist_client_pool_stats(pool, &stats);
	*map = (struct pool_map){.pool = pool, .columns = (uint32_t)(stats.size / IST_PAGE_SIZE / BLOCK)};
}

void pool_map_add(struct pool_map *map)
{
	size_t band = (size_t)map->columns * (BLOCK + GAP);
	struct ist_client_allocation found;
	uint64_t first = 0, next = 0;
	uint8_t *pixels = realloc(map->pixels, band * (map->moments + 1));

	if (!pixels)
		abort();
	map->pixels = pixels;
	pixels += band * map->moments++;
	memset(pixels, FREE_COLOUR, (size_t)map->columns * BLOCK);
	memset(pixels + (size_t)map->columns * BLOCK, GAP_COLOUR, (size_t)map->columns * GAP);
	for (unsigned shade = 1; ist_client_pool_next(map->pool, next, &found) == 0; shade ^= 3) {
		uint64_t page;

		if (first == 0) /* where the pool begins: this benchmark's pool is aligned to its blocks */
			first = found.view.paddr & ~(uint64_t)(BLOCK * IST_PAGE_SIZE - 1);
		page = (found.view.paddr - first) / IST_PAGE_SIZE;
		next = ((found.view.paddr + found.view.size - 1) | (IST_PAGE_SIZE - 1)) + 1;
		for (; page < (next - first) / IST_PAGE_SIZE && page / BLOCK < map->columns; page++)
			pixels[page % BLOCK * map->columns + page / BLOCK] = (uint8_t)shade;
	}
}

void pool_map_end(struct pool_map *map, const char *out_dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/client-pool-map.png", out_dir);
	if (png_write(path, map->pixels, map->columns, map->moments * (BLOCK + GAP), palette,
	              sizeof(palette) / sizeof(palette[0])))
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	else
		printf("  pool map before, during and after the churn, and when all is freed: %s\n", path);
	free(map->pixels);
}
