/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "platform/topology.h"

#include <hwloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define HIDE "HWLOC_HIDE_ERRORS"

/* Since glibc 2.32; without it nobody knows. And of hwloc's plugins' interface; 2.0 has none. */
extern char __libc_single_threaded __attribute__((weak));
extern int hwloc_hide_errors(void) __attribute__((weak));

struct place {
	uint16_t cache, node;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned caches = 1, nodes = 1;
static uint32_t cpus;
static struct place *_Atomic places; /* of each CPU; made once and kept */

/* Number the CPUs under the nth object of a kind. */
static void number_cpus(struct place *of, hwloc_const_bitmap_t set, unsigned number, int is_cache)
{
	int cpu;

	hwloc_bitmap_foreach_begin(cpu, set) if ((uint32_t)cpu < cpus && is_cache) of[cpu].cache =
	        (uint16_t)number;
	else if ((uint32_t)cpu < cpus) of[cpu].node = (uint16_t)number;
	hwloc_bitmap_foreach_end();
}

static unsigned number_all(hwloc_topology_t topology, struct place *of, hwloc_obj_type_t type)
{
	hwloc_obj_t object = NULL;
	unsigned number = 0;

	while ((object = hwloc_get_next_obj_by_type(topology, type, object)) != NULL)
		number_cpus(of, object->cpuset, number++, type == HWLOC_OBJ_L3CACHE);
	return number ? number : 1;
}

static void read_places(hwloc_topology_t topology)
{
	int last = hwloc_bitmap_last(hwloc_topology_get_topology_cpuset(topology));
	struct place *made;

	if (last < 0)
		return;
	made = calloc((size_t)last + 1, sizeof(*made));
	if (!made)
		return;
	cpus = (uint32_t)last + 1;
	caches = number_all(topology, made, HWLOC_OBJ_L3CACHE);
	nodes = number_all(topology, made, HWLOC_OBJ_NUMANODE);
	atomic_store_explicit(&places, made, memory_order_release); /* pairs with place_of */
}

/*
 * hwloc writes to stderr where it finds what the system says contradictory, unless the environment asks it not to. A library
 * may only say that in its place while no other thread can be reading the environment; where there are threads already,
 * or the user has said what he wants, it stays as it is. hwloc looks once.
 */
static bool silence(void)
{
	return &__libc_single_threaded && __libc_single_threaded && !getenv(HIDE) &&
	       setenv(HIDE, "2", 0) == 0;
}

/* Only caches and nodes are asked for: the rest of a topology takes long to find. */
static void find_places(void)
{
	hwloc_topology_t topology;

	if (hwloc_topology_init(&topology))
		return;
	hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
	hwloc_topology_set_type_filter(topology, HWLOC_OBJ_L3CACHE, HWLOC_TYPE_FILTER_KEEP_ALL);
	if (hwloc_topology_load(topology) == 0)
		read_places(topology);
	hwloc_topology_destroy(topology);
}

static void start(void)
{
	bool silenced = silence();

	/* Has it look even if there is nothing to complain about. */
	if (&hwloc_hide_errors)
		hwloc_hide_errors();
	find_places();
	if (silenced)
		unsetenv(HIDE);
}

void topology_start(void)
{
	pthread_once(&once, start);
}

static struct place place_of(uint32_t cpu)
{
	const struct place *known = atomic_load_explicit(&places, memory_order_acquire);

	return known && cpu < cpus ? known[cpu] : (struct place){0, 0};
}

unsigned topology_caches(void)
{
	return caches;
}

unsigned topology_nodes(void)
{
	return nodes;
}

unsigned topology_cache_of(uint32_t cpu)
{
	return place_of(cpu).cache;
}

unsigned topology_node_of(uint32_t cpu)
{
	return place_of(cpu).node;
}
