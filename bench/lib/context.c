/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "gbench.h"
#include "median.h"
#include "percpu/rseq.h"
#include "suites/suites.h"

#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

enum { SAMPLES = 101 };

/* The first line of a file, or what stands for it. */
static void add_file(const char *key, const char *path, const char *otherwise)
{
	char line[256] = "";
	FILE *file = fopen(path, "re");

	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = 0;
		fclose(file);
	}
	line[strcspn(line, "\n")] = 0;
	gbench_add_context(key, line[0] ? line : otherwise);
}

static void add_number(const char *key, const char *format, double value)
{
	char text[64];

	snprintf(text, sizeof(text), format, value);
	gbench_add_context(key, text);
}

#ifdef HAVE_HWLOC
static void add_topology(void)
{
	static const struct {
		const char *key;
		hwloc_obj_type_t type;
	} types[] = {{"packages", HWLOC_OBJ_PACKAGE},
	             {"numa_nodes", HWLOC_OBJ_NUMANODE},
	             {"l3_caches", HWLOC_OBJ_L3CACHE},
	             {"cores", HWLOC_OBJ_CORE},
	             {"processing_units", HWLOC_OBJ_PU}};
	hwloc_topology_t topology;

	if (hwloc_topology_init(&topology))
		return;
	if (hwloc_topology_load(topology) == 0) {
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			add_number(types[i].key, "%.0f", hwloc_get_nbobjs_by_type(topology, types[i].type));
	}
	hwloc_topology_destroy(topology);
}
#else
static void add_topology(void)
{
	add_number("processing_units", "%.0f", (double)sysconf(_SC_NPROCESSORS_ONLN));
}
#endif

/* A piece of arithmetic that needs nothing but the core, of about a fifth of a millisecond. */
static double spin_seconds(void)
{
	static _Atomic uint64_t sink; /* so that the work is not left out */
	uint64_t x = 1;
	double begin = clock_seconds();

	for (int i = 0; i < 200000; i++)
		x = x * UINT64_C(6364136223846793005) + 1;
	atomic_store_explicit(&sink, x, memory_order_relaxed);
	return clock_seconds() - begin;
}

/* How much longer than the median the slowest tenth of equal work takes, in percent. */
static double measure_noise(void)
{
	double samples[SAMPLES], median;

	for (int i = 0; i < SAMPLES; i++)
		samples[i] = spin_seconds();
	median = median_sort(samples, SAMPLES);
	return (samples[SAMPLES * 9 / 10] / median - 1) * 100;
}

/* What single operations are timed with. */
static void add_clock(void)
{
	struct clock_scale scale = clock_calibrate();
	char text[96];

	snprintf(text, sizeof(text), CLOCK_NAME ", steps of %.1f ns, %.1f ns to read",
	         scale.step * scale.ns_per_tick, scale.overhead_mean * scale.ns_per_tick);
	gbench_add_context("clock", text);
}

void context_add(void)
{
	double noise = measure_noise();
	struct utsname name;
	bool sequences = rseq_start();

	if (uname(&name) == 0) {
		gbench_add_context("kernel", name.release);
		gbench_add_context("architecture", name.machine);
	}
	add_topology();
	add_number("page_size", "%.0f", (double)sysconf(_SC_PAGESIZE));
	add_file("governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not known");
	add_file("frequency_khz", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "not known");
	add_file("transparent_hugepage", "/sys/kernel/mm/transparent_hugepage/enabled", "not known");
	gbench_add_context("rseq", !sequences              ? "not in use"
	                           : rseq_counts_threads() ? "by mm_cid"
	                                                   : "by CPU");
	add_clock();
	add_number("noise_percent", "%.1f", noise);
	if (noise > 5)
		fprintf(stderr,
		        "this machine is noisy: equal work takes %.1f %% longer than the median in one case of ten; "
		        "differences below that mean nothing\n",
		        noise);
}
