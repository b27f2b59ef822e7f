/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* usage: count_trace FILE: reads a trace as the replay does, and says how many events there are of each kind. */
#include "trace.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	unsigned counts[TRACE_OP_COUNT] = {0};
	struct trace trace = {0};
	struct trace_error error;

	if (argc != 2 || trace_load(argv[1], &trace, &error)) {
		fprintf(stderr, "%s\n", argc == 2 ? error.text : "one file");
		return 1;
	}
	for (uint32_t i = 0; i < trace.event_count; i++)
		counts[trace.events[i].op]++;
	for (unsigned op = 0; op < TRACE_OP_COUNT; op++) {
		if (counts[op])
			printf("%s %u\n", trace_op_name((enum trace_op)op), counts[op]);
	}
	trace_release(&trace);
	return 0;
}
