/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The pretended machine of models: so many CPUs under a cache, so many in a node. */
#include "platform/topology.h"

#ifndef MODEL_CPUS
#define MODEL_CPUS 2u
#endif
#ifndef MODEL_CPUS_A_CACHE
#define MODEL_CPUS_A_CACHE 1u
#define MODEL_CPUS_A_NODE 2u
#endif

void topology_start(void)
{
}

unsigned topology_caches(void)
{
	return MODEL_CPUS / MODEL_CPUS_A_CACHE;
}

unsigned topology_nodes(void)
{
	return MODEL_CPUS / MODEL_CPUS_A_NODE;
}

unsigned topology_cache_of(uint32_t cpu)
{
	return cpu / MODEL_CPUS_A_CACHE;
}

unsigned topology_node_of(uint32_t cpu)
{
	return cpu / MODEL_CPUS_A_NODE;
}
