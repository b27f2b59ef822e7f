/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Dynamic mappings: each figure with its goal, what it is compared with in the same run. See bench/run --help. */
#include "mapping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/machine.h"

#define CARVE_OUT_BYTES (64 * IST_PAGE_SIZE)

void must(int error, const char *what)
{
	if (error) {
		fprintf(stderr, "bench-mapping: %s: %s\n", what, strerror(-error));
		exit(1);
	}
}

double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *map_or_die(size_t bytes, int flags, int fd)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		must(-errno, "mmap");
	return at;
}

struct bench_space bench_space_make(bool mapped, uint64_t cache_bytes)
{
	struct bench_space space = {.fd = memfd_create("ram", MFD_CLOEXEC)};
	struct ist_manager_config config = {.paddr = 0x10000000, .size = CARVE_OUT_BYTES};
	struct ist_mapping_config mapping = {.cache_size = cache_bytes};
	struct ist_backing backing = {.paddr = RAM_PADDR, .size = RAM_BYTES};

	if (space.fd < 0 || ftruncate(space.fd, RAM_BYTES))
		must(-errno, "memfd");
	space.carve_out = map_or_die(CARVE_OUT_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	space.ram = map_or_die(RAM_BYTES, MAP_SHARED, space.fd);
	memset(space.ram, 1, RAM_BYTES);
	config.vaddr = space.carve_out;
	must(ist_manager_create(&config, &space.manager), "manager");
	backing.fd = space.fd;
	backing.vaddr = mapped ? space.ram : NULL;
	must(ist_backing_add(space.manager, &backing), "backing");
	must(ist_mapping_configure(space.manager, &mapping), "configure");
	return space;
}

void bench_space_drop(struct bench_space *space)
{
	must(ist_manager_destroy(space->manager), "destroy");
	munmap(space->carve_out, CARVE_OUT_BYTES);
	munmap(space->ram, RAM_BYTES);
	close(space->fd);
}

void print_ns(const struct round_values *values)
{
	printf("  %-66s             %10.0f ns       [%.0f..%.0f]\n", values->name, values->median,
	       values->low, values->high);
}

static void print_goal(const char *what, double value, const char *sign, double goal, const char *unit,
                       bool good)
{
	printf("  %-66s %s %8.2f %10.2f %-8s %s\n", what, sign, goal, value, unit,
	       good ? "reached" : "missed");
}

void goal_most(const char *what, double value, double most, const char *unit)
{
	print_goal(what, value, "<=", most, unit, value <= most);
}

void goal_least(const char *what, double value, double least, const char *unit)
{
	print_goal(what, value, ">=", least, unit, value >= least);
}

int main(int argc, char **argv)
{
	const char *trace = NULL;
	int rounds = 9;
	bool large = true;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			rounds = 3;
			large = false;
		} else if (strcmp(argv[i], "--trace") == 0 && i + 1 < argc) {
			trace = argv[++i];
		} else if (argv[i][0] ==
		           '-') { /* bench/run also names the folder for plots: there are none */
			fprintf(stderr, "usage: bench-mapping [--quick] [--trace FILE]\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	machine_print();
	bench_pairs(rounds);
	bench_segments(rounds);
	bench_growth(large);
	bench_many(rounds, large);
	if (trace)
		bench_trace(trace);
	return 0;
}
