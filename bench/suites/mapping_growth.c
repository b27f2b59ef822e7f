/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What each operation costs as there is more of it; and what a guest that does its worst costs another one. */
#include "mapping.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/histogram.h"

#define WIDE_PADDR UINT64_C(0x10000000000)
#define WIDE_PAGES ((uint64_t)1 << 21) /* address space that is never touched */

static void add_wide(struct bench_space *space)
{
	struct ist_backing backing = {.paddr = WIDE_PADDR,
	                              .size = WIDE_PAGES * IST_PAGE_SIZE,
	                              .vaddr = (void *)UINT64_C(0x10000000000)};

	must(ist_backing_add(space->manager, &backing), "backing");
}

static void add(struct ist_manager *manager, uint32_t owner, uint64_t page, uint64_t pages)
{
	struct ist_registration r = {
	        .paddr = WIDE_PADDR + page * IST_PAGE_SIZE, .size = pages * IST_PAGE_SIZE, .owner = owner};
	struct ist_mapping mapping;

	must(ist_mapping_register(manager, &r, &mapping), "register");
}

/* One stretch more, and away again: the shortest of some, in us; and what it adds to bookkeeping. */
static double stretch_us(struct ist_manager *manager, uint64_t pages, uint64_t *bytes)
{
	double best = 1e18;

	for (int i = 0; i < 20; i++) {
		struct ist_registration r = {.paddr = WIDE_PADDR + IST_PAGE_SIZE,
		                             .size = (pages - 2) * IST_PAGE_SIZE};
		struct ist_mapping_stats before, after;
		struct ist_mapping mapping;
		double start, took;

		ist_mapping_stats(manager, &before);
		start = now_ns();
		must(ist_mapping_register(manager, &r, &mapping), "register");
		took = now_ns() - start;
		ist_mapping_stats(manager, &after);
		*bytes = after.bookkeeping - before.bookkeeping;
		must(ist_mapping_unregister_one(manager, &mapping, 0), "unregister");
		best = took < best ? took : best;
	}
	return best / 1000;
}

static void stretch_over_pages(bool large)
{
	struct bench_space space = bench_space_make(false, 0);
	uint64_t below = 0, bytes;
	double us = 0;

	add_wide(&space);
	must(ist_owner_create(space.manager, &(struct ist_owner_config){.id = 1}), "owner");
	printf("\none stretch over n registered pages, the shortest of 20\n");
	for (uint64_t n = 1000; n <= (large ? 1000000u : 100000u); n *= 10) {
		for (; below < n; below++)
			add(space.manager, 1, below, 1);
		us = stretch_us(space.manager, n, &bytes);
		printf("  %-66s             %10.2f us       %llu bytes\n",
		       n == 1000 ? "n = 1000, 10000, ..." : "", us, (unsigned long long)bytes);
	}
	goal_most("the last", us, 20, "us");
	must(ist_owner_destroy(space.manager, 1), "destroy");
	bench_space_drop(&space);
}

/* Many of the same: ns for each of the last thousand, beside that of the first. */
static void many_of_the_same(const char *what, uint64_t pages, uint64_t many, double goal)
{
	struct bench_space space = bench_space_make(false, 0);
	double first = 0, last = 0, start = 0;

	add_wide(&space);
	must(ist_owner_create(space.manager, &(struct ist_owner_config){.id = 1}), "owner");
	for (uint64_t i = 0; i < many; i++) {
		if (i % 1000 == 0)
			start = now_ns();
		add(space.manager, 1, pages == 1 ? 7 : i % 3, pages);
		if (i % 1000 == 999) {
			last = (now_ns() - start) / 1000;
			first = i == 999 ? last : first;
		}
	}
	printf("  %-66s             %10.0f ns       the first thousand: %.0f\n", what, last, first);
	goal_most("the last thousand / the first", last / first, goal, "x");
	must(ist_owner_destroy(space.manager, 1), "destroy");
	bench_space_drop(&space);
}

static void many_backings(uint64_t many)
{
	struct bench_space space = bench_space_make(false, 0);
	double first = 0, last = 0, start = 0;

	for (uint64_t i = 0; i < many; i++) {
		struct ist_backing backing = {.paddr = WIDE_PADDR + i * 2 * IST_PAGE_SIZE,
		                              .size = IST_PAGE_SIZE,
		                              .vaddr = (void *)(uintptr_t)(WIDE_PADDR + i * IST_PAGE_SIZE)};

		if (i % 1000 == 0)
			start = now_ns();
		must(ist_backing_add(space.manager, &backing), "backing");
		if (i % 1000 == 999) {
			last = (now_ns() - start) / 1000;
			first = i == 999 ? last : first;
		}
	}
	printf("  %-66s             %10.0f ns       the first thousand: %.0f\n", "backing_add, of 100,000",
	       last, first);
	goal_most("the last thousand / the first", last / first, 4, "x");
	bench_space_drop(&space);
}

/* A guest that holds up others as far as it can. */
struct hostile {
	struct ist_manager *manager;
	const uint64_t *pages; /* scattered */
	size_t count;
	atomic_bool stop;
	uint64_t done;
};

