/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The registrations of a recording: every register, unregister and lookup of registered memory, in recorded order. */
#include "mapping.h"

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
	static uint64_t pages[RAM_PAGES];
	size_t all = RAM_PAGES, count = (size_t)((event->offset + event->size - 1) / IST_PAGE_SIZE + 1);
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

/* --- one iteration: the whole recording; the time is the mean of all its operations ------------------------------------ */

static const struct how {
	const char *name;
	bool spread;
	uint64_t cache;
} hows[] = {
        {"isthmus, contiguous pages", false, 0},
        {"isthmus, spread pages", true, 0},
        {"isthmus, contiguous pages, a cache of 16 MiB", false, 16 << 20},
};
static struct trace trace;

static void replay(struct ist_manager *manager, const struct how *how, struct replayed *out)
{
	for (uint32_t i = 0; i < trace.event_count; i++) {
		const struct trace_event *event = &trace.events[i];
		bool registered = trace_op_class(event->op) != TRACE_NO_OBJECT &&
		                  trace.objects[event->object].born_by == TRACE_REGISTER;

		if (event->op == TRACE_REGISTER)
			do_register(manager, event, how->spread, out);
		else if (event->op == TRACE_UNREGISTER)
			do_unregister(manager, event, out);
		else if (registered)
			do_lookup(manager, event, out);
	}
}

static void report(struct gbench_state *state, const struct replayed *out,
                   const struct ist_mapping_stats *stats)
{
	double found = (double)stats->cache_hits, all = found + (double)stats->cache_misses;

	gbench_set_counter(state, "register_ns", out->register_ns / (double)out->registered);
	gbench_set_counter(state, "unregister_ns", out->unregister_ns / (double)out->unregistered);
	gbench_set_counter(state, "lookup_ns", out->lookup_ns / (double)(out->lookups ? out->lookups : 1));
	gbench_set_counter(state, "registered", (double)out->registered);
	gbench_set_counter(state, "registered_MiB", (double)out->bytes / 1048576);
	gbench_set_counter(state, "looked_up", (double)out->lookups);
	gbench_set_counter(state, "left_at_end", (double)stats->mappings);
	gbench_set_counter(state, "cache_hit_percent", all > 0 ? 100 * found / all : 0);
	gbench_set_counter(state, "refused_or_wrong", (double)(out->refused + out->wrong));
}

static void recorded(struct gbench_state *state, void *context)
{
	const struct how *how = context;

	while (gbench_keep_running(state)) {
		struct ist_manager *manager = mapping_manager(RAM_FILE, how->cache);
		struct replayed out = {.mapping = must_allocate(trace.object_count, sizeof(*out.mapping))};
		struct ist_mapping_stats stats;

		replay(manager, how, &out);
		ist_mapping_stats(manager, &stats);
		report(state, &out, &stats);
		gbench_set_iteration_seconds(
		        state, (out.register_ns + out.unregister_ns + out.lookup_ns) * 1e-9 /
		                       (double)(out.registered + out.unregistered + out.lookups));
		for (uint32_t i = 0; i < trace.object_count; i++) {
			if (out.mapping[i].vaddr)
				ist_mapping_unregister(manager, 0, (uint64_t)i + 1, 0);
		}
		ist_mapping_flush(manager);
		mapping_manager_drop(manager);
		free(out.mapping);
	}
}

void suite_mapping_trace_register(const char *directory)
{
	struct trace_error error;
	char path[4096];

	snprintf(path, sizeof(path), "%s/d_register.istrace", directory);
	if (trace_load(path, &trace, &error)) {
		fprintf(stderr, "registrations are not replayed: %s\n", error.text);
		return;
	}
	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		struct gbench *b = gbench_register(recorded, (void *)(uintptr_t)&hows[i],
		                                   "mapping/recorded/%s", hows[i].name);

		gbench_iterations(b, 1);
		gbench_use_manual_time(b);
	}
}
