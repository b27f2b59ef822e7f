/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What each step of a plan (traces/README.md) is:
 *
 *                      bare pools                    TEE front
 *   client memory      the client pool's, zeroed     the same as shared memory of a context, with an id
 *   messages           the driver pool's             private shared memory of the device
 *   lookup_id          physical to virtual           the shared memory of an id, with a reference; its address
 *   lookup_ref         physical to virtual           the same
 *   lookup_va          physical to virtual           get_va, by whoever has the shared memory
 *   lookup_pa, pass    virtual to physical           get_pa, by whoever has it
 *
 * Messages have no ids, so a lookup of one is always by whoever has it. What names no living object (a request that was refused, an
 * address in a page of messages where none lives) is the same for both. One thread; all events in recorded order. The time is
 * that of the whole replay, over the steps; only what outlives the recording is freed outside it.
 */
#include "tee_replay.h"

#include <isthmus/isthmus.h>
#include <isthmus/tee.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/clock.h"
#include "lib/median.h"
#include "replay/recording.h"

enum { ROUNDS = 15, STEPS_MIN = 400000 };

struct place {
	union {
		struct ist_shm bare;
		struct {
			struct ist_tee_shm *shm;
			int32_t id;
		} tee;
	};
	bool live;
};

struct world {
	const struct recording *recording;
	struct ist_manager *manager;
	struct ist_driver_pool *driver;
	struct ist_client_pool *client;
	struct ist_tee_device *device;
	struct ist_tee_context *context;
	struct place *places;
	uint64_t refused, lookups;
};

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench-tee: replay: %s\n", what);
	exit(1);
}

/* --- bare pools ----------------------------------------------------------------------------------------------- */

static bool bare_alloc(struct world *world, const struct step *step, struct place *place)
{
	int error = step_pool(step->kind) == POOL_DRIVER
	                    ? ist_driver_pool_alloc(world->driver, step->size, &place->bare)
	                    : ist_client_pool_alloc(world->client, step->size, &place->bare);

	need(!error || error == -ENOSPC, "an allocation failed in a way it must not");
	return !error;
}

static void bare_free(struct place *place)
{
	need(ist_shm_free(&place->bare) == 0, "a free was refused");
}

static void bare_lookup(struct world *world, const struct step *step, const struct place *place)
{
	const struct ist_view *view = &place->bare.view;
	uint64_t paddr;
	void *vaddr;

	if (step->kind == STEP_TO_PHYS) {
		int error = ist_virt_to_phys(world->manager, (char *)view->vaddr + step->offset, step->size,
		                             &paddr);

		need(!error && paddr == view->paddr + step->offset, "a wrong physical address");
	} else {
		int error = ist_phys_to_virt(world->manager, view->paddr + step->offset, step->size, &vaddr);

		need(!error && vaddr == (char *)view->vaddr + step->offset, "a wrong address");
	}
}

/* --- the front ------------------------------------------------------------------------------------------------ */

static bool tee_alloc(struct world *world, const struct step *step, struct place *place)
{
	bool is_client = step_pool(step->kind) == POOL_CLIENT;
	uint32_t flags = IST_TEE_SHM_MAPPED | (is_client ? IST_TEE_SHM_DMA_BUF : 0);
	int error = ist_tee_shm_alloc(world->device, is_client ? world->context : NULL, step->size, flags,
	                              &place->tee.shm);

	need(!error || error == -ENOMEM, "an allocation failed in a way it must not");
	if (!error)
		place->tee.id = ist_tee_shm_id(place->tee.shm);
	return !error;
}

static void tee_free(struct place *place)
{
	ist_tee_shm_put(place->tee.shm);
}

static void tee_lookup(struct world *world, const struct step *step, const struct place *place)
{
	struct ist_tee_shm *shm = place->tee.shm;
	bool by_id = place->tee.id > 0 && (step->op == TRACE_LOOKUP_ID || step->op == TRACE_LOOKUP_REF);
	uint64_t paddr;
	void *vaddr;

	if (by_id) {
		need(ist_tee_shm_find(world->context, place->tee.id, &shm) == 0, "an id is not found");
		need(shm == place->tee.shm, "an id leads elsewhere");
	}
	if (step->kind == STEP_TO_PHYS)
		need(ist_tee_shm_get_pa(shm, step->offset, &paddr) == 0, "no physical address");
	else
		need(ist_tee_shm_get_va(shm, step->offset, &vaddr) == 0, "no address");
	if (by_id)
		ist_tee_shm_put(shm);
}

/* --- both ----------------------------------------------------------------------------------------------------- */

