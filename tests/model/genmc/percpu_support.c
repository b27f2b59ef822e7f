/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The kernel and the platform for GenMC: one thread a CPU, fences (arch_model.h), and memory that is never given back. */
#include "percpu/percpu.h"
#include "percpu/rseq.h"
#include "platform/platform.h"
#include "platform/topology.h"

/* Pages are small here, so that there is little to lay out. */
enum { PAGE = 64, ARENA = 4096 };

static _Alignas(64) uint64_t arena[ARENA / sizeof(uint64_t)];
static size_t arena_used;

struct percpu_thread_area percpu_area;
_Atomic uint64_t percpu_aborts;

size_t platform_page_size(void)
{
	return PAGE;
}

void *platform_map(size_t bytes)
{
	char *at = (char *)arena + arena_used;

	arena_used += (bytes + PAGE - 1) / PAGE * PAGE;
	return arena_used <= ARENA ? at : NULL;
}

void platform_unmap(void *memory, size_t bytes)
{
	(void)memory, (void)bytes;
}

int platform_wipe_on_fork(struct platform_wiped *wiped, void *memory, size_t bytes,
                          const _Atomic uint32_t *mark)
{
	(void)wiped, (void)memory, (void)bytes, (void)mark;
	return 0;
}

void platform_wipe_end(struct platform_wiped *wiped)
{
	(void)wiped;
}

#ifndef MODEL_SEQUENCES
#define MODEL_SEQUENCES true
#endif
bool rseq_start(void)
{
	return MODEL_SEQUENCES;
}

int32_t rseq_number(void)
{
	return genmc_cpu;
}

uint32_t rseq_cpu(void)
{
	return (uint32_t)genmc_cpu;
}

bool rseq_fence(void)
{
	for (int cpu = 0; cpu < MODEL_CPUS; cpu++) {
		genmc_take(cpu);
		genmc_give(cpu);
	}
	return true;
}

unsigned rseq_possible_cpus(void)
{
	return MODEL_CPUS;
}

unsigned rseq_numbers(void)
{
	return MODEL_CPUS;
}

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
