/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "lib/median.h"
#include "pamap.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"

uint64_t bench_random(void)
{
	static uint64_t state = UINT64_C(88172645463325252);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

void bench_use(uint64_t value)
{
	static _Atomic uint64_t sink;

	atomic_store_explicit(&sink, value, memory_order_relaxed);
}

void sample(struct samples *samples, double value)
{
	if (samples->count < sizeof(samples->value) / sizeof(samples->value[0]))
		samples->value[samples->count++] = value;
}

double median(struct samples *samples)
{
	if (samples->count == 0)
		return 0;
	return median_sort(samples->value, samples->count);
}

static void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "pamap: out of memory\n");
		exit(1);
	}
	return memory;
}

static size_t *shuffled(size_t count)
{
	size_t *order = need(malloc(count * sizeof(*order)));

	for (size_t i = 0; i < count; i++)
		order[i] = i;
	for (size_t i = count; i > 1; i--) {
		size_t k = bench_random() % i, other = order[k];

		order[k] = order[i - 1];
		order[i - 1] = other;
	}
	return order;
}

/* One mapping in each of `count` equal parts of 4 TiB, at a random place there; mixed: of 1, 2, 4 ... 128 pages. */
static struct pamap_entry place(enum layout layout, size_t index, size_t count)
{
	uint64_t part = (UINT64_C(1) << 30) / count, pages = layout == MIXED ? UINT64_C(1) << bench_random() % 8 : 1;
	struct pamap_entry e = {.pages = pages, .handle = (uint32_t)index & 0xffffff, .attributes = 1};

	e.owner = (uint16_t)(index / 60000); /* an owner has neighbours */
	e.page = layout == CONTIGUOUS ? (1 << 18) + index : index * part + bench_random() % (part - pages);
	return e;
}

static void make_chase(struct set *set)
{
	size_t *order = shuffled(set->count);

	set->chase = need(malloc(set->count * sizeof(*set->chase)));
	for (size_t i = 0; i < set->count; i++)
		set->chase[order[i]].next = order[(i + 1) % set->count];
	free(order);
}

static void fill(struct set *set)
{
	if (pamap_create(&set->map)) {
		fprintf(stderr, "pamap: out of memory\n");
		exit(1);
	}
	for (size_t i = 0; i < set->count; i++) {
		int error = pamap_insert(set->map, &set->entry[i], 0);

		if (error) {
			fprintf(stderr, "pamap: insert: error %d\n", error);
			exit(1);
		}
	}
}

void set_make(struct set *set, enum layout layout, size_t count)
{
	size_t *order = shuffled(count), *cycle;

	set->layout = layout;
	set->count = count;
	set->entry = need(malloc(count * sizeof(*set->entry)));
	for (size_t i = 0; i < count; i++)
		set->entry[layout == CONTIGUOUS ? i : order[i]] = place(layout, i, count);
	free(order);
	cycle = shuffled(count);
	for (size_t i = 0; i < count; i++)
		set->entry[cycle[i]].to = set->entry[cycle[(i + 1) % count]].page;
	free(cycle);
	fill(set);
	make_chase(set);
	set->at = set->entry[0].page << PAMAP_PAGE_SHIFT;
	set->link = 0;
}

void set_drop(struct set *set)
{
	pamap_destroy(set->map);
	free(set->chase);
	free(set->entry);
}

double set_chase(struct set *set, size_t steps)
{
	double begin = clock_seconds();
	uint64_t at = set->link;

	for (size_t i = 0; i < steps; i++)
		at = set->chase[at].next;
	set->link = at;
	bench_use(at);
	return (clock_seconds() - begin) * 1e9 / (double)steps;
}

double set_follow(struct set *set, size_t steps)
{
	double begin = clock_seconds();
	uint64_t at = set->at;

	for (size_t i = 0; i < steps; i++) {
		if (!pamap_translate(set->map, at, 1, &at)) {
			fprintf(stderr, "pamap: a mapping is lost\n");
			exit(1);
		}
	}
	set->at = at;
	return (clock_seconds() - begin) * 1e9 / (double)steps;
}