static void world_make(struct world *world, const struct recording *recording)
{
	struct ist_manager_config config = {
	        .paddr = 0x42000000, .size = RECORDED_POOL, .driver_pool_size = RECORDED_DRIVER_POOL};

	*world = (struct world){.recording = recording};
	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	need(config.vaddr != MAP_FAILED && ist_manager_create(&config, &world->manager) == 0, "no manager");
	need(ist_tee_device_create(world->manager, NULL, &world->device) == 0, "no device");
	need(ist_tee_context_open(world->device, &world->context) == 0, "no context");
	world->driver = ist_manager_driver_pool(world->manager);
	world->client = ist_manager_client_pool(world->manager);
	world->places = calloc(recording->plan.slot_count + 1, sizeof(*world->places));
	need(world->places != NULL, "no memory");
}

static void world_drop(struct world *world)
{
	struct ist_pool_stats driver, client;

	ist_driver_pool_stats(world->driver, &driver);
	ist_client_pool_stats(world->client, &client);
	need(driver.used == 0 && client.used == 0, "something was not given back");
	ist_tee_context_close(world->context);
	need(ist_tee_device_destroy(world->device, false) == 0, "the device is in use");
	need(ist_manager_destroy(world->manager) == 0, "the manager is in use");
	free(world->places);
}

struct way {
	bool (*alloc)(struct world *world, const struct step *step, struct place *place);
	void (*end)(struct place *place);
	void (*lookup)(struct world *world, const struct step *step, const struct place *place);
};

static const struct way bare = {bare_alloc, bare_free, bare_lookup};
static const struct way front = {tee_alloc, tee_free, tee_lookup};

static inline void carry_out(struct world *world, const struct way *way, const struct step *step)
{
	struct place *place = step->slot == STEP_NO_SLOT ? NULL : &world->places[step->slot],
	             attempted = {.live = false};

	if (!place) {
		if (step_allocates(step->kind) && way->alloc(world, step, &attempted))
			way->end(&attempted);
	} else if (step_allocates(step->kind)) {
		place->live = way->alloc(world, step, place);
		world->refused += !place->live;
	} else if (!place->live) {
		return;
	} else if (step_frees(step->kind)) {
		place->live = false;
		way->end(place);
	} else {
		way->lookup(world, step, place);
		world->lookups++;
	}
}

/* Nanoseconds a step, of as many replays as take some time. */
static double replay(struct world *world, const struct way *way)
{
	const struct plan *plan = &world->recording->plan;
	uint32_t times = STEPS_MIN / (plan->step_count + 1) + 1;
	double seconds = 0;

	for (uint32_t n = 0; n < times; n++) {
		double begin = clock_seconds();

		for (uint32_t i = 0; i < plan->step_count; i++)
			carry_out(world, way, &plan->steps[i]);
		seconds += clock_seconds() - begin;
		for (uint32_t i = 0; i < plan->slot_count; i++) {
			if (world->places[i].live)
				way->end(&world->places[i]);
			world->places[i].live = false;
		}
	}
	return seconds * 1e9 / ((double)plan->step_count * times);
}

static void compare(const struct recording *recording)
{
	double one[ROUNDS], other[ROUNDS], ratio[ROUNDS];
	uint64_t refused;
	struct world world;

	world_make(&world, recording);
	replay(&world, &bare);
	refused = world.refused;
	replay(&world, &front);
	need(world.refused == 2 * refused, "one refuses what the other serves");
	for (int i = 0; i < ROUNDS; i++) {
		other[i] = replay(&world, &bare);
		one[i] = replay(&world, &front);
		ratio[i] = one[i] / other[i];
	}
	world_drop(&world);
	median_sort(one, ROUNDS);
	median_sort(other, ROUNDS);
	median_sort(ratio, ROUNDS);
	printf("replay %-28s %6.1f (%.1f to %.1f) ns a step; bare pools %6.1f (%.1f to %.1f): %.2f times (%.2f to %.2f), goal 2\n",
	       recording->name, one[ROUNDS / 2], one[0], one[ROUNDS - 1], other[ROUNDS / 2], other[0],
	       other[ROUNDS - 1], ratio[ROUNDS / 2], ratio[0], ratio[ROUNDS - 1]);
}

void tee_replay(char *const *paths, int count)
{
	for (int i = 0; i < count; i++) {
		struct recording recording;
		struct trace_error error;

		if (recording_load(paths[i], &recording, &error)) {
			fprintf(stderr, "%s\n", error.text);
			exit(1);
		}
		compare(&recording);
		plan_release(&recording.plan);
	}
}
