/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * All suites under Google Benchmark.
 *
 * usage: bench-suites [--pin=none|compact|scatter|cores|caches|nodes] [--traces=DIR] [--pool-map=FILE] [--large]
 *                     [--device] [FLAG OF GOOGLE BENCHMARK]...
 *
 * Recordings are replayed from DIR; without it, none. FILE gets what lives in the client pool as it churns, for report/plots.py.
 * --large: also what takes a gigabyte, or many seconds. --device: shared memory through /dev/tee0, with the preloaded library, alone.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peers/peer.h"
#include "pool_map.h"
#include "suites.h"

bool suites_large;

struct ist_manager *suites_manager(size_t driver_bytes, size_t client_bytes)
{
	struct ist_manager_config config = {.driver_pool_size = driver_bytes, .paddr = UINT64_C(1) << 32};
	struct ist_manager *manager;

	config.size = driver_bytes + (client_bytes > driver_bytes ? client_bytes : driver_bytes) +
	              4 * IST_PAGE_SIZE;
	config.vaddr = must_map(config.size);
	must(ist_manager_create(&config, &manager));
	return manager;
}

void suites_thread_counts(struct gbench *benchmark)
{
	cpu_set_t allowed;
	int cpus;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	cpus = CPU_COUNT(&allowed);
	gbench_thread_range(benchmark, 1, cpus);
	gbench_threads(benchmark, 4 * cpus);
}

/* Take the option "NAME=" out of the arguments, so that Google Benchmark does not see it. Returns its value, or null. */
static const char *take_option(int *argc, char **argv, const char *name)
{
	size_t length = strlen(name);

	for (int i = 1; i < *argc; i++) {
		const char *value = argv[i] + length;

		if (strncmp(argv[i], name, length))
			continue;
		memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(*argv));
		--*argc;
		return value;
	}
	return NULL;
}

/* With a second thread about, however idle, the C library's mutexes really lock, and its malloc does: as in a driver. */
static void *idle(void *context)
{
	for (;;)
		pause();
	return context;
}

static void register_all(const char *traces, bool arenas, const char *why)
{
	suite_driver_register();
	suite_bulk_register();
	suite_depth_register();
	suite_latency_register();
	suite_client_register();
	suite_zeroing_register();
	suite_map_register();
	suite_pamap_register();
	suite_mapping_register(traces);
	suite_guest_register();
	suite_tee_register();
	suite_tee_front_register();
	if (traces && !arenas)
		fprintf(stderr, "recordings are not replayed through jemalloc: %s\n", why);
	if (traces)
		suite_replay_register(traces, arenas);
}

int main(int argc, char **argv)
{
	const char *why, *policy, *traces;
	bool device;
	pthread_t idler;
	bool arenas = peer_jemalloc_available(argv, &why); /* first: it may start the program again */

	device = take_option(&argc, argv, "--device") != NULL;
	suites_large = take_option(&argc, argv, "--large") != NULL;
	pool_map_path = take_option(&argc, argv, "--pool-map=");
	policy = take_option(&argc, argv, "--pin=");
	traces = take_option(&argc, argv, "--traces=");
	if (policy && pin_policy_by_name(policy)) {
		fprintf(stderr, "--pin=%s: not a policy; see the head of bench/suites/main.c\n", policy);
		return 2;
	}
	must(pthread_create(&idler, NULL, idle, NULL));
	context_add();
	if (device)
		suite_tee_device_register();
	else
		register_all(traces, arenas, why);
	return gbench_run(argc, argv);
}
