/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "stat/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mapping/stats.h"
#include "slab/reclaim.h"

#define CLASS_ROWS (SLAB_CLASSES + 1u) /* of classes, each pool */
#define CELL_ALL 65535u

/* While one pool is counted. */
struct tally {
	struct survey *survey;
	struct slabs *slabs;
	struct ist_stat_pool *pool;
	struct ist_stat_class *classes;
	struct pool_use use;
	size_t gap; /* where the last allocation ended */
};

static uint64_t place_table(uint64_t *at, uint64_t rows, uint64_t size)
{
	uint64_t here = *at;

	*at += rows * size;
	return here;
}

void survey_layout(struct survey *survey, struct ist_manager *manager, uint64_t owners, uint64_t cells)
{
	struct ist_stat_head *head = &survey->head;
	uint64_t at = bits_round_up(sizeof(*head), CACHE_LINE);

	*survey = (struct survey){.manager = manager};
	head->magic = IST_STAT_MAGIC;
	head->version = IST_STAT_VERSION;
	head->head_size = sizeof(*head);
	head->class_room = IST_STAT_POOLS * CLASS_ROWS;
	head->cpu_room = bits_max(manager->driver.slabs.percpu.blocks, manager->client.slabs.percpu.blocks);
	head->owner_room = owners;
	head->cell_room = IST_STAT_POOLS * cells;
	head->body_at = place_table(&at, 1, sizeof(struct ist_stat_body));
	head->classes_at = place_table(&at, head->class_room, sizeof(struct ist_stat_class));
	head->cpus_at = place_table(&at, head->cpu_room, sizeof(struct ist_stat_cpu));
	head->owners_at = place_table(&at, head->owner_room, sizeof(struct ist_stat_owner));
	head->cells_at = place_table(&at, head->cell_room, sizeof(struct ist_stat_cell));
	head->body_size = at - head->body_at;
	head->file_size = bits_round_up(at, platform_page_size());
}

int survey_init(struct survey *survey)
{
	survey->snapshot = calloc(1, survey->head.body_size);
	survey->cells = calloc(survey->head.cell_room + 1, sizeof(*survey->cells));
	return survey->snapshot && survey->cells ? 0 : -ENOMEM;
}

void survey_drop(struct survey *survey)
{
	free(survey->snapshot);
	free(survey->cells);
	free(survey->owners);
}

/* The row of the class that serves so many granules; the last is for what is larger. */
static struct ist_stat_class *class_of(const struct tally *tally, size_t granules)
{
	size_t class = PERCPU_CLASS(slabs_at(tally->slabs, granules));

	return &tally->classes[class < tally->slabs->classes.count ? class : tally->pool->classes - 1];
}

static struct survey_cell *cells_of(const struct tally *tally)
{
	bool is_client = tally->pool != survey_body(tally->survey)->pool;

	return tally->survey->cells + (is_client ? tally->survey->head.cell_room / IST_STAT_POOLS : 0);
}

/* A stretch that is free, or that an allocation has; either way part by part. */
static void spread(const struct tally *tally, size_t start, size_t granules, bool is_live)
{
	struct survey_cell *cells = cells_of(tally);
	size_t each = tally->pool->cell_granules, end = start + granules;

	if (tally->pool->cells == 0)
		return;
	if (is_live)
		cells[start / each].starts++;
	while (start < end) {
		struct survey_cell *cell = &cells[start / each];
		size_t part = bits_min(end, (start / each + 1) * each) - start;

		if (is_live) {
			cell->live += part;
			cell->largest = (uint32_t)bits_max(cell->largest, bits_min(granules, CELL_ALL));
		} else {
			cell->free += part;
		}
		start += part;
	}
}

static void count_gap(struct tally *tally, size_t end)
{
	size_t granules = end - tally->gap;

	if (end <= tally->gap)
		return;
	tally->use.longest_gap = bits_max(tally->use.longest_gap, granules);
	tally->pool->runs[bits_min(bits_highest(granules), IST_STAT_RUNS - 1)]++;
}

