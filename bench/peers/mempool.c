/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mempool.h"

#include <rte_eal.h>
#include <rte_mempool.h>

#include "mempool_isthmus.h"

static const struct kind {
	const char *name, *pool, *ops;
	unsigned cache;
} kinds[MEMPOOL_KINDS] = {
        [MEMPOOL_RING] = {"rte_mempool", "ring", "ring_mp_mc", 256},
        [MEMPOOL_OURS] = {"rte_mempool over isthmus", "ours", MEMPOOL_ISTHMUS, 256},
        [MEMPOOL_RING_BARE] = {"rte_mempool, no lcore cache", "ring-bare", "ring_mp_mc", 0},
        [MEMPOOL_OURS_BARE] = {"the same over isthmus", "ours-bare", MEMPOOL_ISTHMUS, 0},
};
static struct rte_mempool *pool[MEMPOOL_KINDS];

const char *mempool_name(enum mempool_kind kind)
{
	return kinds[kind].name;
}

static bool make(enum mempool_kind kind, unsigned count, size_t size)
{
	const struct kind *how = &kinds[kind];

	pool[kind] =
	        rte_mempool_create_empty(how->pool, count, (unsigned)size, how->cache, 0, SOCKET_ID_ANY, 0);
	return pool[kind] && rte_mempool_set_ops_byname(pool[kind], how->ops, NULL) == 0 &&
	       rte_mempool_populate_default(pool[kind]) >= 0;
}

bool mempool_start(unsigned count, size_t size)
{
	static char name[] = "bench", no_huge[] = "--no-huge", no_pci[] = "--no-pci", memory[] = "-m",
	            mib[] = "64", quiet[] = "--log-level=error", alone[] = "--no-shconf",
	            silent[] = "--no-telemetry";
	char *arguments[] = {name, no_huge, no_pci, memory, mib, quiet, alone, silent, NULL};

	if (rte_eal_init(8, arguments) < 0)
		return false;
	for (enum mempool_kind kind = 0; kind < MEMPOOL_KINDS; kind++) {
		if (!make(kind, count, size))
			return false;
	}
	return true;
}

bool mempool_get(enum mempool_kind kind, void **out, unsigned count)
{
	return rte_mempool_get_bulk(pool[kind], out, count) == 0;
}

void mempool_put(enum mempool_kind kind, void *const *objects, unsigned count)
{
	rte_mempool_put_bulk(pool[kind], objects, count);
}
