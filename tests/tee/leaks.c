/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Invokes with four temporary references, in process: each copies two of them into the two others, each is registered for its call
 * alone. At the end nothing is there that was not there after the first few.
 * usage: leaks [COUNT]
 */
#include <isthmus/isthmus.h>
#include <isthmus/tee_client.h>

#include <dirent.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

enum { FEW = 2000, COPY = 2, SIZE = 1024 };

static TEEC_Context context;
static TEEC_Session session;
static char buffer[4][2 * SIZE];

/* All that could grow. */
struct count {
	uint64_t driver_bytes, client_bytes, mappings, shms, registered, sessions, contexts, calls;
	uint64_t heap_bytes, lines_of_maps, descriptors, resident_kib;
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* By the percentage that tests scale with. */
static uint64_t count_wanted(int argc, char **argv)
{
	return argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)scaled(20000) + 1;
}

/* Each one that is used has caches of its own, which come when it is used first. */
static void stay_on_one_cpu(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
}

static uint64_t lines_in(const char *path)
{
	FILE *file = fopen(path, "r");
	uint64_t lines = 0;
	int c;

	while (file && (c = fgetc(file)) != EOF)
		lines += c == '\n';
	if (file)
		fclose(file);
	return lines;
}

static uint64_t entries_in(const char *path)
{
	DIR *folder = opendir(path);
	uint64_t entries = 0;

	while (folder && readdir(folder))
		entries++;
	if (folder)
		closedir(folder);
	return entries;
}

static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

static struct count count_all(void)
{
	struct ist_tee_device *device = ist_tee_context_device(context.imp);
	struct ist_manager *manager = ist_tee_device_manager(device);
	struct ist_mapping_stats mappings;
	struct ist_pool_stats driver, client;
	struct ist_tee_stats tee;

	ist_driver_pool_stats(ist_manager_driver_pool(manager), &driver);
	ist_client_pool_stats(ist_manager_client_pool(manager), &client);
	ist_mapping_flush(manager);
	ist_mapping_stats(manager, &mappings);
	ist_tee_device_stats(device, &tee);
	return (struct count){.driver_bytes = driver.used,
	                      .client_bytes = client.used,
	                      .mappings = mappings.mappings,
	                      .shms = tee.shms,
	                      .registered = tee.registered,
	                      .sessions = tee.sessions,
	                      .contexts = tee.contexts,
	                      .calls = tee.calls,
	                      .heap_bytes = mallinfo2().uordblks,
	                      .lines_of_maps = lines_in("/proc/self/maps"),
	                      .descriptors = entries_in("/proc/self/fd"),
	                      .resident_kib = resident()};
}

static void invoke(uint64_t number)
{
	TEEC_Operation op = {.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT,
	                                                    TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT)};
	size_t at = number % SIZE; /* in a page, and across its end */

	for (int i = 0; i < 4; i++)
		op.params[i].tmpref = (TEEC_TempMemoryReference){buffer[i] + at, SIZE};
	memcpy(buffer[0] + at, &number, sizeof(number));
	buffer[2][at + SIZE - 1] = (char)number;
	check(TEEC_InvokeCommand(&session, COPY, &op, NULL) == TEEC_SUCCESS, __LINE__, "invoke");
	check(memcmp(buffer[1] + at, &number, sizeof(number)) == 0 &&
	              buffer[3][at + SIZE - 1] == (char)number,
	      __LINE__, "what was copied");
}

int main(int argc, char **argv)
{
	static const TEEC_UUID uuid = {1, 2, 3, {4}};
	uint64_t count = count_wanted(argc, argv);
	struct count before, after;
	double begin;

	stay_on_one_cpu();
	CHECK(TEEC_InitializeContext(NULL, &context) == TEEC_SUCCESS);
	CHECK(TEEC_OpenSession(&context, &session, &uuid, 0, NULL, NULL, NULL) == TEEC_SUCCESS);
	for (uint64_t i = 0; i < FEW && !faults; i++)
		invoke(i);
	count_all(); /* which may itself take some memory, once */
	before = count_all();
	begin = seconds_now();
	for (uint64_t i = 0; i < count && !faults; i++)
		invoke(i);
	begin = seconds_now() - begin;
	after = count_all();
	printf("%llu invokes with 4 temporary references in %.1f s; resident %llu KiB, then %llu KiB\n",
	       (unsigned long long)count, begin, (unsigned long long)before.resident_kib,
	       (unsigned long long)after.resident_kib);
	CHECK(after.resident_kib <= before.resident_kib + 1024);
#define SAME(what)                                                                                           \
	check(after.what == before.what ||                                                                   \
	              (printf("%s: %llu, then %llu\n", #what, (unsigned long long)before.what,               \
	                      (unsigned long long)after.what),                                               \
	               0),                                                                                   \
	      __LINE__, #what " as before")
	SAME(driver_bytes);
	SAME(client_bytes);
	SAME(mappings);
	SAME(shms);
	SAME(registered);
	SAME(sessions);
	SAME(contexts);
	SAME(calls);
	SAME(heap_bytes);
	/* Records that wait for the end of a grace period are in blocks of doubling size: one more, of each kind, is no leak. */
	CHECK(after.lines_of_maps <= before.lines_of_maps + 64);
	SAME(descriptors);
	CHECK(before.registered == 0 && before.shms == 0 && before.calls == 0 && before.driver_bytes == 0);
	TEEC_CloseSession(&session);
	TEEC_FinalizeContext(&context);
	return faults != 0;
}
