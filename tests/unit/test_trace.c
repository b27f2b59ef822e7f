/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The readers of recorded traffic: bad input gets file, line and reason. And what the recordings ask of the pools. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"
#include "trace.h"

static int read_text(const char *text, size_t size, struct trace_error *error)
{
	struct trace trace = {0};
	int result = trace_text_read("t", (const unsigned char *)text, size, &trace, error);

	if (result == 0)
		trace_release(&trace);
	else
		assert_null(trace.events);
	return result;
}

static void check_bad(const char *text, const char *place)
{
	struct trace_error error = {""};

	assert_int_equal(read_text(text, strlen(text), &error), -1);
	print_message("  %s\n", error.text);
	assert_memory_equal(error.text, place, strlen(place));
	assert_true(strlen(error.text) > strlen(place) + 5); /* and a reason */
}

#define BIRTH "0 0 1 162 alloc_client 1 4096 1 align=4096\n"

static void good_lines(void **state)
{
	struct trace_error error;
	const char text[] = "# a comment\r\n\n" BIRTH "1 5 0 162 lookup_pa 1 0\r\n2 9 3 7 free 1 4096 1";

	(void)state;
	assert_int_equal(read_text(text, strlen(text), &error), 0);
}

static void bad_lines(void **state)
{
	static char longer[70000];

	(void)state;
	check_bad("0 0 1 162 alloc_clint 1 4096 1\n", "t:1: ");
	check_bad(BIRTH "1 0 1\n", "t:2: ");
	check_bad(BIRTH "1 0 1 162 free 2 4096 1\n", "t:2: ");
	check_bad(BIRTH BIRTH, "t:2: ");
	check_bad(BIRTH "1 0 1 162 free 1 4096 1\n2 0 1 162 free 1 4096 1\n", "t:3: ");
	check_bad(BIRTH "1 0 1 162 unregister 1 4096 1\n", "t:2: ");
	check_bad("0 0 x 162 alloc_client 1 4096 1\n", "t:1: ");
	check_bad("0 0 99999999999999999999999 162 alloc_client 1 4096 1\n", "t:1: ");
	check_bad("0 0 1 162 alloc_client 1 -5 1\n", "t:1: ");
	check_bad("0 0 1 162 alloc_client 1 0 1\n", "t:1: ");
	check_bad("0 0 1 162 alloc_client 1 18446744073709551615 1\n", "t:1: ");
	memset(longer, 'a', sizeof(longer) - 1);
	check_bad(longer, "t:1: ");
	/* A zero byte inside a line. */
	struct trace_error error;
	const char zero[] = "0 0 1 162 alloc\0client 1 4096 1\n";
	assert_int_equal(read_text(zero, sizeof(zero) - 1, &error), -1);
	assert_memory_equal(error.text, "t:1: ", 5);
}

static void files_that_are_none(void **state)
{
	struct trace_error error;
	struct trace trace = {0};
	char empty[] = "/tmp/isthmus-test-XXXXXX";
	int fd = mkstemp(empty);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(trace_load(empty, &trace, &error), -1);
	unlink(empty);
	assert_int_equal(trace_load("/nonexistent/trace", &trace, &error), -1);
	assert_non_null(strstr(error.text, "/nonexistent/trace"));
	assert_int_equal(trace_load("/", &trace, &error), -1);
	assert_null(trace.events);
}

static void load_recording(const char *name, struct trace *trace)
{
	struct trace_error error = {""};
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.istrace", TRACES, name);
	if (trace_load(path, trace, &error))
		fail_msg("%s", error.text);
}

/* Every truncation of a recording's beginning, and a flipped byte, is refused or read, and never crashes. */
static void damaged_recordings(void **state)
{
	static unsigned char head[4096];
	char path[4096];
	FILE *file;
	size_t size;
	struct trace_error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/sb_session_static.istrace", TRACES);
	file = fopen(path, "rb");
	assert_non_null(file);
	size = fread(head, 1, sizeof(head), file);
	fclose(file);
	for (size_t length = 0; length < size; length++) {
		struct trace trace = {0};
		unsigned char *exact = malloc(length ? length : 1); /* so that a read behind the end shows */

		memcpy(exact, head, length);
		assert_int_equal(trace_binary_read("t", exact, length, &trace, &error), -1);
		free(exact);
	}
	for (size_t i = 0; i < size; i++) {
		struct trace trace = {0};

		head[i] ^= (unsigned char)(1u << i % 8);
		assert_int_equal(trace_binary_read("t", head, size, &trace, &error), -1);
		head[i] ^= (unsigned char)(1u << i % 8);
	}
}

/*
 * The recorded requests, in order, into the recorded 2 MiB carve-out with its default driver pool: nothing may be
 * refused, neither what the recorded kernel refused.
 */
static void replay(const char *name, size_t size)
{
	struct fixture f = fixture_make(size, 0);
	struct trace trace = {0};
	struct ist_shm *objects, extra;
	long requests = 0;

	load_recording(name, &trace);
	objects = test_calloc(trace.object_count, sizeof(*objects));
	for (uint32_t i = 0; i < trace.event_count; i++) {
		const struct trace_event *event = &trace.events[i];
		struct ist_shm *shm = &objects[event->object];

		switch (event->op) {
		case TRACE_ALLOC_CLIENT:
		case TRACE_ALLOC_KERNEL:
			requests++;
			if (!trace.objects[event->object].holds_slots)
				assert_int_equal(ist_client_pool_alloc_nozero(f.client, event->size, shm), 0);
			break;
		case TRACE_FAIL_CLIENT:
			requests++;
			if (event->size > size) /* one test asks for the impossible */
				break;
			assert_int_equal(ist_client_pool_alloc_nozero(f.client, event->size, &extra), 0);
			assert_int_equal(ist_shm_free(&extra), 0);
			break;
		case TRACE_MSG_GET:
			requests++;
			assert_int_equal(ist_driver_pool_alloc(f.driver, event->size, shm), 0);
			break;
		case TRACE_FREE:
		case TRACE_MSG_PUT:
			if (shm->view.size)
				assert_int_equal(ist_shm_free(shm), 0);
			break;
		default:
			break;
		}
	}
	for (uint32_t i = 0; i < trace.object_count; i++) {
		if (objects[i].view.size)
			assert_int_equal(ist_shm_free(&objects[i]), 0);
	}
	print_message("  %s: %ld requests, none refused\n", name, requests);
	assert_true(requests > 1000);
	test_free(objects);
	trace_release(&trace);
	fixture_drop(&f);
}

static void recorded_requests_are_all_served(void **state)
{
	(void)state;
	replay("sa_xtest_regression_static", 2 * MIB);
	replay("sb_session_static", 2 * MIB);
	replay("se_concurrent_static", 2 * MIB);
	/* The smallest client pools that best fit needs, in pages, as bench/run finds them; plus 10 % is allowed. */
	replay("sa_xtest_regression_static", 16 * KIB + 284 * 4 * KIB * 11 / 10);
	replay("sb_session_static", 16 * KIB + 275 * 4 * KIB * 11 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good_lines),
	        cmocka_unit_test(bad_lines),
	        cmocka_unit_test(files_that_are_none),
	        cmocka_unit_test(damaged_recordings),
	        cmocka_unit_test(recorded_requests_are_all_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
