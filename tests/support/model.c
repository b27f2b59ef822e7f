/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/model.h"

#include <errno.h>
#include <string.h>

#define REQUIRE MODEL_REQUIRE

static void pool_stats(const struct model *model, struct ist_pool_stats *out)
{
	if (model->kind == MODEL_DRIVER)
		ist_driver_pool_stats(model->driver, out);
	else
		ist_client_pool_stats(model->client, out);
}

struct model *model_make(struct ist_manager *manager, enum model_kind kind, const struct ist_view *carve_out,
                         size_t objects)
{
	struct model *model = calloc(1, sizeof(*model));
	struct ist_pool_stats driver, stats;
	size_t offset = 0;

	REQUIRE(model);
	model->kind = kind;
	model->driver = ist_manager_driver_pool(manager);
	model->client = ist_manager_client_pool(manager);
	ist_driver_pool_stats(model->driver, &driver);
	pool_stats(model, &stats);
	model->granule = kind == MODEL_DRIVER ? 8 : IST_PAGE_SIZE;
	if (kind != MODEL_DRIVER)
		offset = driver.size;
	model->vaddr = (char *)carve_out->vaddr + offset;
	model->paddr = carve_out->paddr + offset;
	model->size = stats.size;
	model->granules = model->size / model->granule;
	model->owner = calloc(model->granules, sizeof(*model->owner));
	model->uses = calloc(model->granules, sizeof(*model->uses));
	model->covered = calloc(model->granules, sizeof(*model->covered));
	model->objects = calloc(objects, sizeof(*model->objects));
	model->object_count = objects;
	REQUIRE(model->owner && model->objects && model->uses && model->covered);
	return model;
}

void model_drop(struct model *model)
{
	free(model->owner);
	free(model->uses);
	free(model->covered);
	free(model->objects);
	free(model);
}

static size_t granules_of(const struct model *model, size_t size)
{
	return size / model->granule + (size % model->granule != 0);
}

