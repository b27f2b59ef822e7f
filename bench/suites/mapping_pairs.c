/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Register and unregister at once, beside what the system calls alone take. */
#include "mapping.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BUFFER ((size_t)64 << 10)
#define BUFFERS (RAM_BYTES / BUFFER)
#define PAIRS 20000
#define OTHERS 1000

struct pairs {
	struct bench_space space;
	size_t turn;
	size_t different; /* buffers in turn */
	size_t size;
	bool touch;
};

static uint64_t next_buffer(struct pairs *p)
{
	p->turn = (p->turn + 1) % p->different;
	return (uint64_t)p->turn * 7 % BUFFERS * BUFFER;
}

static void touch_pages(char *at)
{
	for (size_t i = 0; i < BUFFER; i += IST_PAGE_SIZE)
		at[i]++;
}

static double registration(void *context)
{
	struct pairs *p = context;
	double start = now_ns();

	for (int i = 0; i < PAIRS; i++) {
		struct ist_registration r = {
		        .paddr = RAM_PADDR + next_buffer(p), .size = p->size, .cookie = 5};
		struct ist_mapping mapping;

		must(ist_mapping_register(p->space.manager, &r, &mapping), "register");
		if (p->touch)
			touch_pages(mapping.vaddr);
		must(ist_mapping_unregister(p->space.manager, 0, 5, 0), "unregister");
	}
	return (now_ns() - start) / PAIRS;
}

static double bare(void *context)
{
	struct pairs *p = context;
	double start = now_ns();

	for (int i = 0; i < PAIRS; i++) {
		char *at = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, p->space.fd,
		                (off_t)next_buffer(p));

		if (at == MAP_FAILED)
			exit(1);
		if (p->touch)
			touch_pages(at);
		munmap(at, BUFFER);
	}
	return (now_ns() - start) / PAIRS;
}

/* Others that are live all the time, so that the maps are not empty. */
static void add_others(struct bench_space *space)
{
	for (uint64_t i = 0; i < OTHERS; i++) {
		struct ist_registration r = {.paddr = RAM_PADDR + i * 3 * IST_PAGE_SIZE,
		                             .size = IST_PAGE_SIZE,
		                             .cookie = 1000 + i};
		struct ist_mapping mapping;

		must(ist_mapping_register(space->manager, &r, &mapping), "register");
	}
}

static void drop_others(struct bench_space *space)
{
	for (uint64_t i = 0; i < OTHERS; i++)
		must(ist_mapping_unregister(space->manager, 0, 1000 + i, 0), "unregister");
}

static void beside_mmap(int rounds, bool touch)
{
	struct pairs direct = {
	        .space = bench_space_make(false, 0), .different = BUFFERS, .size = BUFFER, .touch = touch};
	struct pairs cached = {
	        .space = bench_space_make(false, 16 << 20), .different = 64, .size = BUFFER, .touch = touch};
	struct round_values values[] = {
	        {.name = "mmap + munmap", .measure = bare, .context = &direct},
	        {.name = "register + unregister", .measure = registration, .context = &direct},
	        {.name = "register + unregister, found in the cache",
	         .measure = registration,
	         .context = &cached},
	};

	printf("\n64 KiB of a memory file, %s, ns a pair, medians of %d rounds [lowest..highest]\n",
	       touch ? "every page written to" : "no page touched", rounds);
	rounds_run(values, 3, rounds);
	for (int i = 0; i < 3; i++)
		print_ns(&values[i]);
	goal_most("register + unregister / mmap + munmap", values[1].median / values[0].median, 1.3, "x");
	goal_most("the same, found in the cache", values[2].median / values[0].median, 0.3, "x");
	ist_mapping_flush(cached.space.manager);
	bench_space_drop(&direct.space);
	bench_space_drop(&cached.space);
}

static void without_mmap(int rounds)
{
	struct pairs p = {.space = bench_space_make(true, 0), .different = BUFFERS, .size = BUFFER};
	struct pairs page = {.space = bench_space_make(true, 0), .different = BUFFERS, .size = IST_PAGE_SIZE};
	struct round_values values[] = {
	        {.name = "64 KiB beside nothing else", .measure = registration, .context = &p},
	        {.name = "4 KiB beside 1000 mappings in the same 12 MiB",
	         .measure = registration,
	         .context = &page},
	};

	printf("\nmemory that the caller has mapped, ns a pair, medians of %d rounds [lowest..highest]\n",
	       rounds);
	add_others(&page.space);
	rounds_run(values, 2, rounds);
	print_ns(&values[0]);
	print_ns(&values[1]);
	goal_least("register + unregister, million a second", 1000 / values[0].median, 1, "M/s");
	goal_least("the same beside 1000 others", 1000 / values[1].median, 1, "M/s");
	drop_others(&page.space);
	bench_space_drop(&p.space);
	bench_space_drop(&page.space);
}

void bench_pairs(int rounds)
{
	beside_mmap(rounds, false);
	beside_mmap(rounds, true);
	without_mmap(rounds);
}
