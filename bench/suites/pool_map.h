/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A picture of a client pool at several moments: a dot a page, a column a 2 MiB block, allocations in two shades. */
#ifndef BENCH_POOL_MAP_H
#define BENCH_POOL_MAP_H

#include <isthmus/isthmus.h>

struct pool_map {
	struct ist_client_pool *pool;
	uint32_t columns, moments;
	uint8_t *pixels;
};

void pool_map_begin(struct pool_map *map, struct ist_client_pool *pool);
void pool_map_add(struct pool_map *map); /* as the pool is now, below the earlier ones */
void pool_map_end(struct pool_map *map, const char *out_dir); /* writes client-pool-map.png and says so */

#endif
