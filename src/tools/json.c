/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A snapshot as one line of JSON. Its names are those of stat_page.h. */
#include "tools/stat.h"

#include <inttypes.h>

static const char *separator;

static void number(const char *name, uint64_t value)
{
	printf("%s\"%s\":%" PRIu64, separator, name, value);
	separator = ",";
}

static void open_with(const char *name, char bracket)
{
	if (name)
		printf("%s\"%s\":%c", separator, name, bracket);
	else
		printf("%s%c", separator, bracket);
	separator = "";
}

static void close_with(char bracket)
{
	putchar(bracket);
	separator = ",";
}

#define NUMBER(of, name) number(#name, (of)->name)

static void json_pool(const struct page *page, unsigned which)
{
	const struct ist_stat_pool *pool = &page_body(page)->pool[which];
	const struct ist_stat_class *classes = page_classes(page, which);

	open_with(which ? "client" : "driver", '{');
	NUMBER(pool, paddr);
	NUMBER(pool, size);
	NUMBER(pool, granule);
	NUMBER(pool, used);
	NUMBER(pool, peak);
	NUMBER(pool, largest_free);
	NUMBER(pool, cached);
	NUMBER(pool, allocs);
	NUMBER(pool, frees);
	NUMBER(pool, failures);
	NUMBER(pool, misuses);
	NUMBER(pool, live);
	NUMBER(pool, direct_allocs);
	NUMBER(pool, direct_frees);
	NUMBER(pool, refilled);
	NUMBER(pool, flushed);
	NUMBER(pool, drains);
	open_with("free_runs", '[');
	for (unsigned i = 0; i < IST_STAT_RUNS; i++) {
		printf("%s%" PRIu64, separator, pool->runs[i]);
		separator = ",";
	}
	close_with(']');
	open_with("classes", '[');
	for (uint64_t i = 0; i < pool->classes; i++) {
		if (classes[i].live == 0 && classes[i].cached == 0)
			continue;
		open_with(NULL, '{');
		NUMBER(&classes[i], granules);
		NUMBER(&classes[i], live);
		NUMBER(&classes[i], bytes);
		NUMBER(&classes[i], cached);
		close_with('}');
	}
	close_with(']');
	close_with('}');
}

static void json_cpus(const struct page *page)
{
	const struct ist_stat_cpu *cpus = page_table(page, page->head.cpus_at);

	open_with("cpus", '[');
	for (uint64_t i = 0; i < page_body(page)->cpus; i++) {
		open_with(NULL, '{');
		number("cpu", i);
		number("driver_cached", cpus[i].cached[0]);
		number("client_cached", cpus[i].cached[1]);
		number("driver_slow", cpus[i].slow[0]);
		number("client_slow", cpus[i].slow[1]);
		close_with('}');
	}
	close_with(']');
}

static void json_owners(const struct page *page)
{
	const struct ist_stat_owner *owners = page_table(page, page->head.owners_at);

	open_with("owners", '[');
	for (uint64_t i = 0; i < page_body(page)->owners; i++) {
		open_with(NULL, '{');
		NUMBER(&owners[i], id);
		printf(",\"state\":\"%s\"", owner_state(&owners[i]));
		NUMBER(&owners[i], mappings);
		NUMBER(&owners[i], pages);
		NUMBER(&owners[i], cached);
		NUMBER(&owners[i], refused);
		NUMBER(&owners[i], client_bytes);
		NUMBER(&owners[i], client_allocations);
		close_with('}');
	}
	close_with(']');
	number("owners_left_out", page_body(page)->owners_left_out);
}

static void json_mapping(const struct ist_stat_body *body)
{
	open_with("mapping", '{');
	NUMBER(body, mappings);
	NUMBER(body, mapped_pages);
	NUMBER(body, referenced);
	NUMBER(body, waiting);
	NUMBER(body, cached);
	NUMBER(body, cached_bytes);
	NUMBER(body, cache_hits);
	NUMBER(body, cache_misses);
	NUMBER(body, owners_alive);
	NUMBER(body, backings);
	NUMBER(body, window_size);
	NUMBER(body, window_used);
	NUMBER(body, bookkeeping);
	NUMBER(body, refused);
	close_with('}');
	open_with("provider", '{');
	NUMBER(body, asked);
	NUMBER(body, failed);
	NUMBER(body, wrong);
	NUMBER(body, returned);
	NUMBER(body, return_failures);
	NUMBER(body, provider_mappings);
	NUMBER(body, regions);
	NUMBER(body, region_pages);
	NUMBER(body, region_used);
	close_with('}');
}

static void json_name(const char *name)
{
	printf("\"name\":\"");
	for (; *name; name++)
		printf(*name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
	putchar('"');
	separator = ",";
}

void print_json(const struct page *page)
{
	const struct ist_stat_body *body = page_body(page);

	putchar('{');
	json_name(page->name);
	printf(",\"version\":%u,\"pid\":%" PRId64, page->head.version, page->head.pid);
	NUMBER(body, refreshes);
	NUMBER(body, time_ns);
	NUMBER(body, took_ns);
	NUMBER(body, period_ns);
	NUMBER(body, ended);
	json_pool(page, 0);
	json_pool(page, 1);
	json_cpus(page);
	json_owners(page);
	json_mapping(body);
	puts("}");
}
