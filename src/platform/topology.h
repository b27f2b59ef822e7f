/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which CPUs are near each other: those under one last-level cache, and those of one NUMA node, each set with a number
 * of its own. From hwloc when built with it; otherwise, and for CPUs that are not known, everything is number 0.
 */
#ifndef PLATFORM_TOPOLOGY_H
#define PLATFORM_TOPOLOGY_H

#include <stdint.h>

/* Find out, once. May block, uses the heap. Until it has returned all are number 0. */
void topology_start(void);

unsigned topology_caches(void);
unsigned topology_nodes(void);
unsigned topology_cache_of(uint32_t cpu);
unsigned topology_node_of(uint32_t cpu);

#endif