static void count_live(struct tally *tally, size_t start, size_t granules, size_t bytes)
{
	struct ist_stat_class *class = class_of(tally, granules);

	class->live++;
	class->bytes += bytes;
	tally->pool->live++;
	tally->use.bytes += bytes;
	count_gap(tally, start);
	tally->gap = start + granules;
	spread(tally, start, granules, true);
}

/* What the CPUs have, and did. */
static void count_cpus(struct tally *tally, unsigned which)
{
	struct survey *survey = tally->survey;
	struct ist_stat_cpu *cpus = survey_table(survey, survey->head.cpus_at);
	struct slabs *slabs = tally->slabs;

	for (uint32_t block = 0; block < slabs->percpu.blocks; block++) {
		uint64_t notes[NOTES], cached = 0;

		for (unsigned i = 0; i < NOTES; i++)
			notes[i] = atomic_load_explicit(&percpu_head(&slabs->percpu, block)->note[i],
			                                memory_order_relaxed);
		for (unsigned c = 0; c < slabs->classes.count; c++) {
			const struct magazine *magazine = percpu_magazine(&slabs->percpu, block, c);
			/* Relaxed: a count, of one instant or another. */
			uint64_t level = magazine_level(
			        magazine, atomic_load_explicit(&magazine->word, memory_order_relaxed));

			tally->classes[c].cached += level;
			cached += level * slabs->classes.granules[c];
		}
		tally->pool->direct_allocs += notes[NOTE_ALLOCS];
		tally->pool->direct_frees += notes[NOTE_FREES];
		tally->pool->refilled += notes[NOTE_STOCKED];
		tally->pool->flushed += notes[NOTE_FLUSHED];
		cpus[block].cached[which] = cached * tally->pool->granule;
		cpus[block].slow[which] =
		        notes[NOTE_ALLOCS] + notes[NOTE_FREES] + notes[NOTE_STOCKED] + notes[NOTE_FLUSHED];
	}
	survey_body(survey)->cpus = survey->head.cpu_room;
	tally->pool->drains = atomic_load_explicit(&slabs->drains, memory_order_relaxed);
}

static uint16_t share_of(uint64_t part, uint64_t all)
{
	return (uint16_t)(bits_min(part, all) * CELL_ALL / all);
}

static void fill_cells(struct tally *tally, unsigned which)
{
	struct survey *survey = tally->survey;
	struct ist_stat_cell *out = survey_table(survey, survey->head.cells_at);
	const struct survey_cell *cells = cells_of(tally);
	size_t granules = tally->pool->size / tally->pool->granule, each = tally->pool->cell_granules,
	       start = 0, run;

	while (tally->pool->cells && buddy_next_free_run(&tally->slabs->buddy, start, &start, &run)) {
		spread(tally, start, run, false);
		start += run;
	}
	out += which * (survey->head.cell_room / IST_STAT_POOLS);
	for (size_t i = 0; i < tally->pool->cells; i++) {
		uint64_t all = bits_min(each, granules - i * each), out_of_it = cells[i].live + cells[i].free;

		out[i] = (struct ist_stat_cell){
		        .live = share_of(cells[i].live, all),
		        .cached = share_of(out_of_it < all ? all - out_of_it : 0, all),
		        .granules = (uint16_t)cells[i].largest,
		        .starts = (uint16_t)bits_min(cells[i].starts, CELL_ALL),
		};
	}
}

static struct tally begin_tally(struct survey *survey, unsigned which, const struct pool *pool,
                                struct slabs *slabs, size_t granule)
{
	struct tally tally = {
	        .survey = survey,
	        .slabs = slabs,
	        .pool = &survey_body(survey)->pool[which],
	        .classes = (struct ist_stat_class *)survey_table(survey, survey->head.classes_at) +
	                   which * CLASS_ROWS,
	};
	size_t granules = pool->size / granule, rows = survey->head.cell_room / IST_STAT_POOLS;

