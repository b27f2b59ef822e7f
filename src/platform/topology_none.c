/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "platform/topology.h"

void topology_start(void)
{
}

unsigned topology_caches(void)
{
	return 1;
}

unsigned topology_nodes(void)
{
	return 1;
}

unsigned topology_cache_of(uint32_t cpu)
{
	(void)cpu;
	return 0;
}

unsigned topology_node_of(uint32_t cpu)
{
	(void)cpu;
	return 0;
}
