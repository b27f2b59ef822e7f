/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What each operation costs as there is more of it; and what a guest that does its worst costs another one. */
#include "mapping.h"

#include <pthread.h>
#include <stdatomic.h>

#include "lib/histogram.h"

enum { OVER = 64, TRIES = 20, THOUSAND = 1000, VICTIM_PAGES = 16 };

static void add(struct ist_manager *manager, uint32_t owner, uint64_t page, uint64_t pages)
{
	struct ist_registration r = {
	        .paddr = WIDE_PADDR + page * IST_PAGE_SIZE, .size = pages * IST_PAGE_SIZE, .owner = owner};
	struct ist_mapping mapping;

	must(ist_mapping_register(manager, &r, &mapping));
}

static struct ist_manager *wide_manager(void)
{
	struct ist_manager *manager = mapping_manager(RAM_FILE, 0);

	mapping_add_wide(manager);
	mapping_owner(manager, 1);
	return manager;
}

static void wide_manager_drop(struct ist_manager *manager)
{
	must(ist_owner_destroy(manager, 1));
	mapping_manager_drop(manager);
}

/* One stretch more over so many registered pages, and away again: the shortest of some; and what it adds to bookkeeping. */
static void stretch_over_pages(struct gbench_state *state, void *context)
{
	uint64_t pages = (uint64_t)gbench_argument(state);
	struct ist_manager *manager = wide_manager();
	struct ist_registration r = {.paddr = WIDE_PADDR + IST_PAGE_SIZE,
	                             .size = (pages - 2) * IST_PAGE_SIZE};
	struct ist_mapping_stats before = {0}, after = {0};
	struct ist_mapping mapping;

	(void)context;
	for (uint64_t page = 0; page < pages; page++)
		add(manager, 1, page, 1);
	while (gbench_keep_running(state)) {
		double best = 1e18;

		for (int i = 0; i < TRIES; i++) {
			double start, took;

			ist_mapping_stats(manager, &before);
			start = now_ns();
			must(ist_mapping_register(manager, &r, &mapping));
			took = now_ns() - start;
			ist_mapping_stats(manager, &after);
			must(ist_mapping_unregister_one(manager, &mapping, 0));
			best = took < best ? took : best;
		}
		gbench_set_iteration_seconds(state, best * 1e-9);
	}
	gbench_set_counter(state, "bytes", (double)(after.bookkeeping - before.bookkeeping));
	wide_manager_drop(manager);
}

/* --- many of the same: each of the last thousand, beside each of the first ----------------------------------------- */

struct growing {
	const char *what;
	int64_t many;
	void (*add)(struct ist_manager *manager, uint64_t i);
};

static void add_stretch(struct ist_manager *manager, uint64_t i)
{
	add(manager, 1, i % 3, 4096);
}

static void add_page(struct ist_manager *manager, uint64_t i)
{
	(void)i;
	add(manager, 1, 7, 1);
}

static void add_backing(struct ist_manager *manager, uint64_t i)
{
	uint64_t at = WIDE_PADDR + (WIDE_PAGES + i * 2) * IST_PAGE_SIZE;
	struct ist_backing backing = {.paddr = at, .size = IST_PAGE_SIZE, .vaddr = (void *)(uintptr_t)at};

	must(ist_backing_add(manager, &backing));
}

static const struct growing growing[] = {
        {"stretches of 4096 pages, alike", 10000, add_stretch},
        {"mappings of one page", 100000, add_page},
        {"backings", 100000, add_backing},
};

static void grow(struct gbench_state *state, void *context)
{
	const struct growing *what = context;

	while (gbench_keep_running(state)) {
		struct ist_manager *manager = wide_manager();
		double first = 0, last = 0, start = 0;

		for (int64_t i = 0; i < what->many; i++) {
			if (i % THOUSAND == 0)
				start = now_ns();
			what->add(manager, (uint64_t)i);
			if (i % THOUSAND == THOUSAND - 1) {
				last = (now_ns() - start) / THOUSAND;
				first = i == THOUSAND - 1 ? last : first;
			}
		}
		gbench_set_iteration_seconds(state, last * 1e-9);
		gbench_set_counter(state, "first_ns", first);
		gbench_set_counter(state, "last_per_first", last / first);
		wide_manager_drop(manager);
	}
}

/* --- a guest that holds up others as far as it can ------------------------------------------------------------------ */

struct hostile {
	struct ist_manager *manager;
	uint64_t *pages; /* scattered */
	size_t count;
	atomic_bool stop;
};

static void register_and_back(struct hostile *h, const struct ist_registration *r)
{
	struct ist_mapping mapping;

	if (ist_mapping_register(h->manager, r, &mapping) == 0)
		must(ist_mapping_unregister_one(h->manager, &mapping, 0));
}

