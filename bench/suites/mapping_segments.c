/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Scattered pages: used where they are, or mapped side by side, beside what the system calls alone take; and from two threads. */
#include "mapping.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LISTS 64u /* buffers in turn */
#define MANY 256u

struct scattered {
	struct bench_space *space;
	uint32_t owner, flags;
	uint64_t ram; /* where its memory begins */
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
			s->list[i][k] = s->ram + ((random >> 33) % (RAM_BYTES / IST_PAGE_SIZE / 2) * 2) *
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
			         (off_t)(list[k] - s->ram)) == MAP_FAILED)
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

/* Of a guest of its own, behind the first one's. */
static uint64_t add_ram(struct bench_space *space)
{
	struct ist_backing backing = {
	        .paddr = RAM_PADDR + RAM_BYTES, .size = RAM_BYTES, .fd = memfd_create("ram", MFD_CLOEXEC)};

	if (backing.fd < 0 || ftruncate(backing.fd, RAM_BYTES))
		must(-errno, "memfd");
	must(ist_backing_add(space->manager, &backing), "backing");
	close(backing.fd);
	return backing.paddr;
}

enum { BARE, SEGMENTS, SIDE_BY_SIDE, LONG, TWO_GUESTS, ONE_MEMORY = 6, SETS = 8 };

void bench_segments(int rounds)
{
	struct bench_space space = bench_space_make(false, 0);
	struct scattered *s = calloc(SETS, sizeof(*s));
	uint64_t second = add_ram(&space);
	struct round_values values[] = {
	        {.name = "16 pages: mmap each in its place, munmap", .measure = bare, .context = &s[BARE]},
	        {.name = "16 pages: register + unregister, segments",
	         .measure = registrations,
	         .context = &s[SEGMENTS]},
	        {.name = "16 pages: register + unregister, side by side",
	         .measure = registrations,
	         .context = &s[SIDE_BY_SIDE]},
	        {.name = "256 pages: register + unregister, segments",
	         .measure = registrations,
	         .context = &s[LONG]},
	        {.name = "16 pages: 2 threads for 2 guests, ns a pair of either",
	         .measure = two_threads,
	         .context = &s[TWO_GUESTS]},
	        {.name = "16 pages: 2 threads for 2 owners in one memory",
	         .measure = two_threads,
	         .context = &s[ONE_MEMORY]},
	};
	const int count = sizeof(values) / sizeof(values[0]);

	if (!s)
		exit(1);
	for (uint32_t i = 0; i < SETS; i++) {
		s[i].space = &space;
		s[i].ram = i == TWO_GUESTS + 1 ? second : RAM_PADDR;
		s[i].pages = i == LONG ? MANY : 16;
		s[i].pairs = i == BARE || i == SIDE_BY_SIDE ? 500 : i == LONG ? 2000 : 50000;
		s[i].flags = i == SIDE_BY_SIDE ? 0 : IST_MAPPING_SEGMENTS;
		s[i].owner = i;
		scatter(&s[i]);
		if (i > 0)
			must(ist_owner_create(space.manager, &(struct ist_owner_config){.id = i}), "owner");
	}
	rounds_run(values, count, rounds);
	printf("\nscattered pages of a memory file, ns a pair, medians of %d rounds [lowest..highest]\n",
	       rounds);
	for (int i = 0; i < count; i++)
		print_ns(&values[i]);
	goal_least("16 pages, segments: million a second", 1000 / values[1].median, 1.5, "M/s");
	goal_most("the same / mmap and munmap", values[1].median / values[0].median, 0.05, "x");
	goal_most("16 pages, side by side / mmap and munmap", values[2].median / values[0].median, 1.3, "x");
	goal_most("256 pages, segments", values[3].median / 1000, 15, "us");
	goal_least("2 threads for 2 guests / 1", values[1].median / values[4].median, 1.7, "x");
	printf("  %-66s            %10.2f x\n", "2 threads for 2 owners in one memory / 1",
	       values[1].median / values[5].median);
	for (uint32_t i = 1; i < SETS; i++)
		must(ist_owner_destroy(space.manager, i), "destroy");
	free(s);
	bench_space_drop(&space);
}
