/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap_rows.h"

#include <isthmus/isthmus.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/clock.h"
#include "lib/progress.h"

enum { MILLION = 1000000, STEPS = 100000, BATCH = 16, QUERIES = 200000 };

static struct row *find(struct row *rows, size_t *count, const char *name)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	rows[*count].name = name;
	return &rows[(*count)++];
}

void rows_add(struct rows *rows, const char *name, const char *unit, double goal, bool at_least, double value)
{
	struct row *row = find(rows->row, &rows->count, name);

	row->unit = unit;
	row->goal = goal;
	row->at_least = at_least;
	sample(&row->samples, value);
}

void rows_note(struct rows *rows, const char *name, const char *unit, double value)
{
	struct row *row = find(rows->note, &rows->note_count, name);

	row->unit = unit;
	sample(&row->samples, value);
}

static void measure_latency(struct rows *rows, struct set *set, const char *name, const char *note, double goal, size_t steps)
{
	double before = set_chase(set, steps), follow = set_follow(set, steps), after = set_chase(set, steps);

	rows_add(rows, name, "x chase", goal, false, follow / ((before + after) / 2));
	rows_note(rows, note, "ns", follow);
}

static void draw(const struct set *set, uint64_t *at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		at[i] = set->entry[bench_random() % set->count].page << PAMAP_PAGE_SHIFT;
}

static void measure_throughput(struct rows *rows, struct set *set, void *tree, void *hash)
{
	static uint64_t at[QUERIES];
	double ours, locked, hashed;

	draw(set, at, QUERIES);
	ours = peer_isthmus.lookups(set->map, at, QUERIES);
	draw(set, at, QUERIES);
	locked = peer_tree.lookups(tree, at, QUERIES);
	draw(set, at, QUERIES);
	hashed = peer_hash.lookups(hash, at, QUERIES);
	rows_add(rows, "throughput at 1 M random / rwlock + treap", "x", 5, true, locked / ours);
	rows_add(rows, "throughput at 1 M random / rculfhash, presized", "x", 1.5, true, hashed / ours);
	rows_note(rows, "independent lookup at 1 M random", "ns", ours);
	rows_note(rows, "the same, rwlock + treap", "ns", locked);
	rows_note(rows, "the same, rculfhash, presized", "ns", hashed);
}

static void measure_batches(struct rows *rows, struct set *set)
{
	static uint64_t at[QUERIES];
	struct pamap_value value[BATCH];
	double chase = set_chase(set, STEPS), begin, each;
	size_t found = 0;

	draw(set, at, QUERIES);
	begin = clock_seconds();
	for (size_t i = 0; i < QUERIES; i += BATCH)
		found += pamap_lookup_many(set->map, &at[i], BATCH, value);
	each = (clock_seconds() - begin) * 1e9 / QUERIES;
	bench_use(found);
	rows_add(rows, "batches of 16 at 1 M random, each lookup", "x chase", 0.3, false, each / chase);
	rows_note(rows, "batched lookup at 1 M random", "ns", each);
}

struct bounds {
	uint64_t paddr, size, vaddr;
};

/* The least that a static pool could do: both bounds read, one subtraction. */
static __attribute__((noinline)) uint64_t subtract(const struct bounds *bounds, uint64_t paddr)
{
	return paddr - bounds->paddr < bounds->size ? bounds->vaddr + (paddr - bounds->paddr) : 0;
}

static void measure_static(struct rows *rows)
{
	enum { SIZE = 2 << 20, COUNT = 2000000 };
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x42000000, .size = SIZE};
	struct bounds bounds = {config.paddr, SIZE, (uint64_t)(uintptr_t)memory};
	uint64_t at = config.paddr, sum = 0;
	struct ist_manager *manager;
	double begin, floor, ours;
	void *vaddr = NULL;

	if (memory == MAP_FAILED || ist_manager_create(&config, &manager))
		exit(1);
	begin = clock_seconds();
	for (int i = 0; i < COUNT; i++)
		sum += subtract(&bounds, at + (uint64_t)(i & 0xffff));
	floor = clock_seconds() - begin;
	begin = clock_seconds();
	for (int i = 0; i < COUNT; i++) {
		ist_phys_to_virt(manager, at + (uint64_t)(i & 0xffff), 1, &vaddr);
		sum += (uint64_t)(uintptr_t)vaddr;
	}
	ours = clock_seconds() - begin;
	bench_use(sum);
	rows_add(rows, "static pool, with the checks of the public call", "x bounds", 1.5, false, ours / floor);
	rows_note(rows, "static pool", "ns", ours * 1e9 / COUNT);
	ist_manager_destroy(manager);
	munmap(memory, SIZE);
}

