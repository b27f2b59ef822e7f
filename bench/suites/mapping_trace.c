/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The registrations of a recording: every register, unregister and lookup of registered memory, in recorded order. */
#include "mapping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "replay/trace.h"

struct replayed {
	struct ist_mapping *mapping; /* of each object that is registered */
	uint64_t registered, unregistered, lookups, refused, wrong, bytes;
	double register_ns, unregister_ns, lookup_ns;
};

/* The recording does not say which pages; spread ones (every one a stretch of its own) are what user memory is like. */
static void do_register(struct ist_manager *manager, const struct trace_event *event, bool spread,
                        struct replayed *out)
{
	static uint64_t pages[RAM_BYTES / IST_PAGE_SIZE];
	size_t all = RAM_BYTES / IST_PAGE_SIZE,
	       count = (size_t)((event->offset + event->size - 1) / IST_PAGE_SIZE + 1);
	struct ist_registration r = {.pages = pages,
	                             .page_count = count,
	                             .offset = event->offset,
	                             .size = event->size,
	                             .cookie = (uint64_t)event->object + 1};
	double start;
	int error;

	for (size_t i = 0; i < count && i < all; i++)
		pages[i] = RAM_PADDR + (event->object * 37 + i * (spread ? 5 : 1)) % all * IST_PAGE_SIZE;
	start = now_ns();
	error = ist_mapping_register(manager, &r, &out->mapping[event->object]);
	out->register_ns += now_ns() - start;
	out->registered++;
	out->refused += error != 0;
	out->bytes += event->size;
}

static void do_unregister(struct ist_manager *manager, const struct trace_event *event, struct replayed *out)
{
	double start = now_ns();

	out->refused += ist_mapping_unregister(manager, 0, (uint64_t)event->object + 1, 0) != 0;
	out->unregister_ns += now_ns() - start;
	out->unregistered++;
}

static void do_lookup(struct ist_manager *manager, const struct trace_event *event, struct replayed *out)
{
	const struct ist_mapping *mapping = &out->mapping[event->object];
	struct ist_mapping found;
	double start = now_ns();
	int error = ist_mapping_find(manager, 0, (uint64_t)event->object + 1, &found);

	out->lookup_ns += now_ns() - start;
	out->lookups++;
	out->refused += error != 0;
	out->wrong += !error && found.vaddr != mapping->vaddr;
}

static void replay(const struct trace *trace, const char *what, bool spread, uint64_t cache)
{
	struct bench_space space = bench_space_make(false, cache);
	struct replayed out = {.mapping = calloc(trace->object_count, sizeof(struct ist_mapping))};
	struct ist_mapping_stats stats;

	for (uint32_t i = 0; i < trace->event_count; i++) {
		const struct trace_event *event = &trace->events[i];
		bool registered = trace_op_class(event->op) != TRACE_NO_OBJECT &&
		                  trace->objects[event->object].born_by == TRACE_REGISTER;

		if (event->op == TRACE_REGISTER)
			do_register(space.manager, event, spread, &out);
		else if (event->op == TRACE_UNREGISTER)
			do_unregister(space.manager, event, &out);
		else if (registered)
			do_lookup(space.manager, event, &out);
	}
	ist_mapping_stats(space.manager, &stats);
	printf("  %s: %llu registered (%.0f MiB), %llu looked up, %llu left at the end, %.0f %% found in the cache\n",
	       what, (unsigned long long)out.registered, (double)out.bytes / 1048576,
	       (unsigned long long)out.lookups, (unsigned long long)stats.mappings,
	       100 * (double)stats.cache_hits / (double)(stats.cache_hits + stats.cache_misses));
	printf("    ns: register %.0f, unregister %.0f, lookup %.0f\n",
	       out.register_ns / (double)out.registered, out.unregister_ns / (double)out.unregistered,
	       out.lookup_ns / (double)(out.lookups ? out.lookups : 1));
	goal_most("refused or wrong", (double)(out.refused + out.wrong), 0, "");
	for (uint32_t i = 0; i < trace->object_count; i++)
		if (out.mapping[i].vaddr)
			ist_mapping_unregister(space.manager, 0, (uint64_t)i + 1, 0);
	ist_mapping_flush(space.manager);
	free(out.mapping);
	bench_space_drop(&space);
}

void bench_trace(const char *path)
{
	struct trace trace = {0};
	struct trace_error error;

	if (trace_load(path, &trace, &error)) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	printf("\nreplay of %s\n", path);
	replay(&trace, "contiguous pages", false, 0);
	replay(&trace, "spread pages", true, 0);
	replay(&trace, "contiguous pages, a cache of 16 MiB", false, 16 << 20);
	trace_release(&trace);
}
