/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "machine.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef HAVE_HWLOC
#include <hwloc.h>

static int count_of(hwloc_topology_t topology, hwloc_obj_type_t type)
{
	int count = hwloc_get_nbobjs_by_type(topology, type);

	return count > 0 ? count : 0;
}

static void print_topology(void)
{
	hwloc_topology_t topology;
	hwloc_obj_t cache;

	if (hwloc_topology_init(&topology))
		return;
	if (hwloc_topology_load(topology) == 0) {
		printf(", %d cores, %d packages, %d NUMA nodes", count_of(topology, HWLOC_OBJ_CORE),
		       count_of(topology, HWLOC_OBJ_PACKAGE), count_of(topology, HWLOC_OBJ_NUMANODE));
		/* Virtual machines often show no caches at all. */
		cache = count_of(topology, HWLOC_OBJ_L3CACHE)
		                ? hwloc_get_obj_by_type(topology, HWLOC_OBJ_L3CACHE, 0)
		                : NULL;
		if (cache && cache->attr)
			printf(", %d x L3 of %llu KiB", count_of(topology, HWLOC_OBJ_L3CACHE),
			       (unsigned long long)cache->attr->cache.size / 1024);
	}
	hwloc_topology_destroy(topology);
}
#else
static void print_topology(void)
{
}
#endif

void machine_print(void)
{
	struct utsname name;

	printf("machine: %ld processors", sysconf(_SC_NPROCESSORS_ONLN));
	print_topology();
	if (uname(&name) == 0)
		printf(", %s, Linux %s", name.machine, name.release);
	printf("\n");
}
