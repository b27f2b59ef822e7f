/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Translation of addresses. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peers/maps.h"
#include "suites.h"

#define RAM_PADDR (UINT64_C(1) << 40)
#define RAM_BYTES (UINT64_C(1) << 30)

enum { BATCH = 64, STRIDE = 7 };

static struct ist_manager *manager;

static void translate_pool(struct gbench_state *state, void *context)
{
	struct ist_shm shm;
	void *vaddr;

	must(ist_driver_pool_alloc(ist_manager_driver_pool(context), 64, &shm));
	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++)
			must(ist_phys_to_virt(context, shm.view.paddr, 8, &vaddr));
	}
	ist_shm_free(&shm);
}

/* Pages of guest memory, one mapping each, looked up out of order. */
static void translate_mappings(struct gbench_state *state, void *context)
{
	uint64_t count = (uint64_t)gbench_argument(state), at = 0;
	void *vaddr;

	if (gbench_thread_index(state) == 0) {
		for (uint64_t i = 0; i < count; i++) {
			struct ist_registration r = {.paddr = RAM_PADDR + i * 2 * IST_PAGE_SIZE,
			                             .size = IST_PAGE_SIZE,
			                             .cookie = i + 1};
			struct ist_mapping mapping;

			must(ist_mapping_register(context, &r, &mapping));
		}
	}
	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			at = (at + count / STRIDE + 1) % count;
			must(ist_phys_to_virt(context, RAM_PADDR + at * 2 * IST_PAGE_SIZE, 8, &vaddr));
		}
	}
	gbench_set_complexity_n(state, (int64_t)count);
	if (gbench_thread_index(state) == 0) {
		for (uint64_t i = 0; i < count; i++)
			must(ist_mapping_unregister(context, 0, i + 1, 0));
	}
}

static void translate_by_peer(struct gbench_state *state, void *context)
{
	const struct map_peer *peer = context;
	uint64_t count = (uint64_t)gbench_argument(state), at = 0, vaddr;
	void *map = peer->create(count);

	for (uint64_t i = 0; i < count; i++)
		peer->insert(map, RAM_PADDR + i * 2 * IST_PAGE_SIZE, IST_PAGE_SIZE, i * IST_PAGE_SIZE);
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			at = (at + count / STRIDE + 1) % count;
			must(!peer->find(map, RAM_PADDR + at * 2 * IST_PAGE_SIZE, &vaddr));
		}
	}
	gbench_set_complexity_n(state, (int64_t)count);
	peer->destroy(map);
}

static void add_translate(const char *who, gbench_function *function, void *context)
{
	struct gbench *b;

	b = gbench_register(function, context, "map/translate/%s", who);
	gbench_over(b, "mappings", 16, 256, 4096, 1 << 16);
	gbench_complexity(b);
}

void suite_map_register(void)
{
	const struct map_peer *const peers[] = {&map_peer_tree, &map_peer_std, &map_peer_hash};
	struct gbench *b;
	void *mapped;

	mapped = mmap(NULL, RAM_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(mapped == MAP_FAILED);
	manager = suites_manager(64 << 10, 0);
	must(ist_backing_add(manager,
	                     &(struct ist_backing){.paddr = RAM_PADDR, .size = RAM_BYTES, .vaddr = mapped}));

	b = gbench_register(translate_pool, manager, "map/translate_pool/isthmus");
	suites_thread_counts(b);
	gbench_use_real_time(b);
	add_translate("isthmus", translate_mappings, manager);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		add_translate(peers[i]->name, translate_by_peer, (void *)(uintptr_t)peers[i]);
}
