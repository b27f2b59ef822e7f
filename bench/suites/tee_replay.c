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
#include <isthmus/tee.h>

#include <errno.h>

#include "lib/clock.h"
#include "replay/recording.h"
#include "suites.h"

enum { STEPS_MIN = 400000 };

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

/* --- bare pools ----------------------------------------------------------------------------------------------- */

static bool bare_alloc(struct world *world, const struct step *step, struct place *place)
{
	int error = step_pool(step->kind) == POOL_DRIVER
	                    ? ist_driver_pool_alloc(world->driver, step->size, &place->bare)
	                    : ist_client_pool_alloc(world->client, step->size, &place->bare);

	must(error && error != -ENOSPC);
	return !error;
}

static void bare_free(struct place *place)
{
	must(ist_shm_free(&place->bare));
}

static void bare_lookup(struct world *world, const struct step *step, const struct place *place)
{
	const struct ist_view *view = &place->bare.view;
	uint64_t paddr;
	void *vaddr;

	if (step->kind == STEP_TO_PHYS) {
		int error = ist_virt_to_phys(world->manager, (char *)view->vaddr + step->offset, step->size,
		                             &paddr);

		must(error || paddr != view->paddr + step->offset);
	} else {
		int error = ist_phys_to_virt(world->manager, view->paddr + step->offset, step->size, &vaddr);

		must(error || vaddr != (char *)view->vaddr + step->offset);
	}
}

/* --- the front ------------------------------------------------------------------------------------------------ */

static bool tee_alloc(struct world *world, const struct step *step, struct place *place)
{
	bool is_client = step_pool(step->kind) == POOL_CLIENT;
	uint32_t flags = IST_TEE_SHM_MAPPED | (is_client ? IST_TEE_SHM_DMA_BUF : 0);
	int error = ist_tee_shm_alloc(world->device, is_client ? world->context : NULL, step->size, flags,
	                              &place->tee.shm);

	must(error && error != -ENOMEM);
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
		must(ist_tee_shm_find(world->context, place->tee.id, &shm));
		must(shm != place->tee.shm); /* the id leads elsewhere */
	}
	if (step->kind == STEP_TO_PHYS)
		must(ist_tee_shm_get_pa(shm, step->offset, &paddr));
	else
		must(ist_tee_shm_get_va(shm, step->offset, &vaddr));
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
	must(config.vaddr == MAP_FAILED);
	must(ist_manager_create(&config, &world->manager));
	must(ist_tee_device_create(world->manager, NULL, &world->device));
	must(ist_tee_context_open(world->device, &world->context));
	world->driver = ist_manager_driver_pool(world->manager);
	world->client = ist_manager_client_pool(world->manager);
	world->places = must_allocate(recording->plan.slot_count + 1, sizeof(*world->places));
}

static void world_drop(struct world *world)
{
	struct ist_pool_stats driver, client;

	ist_driver_pool_stats(world->driver, &driver);
	ist_client_pool_stats(world->client, &client);
	must(driver.used || client.used); /* something was not given back */
	ist_tee_context_close(world->context);
	must(ist_tee_device_destroy(world->device, false));
	must(ist_manager_destroy(world->manager));
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

/* Once from its start to its end: seconds. */
static double replay(struct world *world, const struct way *way)
{
	const struct plan *plan = &world->recording->plan;
	double seconds = -clock_seconds();

	for (uint32_t i = 0; i < plan->step_count; i++)
		carry_out(world, way, &plan->steps[i]);
	seconds += clock_seconds();
	for (uint32_t i = 0; i < plan->slot_count; i++) {
		if (world->places[i].live)
			way->end(&world->places[i]);
		world->places[i].live = false;
	}
	return seconds;
}

struct subject {
	const struct recording *recording;
	const struct way *way;
	uint64_t *refused; /* in each replay, by both; UINT64_MAX: not yet known */
};

/* An iteration is a step. */
static void run(struct gbench_state *state, void *context)
{
	const struct subject *subject = context;
	struct world world;

	world_make(&world, subject->recording);
	replay(&world, subject->way); /* to warm up */
	must(*subject->refused != UINT64_MAX && *subject->refused != world.refused); /* both serve the same */
	*subject->refused = world.refused;
	while (gbench_keep_running_batch(state, subject->recording->plan.step_count))
		gbench_set_iteration_seconds(state, replay(&world, subject->way));
	gbench_set_counter(state, "refused", (double)*subject->refused);
	world_drop(&world);
}

static void add(const struct recording *recording, const char *who, const struct way *way, uint64_t *refused)
{
	int64_t steps = recording->plan.step_count;
	struct subject *subject = must_allocate(1, sizeof(*subject)); /* for as long as the program runs */
	struct gbench *b = gbench_register(run, subject, "tee/replay_%s/%s", recording->name, who);

	*subject = (struct subject){recording, way, refused};
	gbench_iterations(b, (STEPS_MIN / steps + 1) * steps);
	gbench_use_manual_time(b);
}

void suite_tee_replay_register(const struct recording *recording)
{
	uint64_t *refused = must_allocate(1, sizeof(*refused));

	*refused = UINT64_MAX;
	if (!recording->plan.step_count)
		return;
	add(recording, "isthmus", &front, refused);
	add(recording, "isthmus, bare pools", &bare, refused);
}
