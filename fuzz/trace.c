/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Target: the readers of recorded traffic. What they return must keep the promises of trace.h. */
#include <stdlib.h>

#include "input.h"
#include "support/model.h"
#include "trace.h"

static void check(const struct trace *trace)
{
	bool *alive = calloc(trace->object_count + 1, 1);
	uint32_t born = 0;

	MODEL_REQUIRE(alive);
	for (uint32_t i = 0; i < trace->event_count; i++) {
		const struct trace_event *event = &trace->events[i];

		switch (trace_op_class((enum trace_op)event->op)) {
		case TRACE_BIRTH:
			MODEL_REQUIRE(event->object == born && born < trace->object_count);
			MODEL_REQUIRE(event->size >= 1 && event->size <= TRACE_SIZE_MAX);
			alive[born++] = true;
			break;
		case TRACE_END:
			MODEL_REQUIRE(event->object < born && alive[event->object]);
			alive[event->object] = false;
			break;
		case TRACE_USE:
			MODEL_REQUIRE(event->object < born && alive[event->object]);
			break;
		default:
			break;
		}
	}
	MODEL_REQUIRE(born == trace->object_count);
	free(alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_error error = {""};

	for (int binary = 0; binary < 2; binary++) {
		struct trace trace = {0};
		int result = binary ? trace_binary_read("input", data, size, &trace, &error)
		                    : trace_text_read("input", data, size, &trace, &error);

		if (result == 0) {
			check(&trace);
			trace_release(&trace);
		} else {
			MODEL_REQUIRE(error.text[0] != 0);
		}
	}
	return 0;
}
