/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What lives in a client pool at some moments, as JSON for report/plots.py: where the pool is told to be written. */
#ifndef BENCH_POOL_MAP_H
#define BENCH_POOL_MAP_H

#include <isthmus/isthmus.h>

/* Of the file; null: no maps. Each begin makes it anew. */
extern const char *pool_map_path;

void pool_map_begin(struct ist_client_pool *pool);
void pool_map_add(const char *moment); /* all that lives now */
void pool_map_end(const char *moment); /* add, and close the file */

#endif