struct runner {
	struct set *set;
	size_t cpu;
	uint64_t seed;
	_Atomic bool *go;
	double lookups, seconds;
};

static void *run(void *argument)
{
	struct runner *runner = argument;
	uint64_t state = runner->seed, sum = 0, count = 0;
	struct pamap_value value;
	cpu_set_t cpus;
	double begin;

	CPU_ZERO(&cpus);
	CPU_SET(runner->cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	begin = thread_seconds();
	while (atomic_load_explicit(runner->go, memory_order_relaxed)) {
		for (int i = 0; i < 256; i++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
			pamap_lookup(runner->set->map, runner->set->entry[(state >> 33) % runner->set->count].page << PAMAP_PAGE_SHIFT,
				     1, &value);
			sum += value.to;
		}
		count += 256;
	}
	runner->seconds = thread_seconds() - begin;
	runner->lookups = (double)count;
	bench_use(sum);
	return NULL;
}

static double run_together(struct set *set, int threads)
{
	struct timespec slice = {.tv_nsec = 100000000};
	struct runner runner[2];
	pthread_t thread[2];
	_Atomic bool go = true;
	double rate = 0;

	for (int i = 0; i < threads; i++) {
		runner[i] = (struct runner){.set = set, .cpu = (size_t)i, .seed = bench_random(), .go = &go};
		pthread_create(&thread[i], NULL, run, &runner[i]);
	}
	nanosleep(&slice, NULL);
	atomic_store_explicit(&go, false, memory_order_relaxed);
	for (int i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		rate += runner[i].lookups / runner[i].seconds;
	}
	return rate;
}

static void measure_threads(struct rows *rows, struct set *set)
{
	double one = run_together(set, 1), two = run_together(set, 2);

	rows_add(rows, "two reading threads on two CPUs / one (their CPU time)", "x", 1.9, true, two / one);
}

static void measure_sections(struct rows *rows, struct set *small)
{
	static const char *const names[FLAVOURS] = {"section: bp, inlined (ours)", "section: bp, called", "section: memb, inlined",
						    "section: qsbr, inlined"};
	double chase = set_chase(small, STEPS), pair[FLAVOURS];

	for (enum flavour i = 0; i < FLAVOURS; i++) {
		pair[i] = flavour_pair(i, 1000000);
		rows_note(rows, names[i], "ns", pair[i]);
	}
	rows_add(rows, "read section, begin and end", "x 3 L1 hits", 1, false, pair[BP_INLINED] / (3 * chase));
}

void rows_measure(struct rows *rows)
{
	static struct set small, random, contiguous, mixed, large;
	void *tree, *hash;

	progress_begin((uint32_t)rows->repeats + 2);
	progress_step("making maps");
	set_make(&small, RANDOM, 100);
	set_make(&random, RANDOM, MILLION);
	set_make(&contiguous, CONTIGUOUS, MILLION);
	set_make(&mixed, MIXED, MILLION);
	measure_memory(rows, &random, "bytes a mapping: 1 M random, of one page", 26);
	measure_memory(rows, &contiguous, "bytes a mapping: 1 M contiguous, of one page", 9);
	if (rows->large)
		set_make(&large, RANDOM, 10 * MILLION);
	tree = peer_tree.make(&random);
	hash = peer_hash.make(&random);
	for (size_t i = 0; i < rows->repeats; i++) {
		progress_step("repeat %zu of %zu", i + 1, rows->repeats);
		measure_latency(rows, &random, "latency: 1 M random", "lookup at 1 M random", 1.4, STEPS);
		measure_latency(rows, &contiguous, "latency: 1 M contiguous", "lookup at 1 M contiguous", 1.0, STEPS);
		measure_latency(rows, &mixed, "latency: 1 M of 1 to 128 pages", "lookup at 1 M of 1 to 128 pages", 1.4, STEPS);
		if (rows->large)
			measure_latency(rows, &large, "latency: 10 M random", "lookup at 10 M random", 2.2, STEPS);
		measure_throughput(rows, &random, tree, hash);
		measure_batches(rows, &random);
		measure_latency(rows, &small, "latency: 100 mappings", "lookup at 100 mappings", 5, STEPS);
		measure_static(rows);
		measure_disturbed(rows, &random);
		measure_updates(rows, &random);
		measure_owner(rows);
		measure_threads(rows, &random);
		measure_sections(rows, &small);
	}
	peer_tree.drop(tree);
	peer_hash.drop(hash);
	set_drop(&small);
	set_drop(&random);
	set_drop(&contiguous);
	set_drop(&mixed);
	if (rows->large)
		set_drop(&large);
}
