/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * trace-convert: turn a text trace into the compact binary format, and check that it reads back as it was.
 *
 *   trace-convert IN OUT [TITLE]
 */
#include "replay/trace.h"

#include <stdio.h>
#include <string.h>

/* The binary format leaves out the size of an event that has none of its own. */
static bool same(const struct trace_event *a, const struct trace_event *b)
{
	bool sized = trace_op_class(a->op) == TRACE_BIRTH || trace_op_class(a->op) == TRACE_NO_OBJECT ||
	             a->op == TRACE_PASS || a->op == TRACE_LOOKUP_REF;

	return a->op == b->op && a->cpu == b->cpu && a->thread == b->thread && a->object == b->object &&
	       a->offset == b->offset && a->page == b->page && a->params == b->params &&
	       a->align_log2 == b->align_log2 && (!sized || a->size == b->size);
}

static int read_back(const char *path, const struct trace *wanted, struct trace_error *error)
{
	struct trace trace;
	uint32_t i;

	if (trace_load(path, &trace, error))
		return -1;
	for (i = 0; i < wanted->event_count; i++)
		if (i >= trace.event_count || !same(&trace.events[i], &wanted->events[i]))
			break;
	if (i < wanted->event_count || trace.event_count != wanted->event_count) {
		trace_error_set(error, "%s: event %u does not read back as it was written", path, i);
		trace_release(&trace);
		return -1;
	}
	trace_release(&trace);
	return 0;
}

int main(int argc, char **argv)
{
	struct trace_error error;
	struct trace trace;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: trace-convert IN OUT [TITLE]\n");
		return 2;
	}
	if (trace_load(argv[1], &trace, &error) ||
	    trace_binary_write(argv[2], argc > 3 ? argv[3] : "", &trace, &error) ||
	    read_back(argv[2], &trace, &error)) {
		fprintf(stderr, "trace-convert: %s\n", error.text);
		return 1;
	}
	printf("%s: %u events, %u objects\n", argv[2], trace.event_count, trace.object_count);
	trace_release(&trace);
	return 0;
}
