/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Scattered pages: used where they are, or mapped side by side, beside what the system calls alone take; and from two threads. */
#include "mapping.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LISTS 64u /* buffers in turn */
#define MANY 256u

struct scattered {
	struct bench_space *space;
	uint32_t owner, flags;
	size_t pages;
	int pairs;
	size_t turn;
	uint64_t list[LISTS][MANY];
};

static void scatter(struct scattered *s)
{
	uint64_t random = s->owner + 1;

	for (size_t i = 0; i < LISTS; i++) {
		for (size_t k = 0; k < MANY; k++) {
			random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			/* No two of a list are neighbours. */
			s->list[i][k] = RAM_PADDR + ((random >> 33) % (RAM_BYTES / IST_PAGE_SIZE / 2) * 2) *
			                                    IST_PAGE_SIZE;
		}
	}
}

static double registrations(void *context)
{
	struct scattered *s = context;
	double start = now_ns();

	for (int i = 0; i < s->pairs; i++) {
		struct ist_registration r = {.pages = s->list[s->turn++ % LISTS],
		                             .page_count = s->pages,
		                             .size = s->pages * IST_PAGE_SIZE,
		                             .owner = s->owner,
		                             .flags = s->flags,
		                             .cookie = 5};
		struct ist_mapping mapping;

		must(ist_mapping_register(s->space->manager, &r, &mapping), "register");
		must(ist_mapping_unregister(s->space->manager, s->owner, 5, 0), "unregister");
	}
	return (now_ns() - start) / s->pairs;
}

/* What putting the same pages side by side takes at least. */
static double bare(void *context)
{
	struct scattered *s = context;
	double start = now_ns();

	for (int i = 0; i < s->pairs; i++) {
		const uint64_t *list = s->list[s->turn++ % LISTS];
		char *at = mmap(NULL, s->pages * IST_PAGE_SIZE, PROT_NONE,
		                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		for (size_t k = 0; k < s->pages; k++)
			if (mmap(at + k * IST_PAGE_SIZE, IST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			         MAP_SHARED | MAP_FIXED, s->space->fd,
			         (off_t)(list[k] - RAM_PADDR)) == MAP_FAILED)
				exit(1);
		munmap(at, s->pages * IST_PAGE_SIZE);
	}
	return (now_ns() - start) / s->pairs;
}

static void *registrations_too(void *context)
{
	registrations(context);
	return NULL;
}

/* Two owners, a thread each: ns for a pair of either. */
static double two_threads(void *context)
{
	struct scattered *two = context;
	double start = now_ns();
	pthread_t thread;

	if (pthread_create(&thread, NULL, registrations_too, &two[1]))
		exit(1);
	registrations(&two[0]);
	pthread_join(thread, NULL);
	return (now_ns() - start) / two[0].pairs / 2;
}

void bench_segments(int rounds)
{
	struct bench_space space = space_make(false, 0);
	struct scattered *s = calloc(6, sizeof(*s));
	struct round_values values[] = {
	        {.name = "16 pages: mmap each in its place, munmap", .measure = bare, .context = &s[0]},
	        {.name = "16 pages: register + unregister, segments",
	         .measure = registrations,
	         .context = &s[1]},
	        {.name = "16 pages: register + unregister, side by side",
	         .measure = registrations,
	         .context = &s[2]},
	        {.name = "256 pages: register + unregister, segments",
	         .measure = registrations,
	         .context = &s[3]},
	        {.name = "16 pages: segments, 2 threads for 2 owners, ns a pair of either",
	         .measure = two_threads,
	         .context = &s[4]},
	};

	if (!s)
		exit(1);
	for (uint32_t i = 0; i < 6; i++) {
		s[i].space = &space;
		s[i].pages = i == 3 ? MANY : 16;
		s[i].pairs = i == 0 || i == 2 ? 500 : i == 3 ? 2000 : 50000;
		s[i].flags = i == 2 ? 0 : IST_MAPPING_SEGMENTS;
		s[i].owner = i;
		scatter(&s[i]);
		if (i > 0)
			must(ist_owner_create(space.manager, &(struct ist_owner_config){.id = i}), "owner");
	}
	rounds_run(values, 5, rounds);
	printf("\nscattered pages of a memory file, ns a pair, medians of %d rounds [lowest..highest]\n",
	       rounds);
	for (int i = 0; i < 5; i++)
		print_ns(&values[i]);
	goal_least("16 pages, segments: million a second", 1000 / values[1].median, 1.5, "M/s");
	goal_most("the same / mmap and munmap", values[1].median / values[0].median, 0.05, "x");
	goal_most("16 pages, side by side / mmap and munmap", values[2].median / values[0].median, 1.3, "x");
	goal_most("256 pages, segments", values[3].median / 1000, 15, "us");
	goal_least("2 threads / 1", values[1].median / values[4].median, 1.7, "x");
	for (uint32_t i = 1; i < 6; i++)
		must(ist_owner_destroy(space.manager, i), "destroy");
	free(s);
	space_drop(&space);
}
