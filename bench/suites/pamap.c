/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The PA map: latency beside a chase of pointers, throughput beside other maps, batches, the static pool, two readers. */
#include "pamap.h"

#include "lib/cpu.h"
#include "lib/random.h"
#include "peers/maps.h"

enum { STEPS = 1000, BATCH = 16, QUERIES = 1 << 18, STATIC_BYTES = 2 << 20, STATIC_PADDR = 0x42000000 };

static int which(const void *context)
{
	return (int)((const struct set *)context - sets);
}

/* --- latency ---------------------------------------------------------------------------------------------------- */

static void follow(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(which(context));
	static uint64_t
	        at[SETS]; /* a cycle is much longer than a run: the next goes on where this one ends */
	uint64_t *from = &at[which(context)];

	*from = *from ? *from : set_start(set);
	while (gbench_keep_running_batch(state, STEPS))
		*from = set_follow(set, *from, STEPS);
	bench_use(*from);
	gbench_set_counter(state, "bytes_each", set->bytes);
}

static void chase(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(which(context));
	static uint64_t at[SETS];
	uint64_t *from = &at[which(context)];

	while (gbench_keep_running_batch(state, STEPS))
		*from = set_chase(set, *from, STEPS);
	bench_use(*from);
}

/* --- throughput: independent look-ups of mappings drawn at random --------------------------------------------------- */

/* Drawn anew for each run: none finds in a cache what the one before has looked up. */
static const uint64_t *draw(const struct set *set)
{
	static uint64_t at[QUERIES], random;

	for (size_t i = 0; i < QUERIES; i++)
		at[i] = set->entry[random_below(&random, set->count)].page << PAMAP_PAGE_SHIFT;
	return at;
}

static void look_up(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(SET_RANDOM);
	const uint64_t *at = draw(set);
	uint64_t sum = 0, to = 0;
	size_t i = 0;

	(void)context;
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int k = 0; k < BATCH; k++) {
			pamap_translate(set->map, at[i++ % QUERIES], 1, &to);
			sum += to;
		}
	}
	bench_use(sum);
}

static void look_up_many(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(SET_RANDOM);
	const uint64_t *at = draw(set);
	struct pamap_value value[BATCH];
	size_t found = 0, i = 0;

	(void)context;
	for (; gbench_keep_running_batch(state, BATCH); i += BATCH)
		found += pamap_lookup_many(set->map, &at[i % QUERIES], BATCH, value);
	bench_use(found);
}

struct map_subject {
	const struct map_peer *peer;
	void *map; /* null: not yet made */
};

static void look_up_by_peer(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(SET_RANDOM);
	struct map_subject *subject = context;
	const uint64_t *at = draw(set);
	uint64_t sum = 0, to;
	size_t i = 0;

	if (!subject->map) {
		subject->map = subject->peer->create(set->count);
		for (size_t k = 0; k < set->count; k++)
			subject->peer->insert(subject->map, set->entry[k].page << PAMAP_PAGE_SHIFT,
			                      (uint64_t)set->entry[k].pages << PAMAP_PAGE_SHIFT,
			                      set->entry[k].to);
	}
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int k = 0; k < BATCH; k++)
			sum += subject->peer->find(subject->map, at[i++ % QUERIES], &to) ? to : 0;
	}
	bench_use(sum);
}

/* One reader or two, each on a CPU of its own; CPU time, as other processes would count otherwise. */
static void readers(struct gbench_state *state, void *context)
{
	const struct set *set = set_get(SET_RANDOM);
	uint64_t random = (uint64_t)gbench_thread_index(state), sum = 0;
	struct pamap_value value;

	(void)context;
	cpu_pin_nth((uint32_t)gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			pamap_lookup(set->map,
			             set->entry[random_below(&random, set->count)].page << PAMAP_PAGE_SHIFT,
			             1, &value);
			sum += value.to;
		}
	}
	bench_use(sum);
	cpu_unpin();
}

/* --- the carve-out, with the checks of the public call --------------------------------------------------------------- */

static struct ist_manager *manager;

static struct bounds {
	uint64_t paddr, size, vaddr;
} bounds;

/* The least that a static pool could do: both bounds read, one subtraction. */
static __attribute__((noinline)) uint64_t subtract(const struct bounds *b, uint64_t paddr)
{
	return paddr - b->paddr < b->size ? b->vaddr + (paddr - b->paddr) : 0;
}

static void static_floor(struct gbench_state *state, void *context)
{
	uint64_t sum = 0, i = 0;

	(void)context;
	while (gbench_keep_running_batch(state, STEPS)) {
		for (int k = 0; k < STEPS; k++)
			sum += subtract(&bounds, bounds.paddr + (i++ & 0xffff));
	}
	bench_use(sum);
}

static void static_pool(struct gbench_state *state, void *context)
{
	uint64_t sum = 0, i = 0;
	void *vaddr = NULL;

	(void)context;
	while (gbench_keep_running_batch(state, STEPS)) {
		for (int k = 0; k < STEPS; k++) {
			ist_phys_to_virt(manager, bounds.paddr + (i++ & 0xffff), 1, &vaddr);
			sum += (uint64_t)(uintptr_t)vaddr;
		}
	}
	bench_use(sum);
}

void suite_pamap_register(void)
{
	static struct map_subject peers[] = {{.peer = &map_peer_tree}, {.peer = &map_peer_hash}};
	struct ist_manager_config config = {
	        .vaddr = must_map(STATIC_BYTES), .paddr = STATIC_PADDR, .size = STATIC_BYTES};
	struct gbench *b;

	must(ist_manager_create(&config, &manager));
	bounds = (struct bounds){STATIC_PADDR, STATIC_BYTES, (uint64_t)(uintptr_t)config.vaddr};
	for (int i = 0; i < (suites_large ? SETS : SET_LARGE); i++) {
		gbench_register(follow, &sets[i], "pamap/follow_%s/isthmus", sets[i].name);
		gbench_register(chase, &sets[i], "pamap/follow_%s/floor", sets[i].name);
	}
	gbench_register(look_up, NULL, "pamap/look_up_1M_random/isthmus");
	gbench_register(look_up_many, NULL, "pamap/look_up_1M_random/isthmus, batches of 16");
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		gbench_register(look_up_by_peer, &peers[i], "pamap/look_up_1M_random/%s",
		                peers[i].peer->name);
	b = gbench_register(readers, NULL, "pamap/readers/isthmus");
	gbench_threads(b, 1);
	gbench_threads(b, 2);
	gbench_register(static_pool, NULL, "pamap/static_pool/isthmus");
	gbench_register(static_floor, NULL, "pamap/static_pool/floor");
	suite_pamap_updates_register();
	suite_pamap_flavours_register();
}
