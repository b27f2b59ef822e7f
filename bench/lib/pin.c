/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "suites/suites.h"

#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

enum { CPUS_MAX = 4096 };

enum pin_policy pin_policy;

static int cpus[CPUS_MAX]; /* in the order in which threads get them */
static int cpu_count;
static int at_distance[PIN_DISTANCES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

int pin_policy_by_name(const char *name)
{
	static const char *const names[] = {"none", "compact", "scatter", "cores", "caches", "nodes"};

	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
		if (!strcmp(name, names[i])) {
			pin_policy = (enum pin_policy)i;
			return 0;
		}
	}
	return -1;
}

static void all_allowed(void)
{
	cpu_set_t allowed;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE && cpu_count < CPUS_MAX; cpu++) {
		if (CPU_ISSET((unsigned)cpu, &allowed))
			cpus[cpu_count++] = cpu;
	}
}

#ifdef HAVE_HWLOC
static hwloc_topology_t topology;

static bool is_allowed(int cpu, const int *allowed, int count)
{
	for (int i = 0; i < count; i++) {
		if (allowed[i] == cpu)
			return true;
	}
	return false;
}

/* The first processing unit of each object of a type; then the second of each; and so on, or only the first. */
static void spread_over(hwloc_obj_type_t type, bool first_only)
{
	int allowed[CPUS_MAX], count = cpu_count, objects = hwloc_get_nbobjs_by_type(topology, type);

	if (objects <= 0)
		return;
	memcpy(allowed, cpus, sizeof(allowed));
	cpu_count = 0;
	for (int round = 0; cpu_count < count && round < count; round++) {
		for (int i = 0; i < objects; i++) {
			hwloc_obj_t object = hwloc_get_obj_by_type(topology, type, (unsigned)i);
			int cpu = hwloc_bitmap_first(object->cpuset);

			for (int skip = 0; skip < round && cpu >= 0; skip++)
				cpu = hwloc_bitmap_next(object->cpuset, cpu);
			if (cpu >= 0 && is_allowed(cpu, allowed, count) && cpu_count < count)
				cpus[cpu_count++] = cpu;
		}
		if (first_only)
			return;
	}
}

/* Neighbours one after the other: the order of hwloc's logical numbers. */
static void neighbours(void)
{
	int allowed[CPUS_MAX], count = cpu_count, units = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);

	memcpy(allowed, cpus, sizeof(allowed));
	cpu_count = 0;
	for (int i = 0; i < units; i++) {
		int cpu = (int)hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i)->os_index;

		if (is_allowed(cpu, allowed, count))
			cpus[cpu_count++] = cpu;
	}
}

static void find_distances(void)
{
	static const hwloc_obj_type_t shared[] = {HWLOC_OBJ_CORE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_PACKAGE,
	                                          HWLOC_OBJ_MACHINE};
	static const hwloc_obj_type_t apart[] = {HWLOC_OBJ_PU, HWLOC_OBJ_CORE, HWLOC_OBJ_L3CACHE,
	                                         HWLOC_OBJ_PACKAGE};

	for (int d = 0; d < PIN_DISTANCES; d++) {
		hwloc_obj_t first = hwloc_get_pu_obj_by_os_index(topology, (unsigned)cpus[0]);
		hwloc_obj_t of = hwloc_get_ancestor_obj_by_type(topology, shared[d], first), within;

		for (int i = 1; i < cpu_count && at_distance[d] < 0 && of; i++) {
			hwloc_obj_t unit = hwloc_get_pu_obj_by_os_index(topology, (unsigned)cpus[i]);

			within = apart[d] == HWLOC_OBJ_PU
			                 ? unit
			                 : hwloc_get_ancestor_obj_by_type(topology, apart[d], unit);
			if (!within &&
			    apart[d] == HWLOC_OBJ_L3CACHE) /* no such cache, or none that is told of */
				within = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, unit);
			if (hwloc_get_ancestor_obj_by_type(topology, shared[d], unit) == of && within &&
			    !hwloc_bitmap_isset(within->cpuset, (unsigned)cpus[0]))
				at_distance[d] = cpus[i];
		}
	}
}

static void order_by_topology(void)
{
	if (hwloc_topology_init(&topology))
		return;
	if (hwloc_topology_load(topology) == 0) {
		find_distances();
		switch (pin_policy) {
		case PIN_COMPACT:
			neighbours();
			break;
		case PIN_SCATTER:
			spread_over(HWLOC_OBJ_PACKAGE, false);
			break;
		case PIN_CORES:
			spread_over(HWLOC_OBJ_CORE, true);
			break;
		case PIN_CACHES:
			spread_over(HWLOC_OBJ_L3CACHE, false);
			break;
		case PIN_NODES:
			spread_over(HWLOC_OBJ_NUMANODE, false);
			break;
		case PIN_NONE:
			break;
		}
	}
	hwloc_topology_destroy(topology);
}
#else
static void order_by_topology(void)
{
	/* Without hwloc all that is known is that two CPUs are two. */
	at_distance[PIN_SAME_PACKAGE] = cpu_count > 1 ? cpus[1] : -1;
}
#endif

static void order_cpus(void)
{
	for (int d = 0; d < PIN_DISTANCES; d++)
		at_distance[d] = -1;
	all_allowed();
	order_by_topology();
}

void pin_thread(int nth)
{
	pthread_once(&once, order_cpus);
	if (pin_policy != PIN_NONE && cpu_count > 0)
		cpu_pin(cpus[nth % cpu_count]);
}

int pin_cpu_at(enum pin_distance distance)
{
	pthread_once(&once, order_cpus);
	return at_distance[distance];
}

int pin_first_cpu(void)
{
	pthread_once(&once, order_cpus);
	return cpus[0];
}
