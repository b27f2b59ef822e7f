/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A snapshot as tables for a terminal. */
#include "tools/stat.h"

#include <inttypes.h>

#define BAR 40u
#define ROWS_MOST 20u /* of classes and owners */

static const char *const names[IST_STAT_POOLS] = {"driver", "client"};

static double rate(uint64_t now, uint64_t before, const struct ist_stat_body *body,
                   const struct ist_stat_body *old)
{
	uint64_t ns = old && body->time_ns > old->time_ns ? body->time_ns - old->time_ns : 0;

	return ns && now >= before ? (double)(now - before) * 1e9 / (double)ns : 0;
}

static void print_pools(const struct ist_stat_body *body, const struct ist_stat_body *old)
{
	printf("%-8s%9s%9s%9s%9s%9s%12s%11s%9s%9s\n", "pool", "size", "used", "peak", "largest", "cached",
	       "live", "allocs/s", "failed", "misused");
	for (unsigned i = 0; i < IST_STAT_POOLS; i++) {
		const struct ist_stat_pool *pool = &body->pool[i];

		printf("%-8s%9s%9s", names[i], bytes_text(pool->size), bytes_text(pool->used));
		printf("%9s%9s%9s%12" PRIu64 "%11.0f%9" PRIu64 "%9" PRIu64 "\n", bytes_text(pool->peak),
		       bytes_text(pool->largest_free), bytes_text(pool->cached), pool->live,
		       rate(pool->allocs, old ? old->pool[i].allocs : 0, body, old), pool->failures,
		       pool->misuses);
	}
	printf("\n%-8s%14s%14s%14s%14s%9s\n", "slow", "taken", "given", "refilled", "flushed", "drains");
	for (unsigned i = 0; i < IST_STAT_POOLS; i++) {
		const struct ist_stat_pool *pool = &body->pool[i];

		printf("%-8s%14" PRIu64 "%14" PRIu64 "%14" PRIu64 "%14" PRIu64 "%9" PRIu64 "\n", names[i],
		       pool->direct_allocs, pool->direct_frees, pool->refilled, pool->flushed, pool->drains);
	}
}

static void bar(uint64_t value, uint64_t most)
{
	uint64_t length = most ? (value * BAR + most - 1) / most : 0;

	putchar(' ');
	for (uint64_t i = 0; i < length && i < BAR; i++)
		putchar('#');
	putchar('\n');
}

static void print_classes(const struct page *page, unsigned which)
{
	const struct ist_stat_pool *pool = &page_body(page)->pool[which];
	const struct ist_stat_class *classes = page_classes(page, which);
	uint64_t most = 0, left = 0;
	unsigned printed = 0;

	for (uint64_t i = 0; i < pool->classes; i++)
		most = classes[i].live > most ? classes[i].live : most;
	printf("\n%-8s%9s%12s%12s\n", names[which], "size", "live", "cached");
	for (uint64_t i = 0; i < pool->classes; i++) {
		if (classes[i].live == 0 && classes[i].cached == 0)
			continue;
		if (printed++ >= ROWS_MOST) {
			left++;
			continue;
		}
		printf("%8s%9s%12" PRIu64 "%12" PRIu64, "",
		       classes[i].granules  ? bytes_text(classes[i].granules * pool->granule)
		       : pool->classes == 1 ? "any"
		                            : "larger",
		       classes[i].live, classes[i].cached);
		bar(classes[i].live, most);
	}
	if (left)
		printf("%8s and %" PRIu64 " more sizes (--json has all)\n", "", left);
}

static void print_runs(const struct ist_stat_body *body, unsigned which)
{
	const struct ist_stat_pool *pool = &body->pool[which];
	uint64_t most = 0;

	for (unsigned i = 0; i < IST_STAT_RUNS; i++)
		most = pool->runs[i] > most ? pool->runs[i] : most;
	printf("\n%-8s%9s%12s\n", names[which], "from", "free runs");
	for (unsigned i = 0; i < IST_STAT_RUNS; i++) {
		if (pool->runs[i] == 0)
			continue;
		printf("%8s%9s%12" PRIu64, "", bytes_text(pool->granule << i), pool->runs[i]);
		bar(pool->runs[i], most);
	}
}

static void print_cpus(const struct page *page)
{
	const struct ist_stat_cpu *cpus = page_table(page, page->head.cpus_at);

	printf("\n%-8s%14s%14s%14s%14s\n", "CPU", "driver keeps", "client keeps", "driver slow",
	       "client slow");
	for (uint64_t i = 0; i < page_body(page)->cpus; i++) {
		if (cpus[i].slow[0] == 0 && cpus[i].slow[1] == 0)
			continue;
		printf("%-8" PRIu64 "%14s%14s%14" PRIu64 "%14" PRIu64 "\n", i, bytes_text(cpus[i].cached[0]),
		       bytes_text(cpus[i].cached[1]), cpus[i].slow[0], cpus[i].slow[1]);
	}
}

static void print_owners(const struct page *page)
{
	const struct ist_stat_owner *owners = page_table(page, page->head.owners_at);
	const struct ist_stat_body *body = page_body(page);
	uint64_t rows = body->owners < ROWS_MOST ? body->owners : ROWS_MOST,
	         left = body->owners_left_out + (body->owners - rows);

	if (body->owners == 0)
		return;
	printf("\n%-12s%8s%12s%12s%9s%9s%12s%12s\n", "owner", "", "mappings", "pages", "cached", "refused",
	       "client", "buffers");
	for (uint64_t i = 0; i < rows; i++)
		printf("%-12" PRIu32 "%8s%12" PRIu64 "%12" PRIu64 "%9" PRIu64 "%9" PRIu64 "%12s%12" PRIu64
		       "\n",
		       owners[i].id, owner_state(&owners[i]), owners[i].mappings, owners[i].pages,
		       owners[i].cached, owners[i].refused, bytes_text(owners[i].client_bytes),
		       owners[i].client_allocations);
	if (left)
		printf("and %" PRIu64 " that have less\n", left);
}

void print_tables(const struct page *page, const struct ist_stat_body *before)
{
	const struct ist_stat_body *body = page_body(page);

	printf("%s of process %" PRId64 ", snapshot %" PRIu64 "%s\n\n", page->name, page->head.pid,
	       body->refreshes, body->ended ? ", the last one: the export has ended" : "");
	print_pools(body, before);
	for (unsigned i = 0; i < IST_STAT_POOLS; i++) {
		print_classes(page, i);
		print_runs(body, i);
	}
	print_cpus(page);
	print_owners(page);
	printf("\nmappings %" PRIu64 " of %" PRIu64 " pages, referenced %" PRIu64
	       ", waiting for readers %" PRIu64 ", refused %" PRIu64 "; backings %" PRIu64
	       "; window %s of %s\n",
	       body->mappings, body->mapped_pages, body->referenced, body->waiting, body->refused,
	       body->backings, bytes_text(body->window_used), bytes_text(body->window_size));
	if (body->asked)
		printf("provider asked %" PRIu64 ", failed %" PRIu64 ", given back %" PRIu64
		       "; regions %" PRIu64 " of %" PRIu64 " pages\n",
		       body->asked, body->failed, body->returned, body->regions, body->region_pages);
	putchar('\n');
}