static void register_and_back(struct hostile *h, const struct ist_registration *r)
{
	struct ist_mapping mapping;

	if (ist_mapping_register(h->manager, r, &mapping) == 0)
		must(ist_mapping_unregister_one(h->manager, &mapping, 0), "unregister");
	h->done++;
}

static void *do_the_worst(void *context)
{
	struct hostile *h = context;
	struct ist_mapping same[64], mapping;
	struct ist_registration all = {.paddr = WIDE_PADDR, .size = WIDE_PAGES * IST_PAGE_SIZE, .owner = 1};
	struct ist_registration list = {.pages = h->pages,
	                                .page_count = h->count,
	                                .size = h->count * IST_PAGE_SIZE,
	                                .owner = 1,
	                                .flags = IST_MAPPING_SEGMENTS};
	struct ist_registration beside = {.paddr = WIDE_PADDR, .size = 3 * IST_PAGE_SIZE, .owner = 1};

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		register_and_back(h, &list); /* a list of as many stretches as the quota allows */
		for (int i = 0; i < 64; i++) /* the same again and again, one over the other */
			must(ist_mapping_register(h->manager, i % 2 ? &all : &beside, &same[i]), "register");
		must(ist_mapping_register(h->manager, &list, &mapping), "register");
		must(ist_mapping_unregister_one(h->manager, &mapping, 0), "unregister");
		for (int i = 0; i < 64; i++)
			must(ist_mapping_unregister_one(h->manager, &same[i], 0), "unregister");
		h->done += 65;
	}
	return NULL;
}

static void victim(struct ist_manager *manager, double seconds, struct histogram *out)
{
	uint64_t pages[16];
	double end = now_ns() + seconds * 1e9, start;
	struct ist_registration r = {.pages = pages,
	                             .page_count = 16,
	                             .size = sizeof(pages) / sizeof(pages[0]) * IST_PAGE_SIZE,
	                             .owner = 2,
	                             .flags = IST_MAPPING_SEGMENTS,
	                             .cookie = 1};

	for (size_t i = 0; i < 16; i++)
		pages[i] = RAM_PADDR + i * 35 * IST_PAGE_SIZE;
	while ((start = now_ns()) < end) {
		struct ist_mapping mapping;

		must(ist_mapping_register(manager, &r, &mapping), "register");
		must(ist_mapping_unregister(manager, 2, 1, 0), "unregister");
		histogram_add(out, (uint64_t)(now_ns() - start));
	}
}

static void print_latencies(const char *what, const struct histogram *h)
{
	printf("  %-66s  p50 %llu, p99 %llu, p99.9 %llu, most %llu ns\n", what,
	       (unsigned long long)histogram_percentile(h, 0.5),
	       (unsigned long long)histogram_percentile(h, 0.99),
	       (unsigned long long)histogram_percentile(h, 0.999), (unsigned long long)h->max);
}

static void beside_a_hostile_guest(bool large)
{
	struct bench_space space = bench_space_make(false, 0);
	struct hostile h = {.manager = space.manager, .count = large ? 1000000 : 100000};
	struct histogram *calm = calloc(2, sizeof(*calm)), *disturbed = calm + 1;
	uint64_t *pages = malloc(h.count * sizeof(*pages));
	pthread_t thread;

	if (!calm || !pages)
		exit(1);
	for (size_t i = 0; i < h.count; i++)
		pages[i] = WIDE_PADDR + (i * 7919 % (h.count * 2)) * IST_PAGE_SIZE;
	h.pages = pages;
	add_wide(&space);
	for (uint32_t id = 1; id < 3; id++)
		must(ist_owner_create(space.manager, &(struct ist_owner_config){.id = id}), "owner");
	victim(space.manager, 0.1, calm);
	*calm = (struct histogram){0};
	victim(space.manager, 2, calm);
	if (pthread_create(&thread, NULL, do_the_worst, &h))
		exit(1);
	victim(space.manager, 3, disturbed);
	atomic_store_explicit(&h.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	printf("\na guest registers and unregisters 64 KiB while another one does its worst: lists of %zu stretches, stretches over all\n",
	       h.count);
	print_latencies("undisturbed", calm);
	print_latencies("meanwhile", disturbed);
	goal_most("p99 / undisturbed",
	          (double)histogram_percentile(disturbed, 0.99) / (double)histogram_percentile(calm, 0.99),
	          10, "x");
	for (uint32_t id = 1; id < 3; id++)
		must(ist_owner_destroy(space.manager, id), "destroy");
	free(calm);
	free(pages);
	bench_space_drop(&space);
}

void bench_growth(bool large)
{
	stretch_over_pages(large);
	printf("\nas there are more of them, ns each\n");
	many_of_the_same("a stretch over 4096 pages, of 10,000 alike", 4096, 10000, 3);
	many_of_the_same("a mapping of one and the same page, of 100,000", 1, 100000, 4);
	many_backings(100000);
	beside_a_hostile_guest(large);
}