	tally.pool->paddr = pool->paddr;
	tally.pool->size = pool->size;
	tally.pool->granule = granule;
	tally.pool->classes = slabs->classes.count + 1;
	for (unsigned c = 0; c < slabs->classes.count; c++)
		tally.classes[c].granules = slabs->classes.granules[c];
	if (rows) {
		tally.pool->cell_granules = bits_ceil_div(granules, rows);
		tally.pool->cells = bits_ceil_div(granules, tally.pool->cell_granules);
	}
	return tally;
}

static void finish_tally(struct tally *tally, unsigned which, struct pool *pool)
{
	struct ist_stat_pool *out = tally->pool;
	struct ist_pool_stats stats;

	count_gap(tally, out->size / out->granule);
	pool_read_stats(pool, tally->slabs, out->granule, &tally->use, &stats);
	out->used = stats.used;
	out->peak = stats.peak;
	out->largest_free = stats.largest_free;
	out->cached = stats.cached;
	out->allocs = stats.allocs;
	out->frees = stats.frees;
	out->failures = stats.failures;
	out->misuses = stats.misuses;
	count_cpus(tally, which);
	fill_cells(tally, which);
}

static void survey_driver(struct survey *survey)
{
	struct ist_driver_pool *pool = &survey->manager->driver;
	struct tally tally = begin_tally(survey, 0, &pool->pool, &pool->slabs, DRIVER_GRANULE);
	size_t at = 0, granules, bytes;

	for (; driver_pool_next(pool, &at, &granules, &bytes); at += granules)
		count_live(&tally, at, granules, bytes);
	finish_tally(&tally, 0, &pool->pool);
}

static void survey_client(struct survey *survey)
{
	struct ist_client_pool *pool = &survey->manager->client;
	struct tally tally = begin_tally(survey, 1, &pool->pool, &pool->slabs, IST_PAGE_SIZE);
	struct ist_client_allocation found;
	size_t start, end = 0;

	while (client_pool_next_live(pool, end, SIZE_MAX, &start, &end, &found)) {
		count_live(&tally, start, end - start, found.view.size);
		survey_owner_has(survey, found.owner, found.view.size);
	}
	finish_tally(&tally, 1, &pool->pool);
}

static void survey_rest(struct survey *survey)
{
	struct ist_stat_body *body = survey_body(survey);
	struct ist_mapping_stats mapping = {0};
	struct ist_provider_stats provider = {0};

	/* What nobody has used yet is not made for being looked at. */
	if (space_is_open(&survey->manager->space)) {
		space_stats(&survey->manager->space, &mapping);
		provider_stats(&survey->manager->provider, &provider);
	}
	body->mappings = mapping.mappings;
	body->mapped_pages = mapping.pages;
	body->referenced = mapping.referenced;
	body->waiting = mapping.waiting;
	body->cached = mapping.cached;
	body->cached_bytes = mapping.cached_bytes;
	body->cache_hits = mapping.cache_hits;
	body->cache_misses = mapping.cache_misses;
	body->owners_alive = mapping.owners;
	body->backings = mapping.backings;
	body->window_size = mapping.window_size;
	body->window_used = mapping.window_used;
	body->bookkeeping = mapping.bookkeeping;
	body->refused = mapping.refused;
	body->asked = provider.asked;
	body->failed = provider.failed;
	body->wrong = provider.wrong;
	body->returned = provider.returned;
	body->return_failures = provider.return_failures;
	body->provider_mappings = provider.mappings;
	body->regions = provider.regions;
	body->region_pages = provider.region_pages;
	body->region_used = provider.region_used;
}

void survey_take(struct survey *survey)
{
	uint64_t refreshes = survey_body(survey)->refreshes;

	memset(survey->snapshot, 0, survey->head.body_size);
	memset(survey->cells, 0, survey->head.cell_room * sizeof(*survey->cells));
	survey_body(survey)->refreshes = refreshes + 1;
	survey_owners(survey);
	survey_driver(survey);
	survey_client(survey);
	survey_owner_rows(survey);
	survey_rest(survey);
}
