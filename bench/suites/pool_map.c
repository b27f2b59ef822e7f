/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pool_map.h"

#include "lib/must.h"

const char *pool_map_path;

static struct ist_client_pool *pool;
static FILE *file;
static bool first;

void pool_map_begin(struct ist_client_pool *of)
{
	struct ist_pool_stats stats;

	if (!pool_map_path)
		return;
	pool = of;
	first = true;
	file = fopen(pool_map_path, "w");
	must(!file);
	ist_client_pool_stats(pool, &stats);
	fprintf(file, "{\"pages\": %zu, \"moments\": [", (size_t)stats.size / IST_PAGE_SIZE);
}

void pool_map_add(const char *moment)
{
	struct ist_client_allocation found;
	const char *comma = "";

	if (!file)
		return;
	fprintf(file, "%s\n{\"moment\": \"%s\", \"runs\": [", first ? "" : ",", moment);
	first = false;
	/* First page, and pages, of each. */
	for (uint64_t next = 0; ist_client_pool_next(pool, next, &found) == 0; comma = ",") {
		uint64_t page = found.view.paddr / IST_PAGE_SIZE;

		next = ((found.view.paddr + found.view.size - 1) | (IST_PAGE_SIZE - 1)) + 1;
		fprintf(file, "%s[%llu,%llu]", comma, (unsigned long long)page,
		        (unsigned long long)(next / IST_PAGE_SIZE - page));
	}
	fputs("]}", file);
}

void pool_map_end(const char *moment)
{
	pool_map_add(moment);
	if (!file)
		return;
	fputs("]}\n", file);
	must(fclose(file) != 0);
	file = NULL;
}