static void *do_the_worst(void *context)
{
	struct hostile *h = context;
	struct ist_mapping same[OVER];
	struct ist_registration all = {.paddr = WIDE_PADDR, .size = WIDE_PAGES * IST_PAGE_SIZE, .owner = 1};
	struct ist_registration list = {.pages = h->pages,
	                                .page_count = h->count,
	                                .size = h->count * IST_PAGE_SIZE,
	                                .owner = 1,
	                                .flags = IST_MAPPING_SEGMENTS};
	struct ist_registration beside = {.paddr = WIDE_PADDR, .size = 3 * IST_PAGE_SIZE, .owner = 1};

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		register_and_back(h, &list); /* a list of as many stretches as the quota allows */
		for (int i = 0; i < OVER; i++) /* the same again and again, one over the other */
			must(ist_mapping_register(h->manager, i % 2 ? &all : &beside, &same[i]));
		register_and_back(h, &list);
		for (int i = 0; i < OVER; i++)
			must(ist_mapping_unregister_one(h->manager, &same[i], 0));
	}
	return NULL;
}

static void victim(struct ist_manager *manager, double seconds, struct histogram *out)
{
	uint64_t pages[VICTIM_PAGES];
	double end = now_ns() + seconds * 1e9, start;
	struct ist_registration r = {.pages = pages,
	                             .page_count = VICTIM_PAGES,
	                             .size = VICTIM_PAGES * IST_PAGE_SIZE,
	                             .owner = 2,
	                             .flags = IST_MAPPING_SEGMENTS,
	                             .cookie = 1};

	*out = (struct histogram){0};
	for (size_t i = 0; i < VICTIM_PAGES; i++)
		pages[i] = RAM_PADDR + i * 35 * IST_PAGE_SIZE;
	while ((start = now_ns()) < end) {
		struct ist_mapping mapping;

		must(ist_mapping_register(manager, &r, &mapping));
		must(ist_mapping_unregister(manager, 2, 1, 0));
		histogram_add(out, (uint64_t)(now_ns() - start));
	}
}

static void report(struct gbench_state *state, const char *when, const struct histogram *h)
{
	static const struct {
		const char *name;
		double share;
	} tails[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
	char name[64];

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		snprintf(name, sizeof(name), "%s_%s", when, tails[i].name);
		gbench_set_counter(state, name, (double)histogram_percentile(h, tails[i].share));
	}
}

static void beside_a_hostile_guest(struct gbench_state *state, void *context)
{
	static struct histogram calm, disturbed;
	struct hostile h = {.manager = wide_manager(), .count = (size_t)gbench_argument(state)};
	pthread_t thread;

	(void)context;
	h.pages = must_allocate(h.count, sizeof(*h.pages));
	for (size_t i = 0; i < h.count; i++)
		h.pages[i] = WIDE_PADDR + (i * 7919 % (h.count * 2)) * IST_PAGE_SIZE;
	mapping_owner(h.manager, 2);
	while (gbench_keep_running(state)) {
		victim(h.manager, 0.1, &calm); /* to warm up */
		victim(h.manager, 1, &calm);
		atomic_store_explicit(&h.stop, false, memory_order_relaxed);
		must(pthread_create(&thread, NULL, do_the_worst, &h));
		victim(h.manager, 2, &disturbed);
		atomic_store_explicit(&h.stop, true, memory_order_relaxed);
		pthread_join(thread, NULL);
		gbench_set_iteration_seconds(state, (double)histogram_percentile(&disturbed, 0.5) * 1e-9);
	}
	report(state, "calm", &calm);
	report(state, "meanwhile", &disturbed);
	gbench_set_counter(state, "p99_per_calm",
	                   (double)histogram_percentile(&disturbed, 0.99) /
	                           (double)histogram_percentile(&calm, 0.99));
	must(ist_owner_destroy(h.manager, 2));
	wide_manager_drop(h.manager);
	free(h.pages);
}

static void once(struct gbench *b)
{
	gbench_iterations(b, 1);
	gbench_use_manual_time(b);
}

void suite_mapping_growth_register(void)
{
	static const int64_t pages[] = {1000, 10000, 100000, 1000000};
	struct gbench *b = gbench_register(stretch_over_pages, NULL, "mapping/stretch_over/isthmus");

	gbench_arguments(b, "pages", pages, suites_large ? 4 : 3);
	once(b);
	for (size_t i = 0; i < sizeof(growing) / sizeof(growing[0]); i++)
		once(gbench_register(grow, (void *)(uintptr_t)&growing[i], "mapping/growth/isthmus, %s",
		                     growing[i].what));
	b = gbench_register(beside_a_hostile_guest, NULL, "mapping/beside_a_hostile_guest/isthmus");
	gbench_over(b, "stretches", suites_large ? 1000000 : 100000);
	once(b);
}