static size_t longest_free_run(const struct model *model)
{
	size_t longest = 0, run = 0;

	for (size_t g = 0; g < model->granules; g++) {
		run = model->owner[g] ? 0 : run + 1;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static int pool_alloc(struct model *model, size_t size, struct ist_shm *out)
{
	switch (model->kind) {
	case MODEL_DRIVER:
		return ist_driver_pool_alloc(model->driver, size, out);
	case MODEL_CLIENT:
		return ist_client_pool_alloc(model->client, size, out);
	default:
		return ist_client_pool_alloc_nozero(model->client, size, out);
	}
}

static void take(struct model *model, size_t index, size_t size)
{
	struct model_object *object = &model->objects[index];
	size_t offset = (size_t)((char *)object->shm.view.vaddr - model->vaddr);
	size_t first = offset / model->granule, count = granules_of(model, size);

	REQUIRE((char *)object->shm.view.vaddr >= model->vaddr);
	REQUIRE(offset % model->granule == 0);
	REQUIRE(offset < model->size && size <= model->size - offset);
	REQUIRE(object->shm.view.paddr == model->paddr + offset);
	REQUIRE(object->shm.view.size == size);
	for (size_t g = first; g < first + count; g++) {
		REQUIRE(model->owner[g] == 0);
		model->owner[g] = (unsigned)index + 1;
		if (g > first)
			model->covered[g] = model->allocs + 1;
	}
	model->uses[first]++;
	if (model->kind == MODEL_CLIENT) {
		const unsigned char *bytes = object->shm.view.vaddr;

		for (size_t i = 0; i < count * model->granule; i++)
			REQUIRE(bytes[i] == 0);
	}
}

/* What is in a slot has been allocated. */
static void begin(struct model *model, size_t index, size_t size)
{
	struct model_object *object = &model->objects[index];

	take(model, index, size);
	object->fill++;
	memset(object->shm.view.vaddr, object->fill, size);
	model->used += size;
	model->allocs++;
}

static void check_contents(const struct model_object *object)
{
	const unsigned char *bytes = object->shm.view.vaddr;

	for (size_t i = 0; i < object->shm.view.size; i++)
		REQUIRE(bytes[i] == object->fill);
}

/* It has been freed. */
static void end(struct model *model, size_t index)
{
	struct model_object *object = &model->objects[index];
	const struct ist_view view = object->shm.view;
	size_t first = (size_t)((char *)view.vaddr - model->vaddr) / model->granule;

	object->stale = object->shm;
	object->stale_since = model->allocs;
	object->stale_uses = model->uses[first];
	memset(&object->shm, 0, sizeof(object->shm));
	for (size_t g = first; g < first + granules_of(model, view.size); g++) {
		REQUIRE(model->owner[g] == index + 1);
		model->owner[g] = 0;
	}
	model->used -= view.size;
	model->frees++;
}

void model_alloc(struct model *model, size_t index, size_t size)
{
	struct model_object *object = &model->objects[index % model->object_count];
	static const struct ist_shm untouched = {.generation = 0x5a5a};
	struct ist_shm shm = untouched;
	int result;

	index %= model->object_count;
	if (object->shm.view.size)
		return;
	result = pool_alloc(model, size, &shm);
	if (result) {
		REQUIRE(memcmp(&shm, &untouched, sizeof(shm)) == 0);
		if (size == 0) {
			REQUIRE(result == -EINVAL);
			return;
		}
		REQUIRE(result == -ENOSPC);
		REQUIRE(size > model->size || granules_of(model, size) > longest_free_run(model));
		model->failures++;
		return;
	}
	REQUIRE(size != 0);
	object->shm = shm;
	object->is_bare = false;
	begin(model, index, size);
}

enum { BULK = 64 };

/* How many of `count` slots from `index` on are taken, or are not; which, in `slots`. */
static unsigned slots_that_are(const struct model *model, bool taken, size_t index, unsigned count,
                               size_t *slots)
{
	unsigned found = 0;

	for (unsigned i = 0; i < count && i < BULK && i < model->object_count; i++) {
		size_t slot = (index + i) % model->object_count;

		if ((model->objects[slot].shm.view.size != 0) == taken)
			slots[found++] = slot;
	}
	return found;
}

/* Out of what would surely be enough, however it is cut up, nobody may be refused. */
static void check_refusal(struct model *model, size_t size, unsigned count, int result)
{
	size_t granules = granules_of(model, size);

	if (size == 0 || count == 0) {
		REQUIRE(result == -EINVAL);
		return;
	}
	REQUIRE(result == -ENOSPC);
	if (count == 1 || granules > model->granules)
		REQUIRE(granules > longest_free_run(model));
	else
		REQUIRE(2 * granules * count > longest_free_run(model));
	model->failures++;
}

void model_alloc_bulk(struct model *model, size_t index, size_t size, unsigned count)
{
	void *out[BULK], *untouched[BULK];
	size_t slots[BULK];
	int result;

	if (model->kind != MODEL_DRIVER)
		return;
	count = slots_that_are(model, false, index, count, slots);
	memset(out, 0x5a, sizeof(out));
	memset(untouched, 0x5a, sizeof(untouched));
	result = ist_driver_pool_alloc_bulk(model->driver, size, count, out);
	if (result) {
		REQUIRE(memcmp(out, untouched, sizeof(out)) == 0);
		check_refusal(model, size, count, result);
		return;
	}
	REQUIRE(size != 0);
	for (unsigned i = 0; i < count; i++) {
		struct model_object *object = &model->objects[slots[i]];

		object->shm = (struct ist_shm){.view = {out[i], 0, size}};
		object->shm.view.paddr = ist_driver_pool_paddr(model->driver, out[i]);
		object->is_bare = true;
		begin(model, slots[i], size);
	}
}

void model_free_bulk(struct model *model, size_t index, unsigned count)
{
	void *vaddrs[BULK] = {NULL};
	size_t slots[BULK];

	if (model->kind != MODEL_DRIVER)
		return;
	count = slots_that_are(model, true, index, count, slots);
	for (unsigned i = 0; i < count; i++)
		vaddrs[i] = model->objects[slots[i]].shm.view.vaddr;
	for (unsigned i = 0; i < count; i++)
		check_contents(&model->objects[slots[i]]);
	REQUIRE(ist_driver_pool_free_bulk(model->driver, vaddrs, count) == 0);
	for (unsigned i = 0; i < count; i++)
		end(model, slots[i]);
}

void model_free(struct model *model, size_t index)
{
	struct model_object *object = &model->objects[index % model->object_count];
	struct ist_shm shm = object->shm;

	if (!shm.view.size)
		return;
	check_contents(object);
	if (object->is_bare) {
		REQUIRE(ist_driver_pool_free_bulk(model->driver, &shm.view.vaddr, 1) == 0);
	} else {
		REQUIRE(ist_shm_free(&shm) == 0);
		REQUIRE(shm.view.vaddr == NULL && shm.view.size == 0);
	}
	end(model, index % model->object_count);
}

/* A driver pool tells a stale copy for certain until 8 more allocations started at its place, or one covered it. */
static bool can_be_told(const struct model *model, const struct model_object *object)
{
	size_t first = (size_t)((char *)object->stale.view.vaddr - model->vaddr) / model->granule;

	return model->kind != MODEL_DRIVER ||
	       (model->covered[first] <= object->stale_since && model->uses[first] - object->stale_uses < 8);
}

/* A pointer is told while its place is free, or inside of something. */
static void free_stale_pointer(struct model *model, void *vaddr)
{
	size_t first = (size_t)((char *)vaddr - model->vaddr) / model->granule;
	int expected = -EALREADY;

	if (model->owner[first]) {
		if (model->objects[model->owner[first] - 1].shm.view.vaddr == vaddr)
			return;
		expected = -EINVAL;
	}
	REQUIRE(ist_driver_pool_free_bulk(model->driver, &vaddr, 1) == expected);
	model->misuses++;
}

void model_free_stale(struct model *model, size_t index)
{
	struct model_object *object = &model->objects[index % model->object_count];
	struct ist_shm copy = object->stale;

	if (!copy.view.size)
		return;
	object->stale.view.size = 0;
	if (object->stale.pool == 0) {
		free_stale_pointer(model, copy.view.vaddr);
		return;
	}
	if (!can_be_told(model, object))
		return;
	object->stale = copy;
	REQUIRE(ist_shm_free(&copy) == -EALREADY);
	REQUIRE(memcmp(&copy, &object->stale, sizeof(copy)) == 0);
	model->misuses++;
	object->stale.view.size = 0;
}

void model_free_altered(struct model *model, size_t index, unsigned member, int64_t delta)
{
	struct model_object *object = &model->objects[index % model->object_count];
	struct ist_shm copy = object->shm, before;

	if (!copy.view.size || delta == 0 || object->is_bare)
		return;
	switch (member % 3) {
	case 0:
		copy.view.vaddr = (void *)((uintptr_t)copy.view.vaddr + (uintptr_t)delta);
		break;
	case 1:
		copy.view.paddr += (uint64_t)delta;
		break;
	default:
		copy.view.size += (size_t)delta;
		break;
	}
	before = copy;
	REQUIRE(ist_shm_free(&copy) == -EINVAL);
	REQUIRE(memcmp(&copy, &before, sizeof(copy)) == 0);
	model->misuses++;
}

void model_slice(struct model *model, size_t index, uint64_t from, uint64_t to)
{
	const struct ist_view *view = &model->objects[index % model->object_count].shm.view;
	struct ist_view by_vaddr, by_paddr;
	uint64_t base = (uint64_t)(uintptr_t)view->vaddr;
	/* Offsets may be "negative"; these sums wrap as addresses do. */
	int v = ist_view_slice_by_vaddr(view, (void *)(uintptr_t)(base + from),
	                                (void *)(uintptr_t)(base + to), &by_vaddr);
	int p = ist_view_slice_by_paddr(view, view->paddr + from, view->paddr + to, &by_paddr);

	if (from < to && to <= view->size) {
		REQUIRE(v == 0 && p == 0);
		REQUIRE(by_vaddr.vaddr == (char *)view->vaddr + from && by_paddr.vaddr == by_vaddr.vaddr);
		REQUIRE(by_vaddr.paddr == view->paddr + from && by_paddr.paddr == by_vaddr.paddr);
		REQUIRE(by_vaddr.size == to - from && by_paddr.size == to - from);
	} else {
		REQUIRE(v == -ERANGE && p == -ERANGE);
	}
}

void model_check_stats(struct model *model)
{
	struct ist_pool_stats stats;

	pool_stats(model, &stats);
	REQUIRE(stats.size == model->size);
	REQUIRE(stats.used == model->used);
	/* The peak is that of the moments at which somebody looked, and an estimate of the others. */
	model->peak_seen = model->used > model->peak_seen ? model->used : model->peak_seen;
	REQUIRE(stats.peak >= model->peak_seen && stats.peak <= stats.size);
	model->peak_seen = stats.peak;
	REQUIRE(stats.largest_free == longest_free_run(model) * model->granule);
	REQUIRE(stats.allocs == model->allocs);
	REQUIRE(stats.frees == model->frees);
	REQUIRE(stats.failures == model->failures);
	REQUIRE(stats.misuses == model->misuses);
}

void model_finish(struct model *model)
{
	for (size_t i = 0; i < model->object_count; i++)
		model_free(model, i);
	REQUIRE(longest_free_run(model) == model->granules);
	model_check_stats(model);
}
