/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "peers/mempool.h"

#include <rte_eal.h>
#include <rte_mempool.h>

static struct rte_mempool *pool;

bool mempool_start(unsigned count, size_t size)
{
	static char name[] = "bench", no_huge[] = "--no-huge", no_pci[] = "--no-pci", memory[] = "-m",
	            mib[] = "64", quiet[] = "--log-level=error", alone[] = "--no-shconf",
	            silent[] = "--no-telemetry";
	char *arguments[] = {name, no_huge, no_pci, memory, mib, quiet, alone, silent, NULL};

	if (rte_eal_init(8, arguments) < 0)
		return false;
	pool = rte_mempool_create("messages", count, (unsigned)size, 256, 0, NULL, NULL, NULL, NULL,
	                          SOCKET_ID_ANY, 0);
	return pool != NULL;
}

bool mempool_get(void **out, unsigned count)
{
	return rte_mempool_get_bulk(pool, out, count) == 0;
}

void mempool_put(void *const *objects, unsigned count)
{
	rte_mempool_put_bulk(pool, objects, count);
}
