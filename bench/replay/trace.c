/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The trace as a growing list of checked events: the one place where a trace can be refused for what it says. */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum trace_class class;
} ops[TRACE_OP_COUNT] = {
        [TRACE_ALLOC_DRIVER] = {"alloc_driver", TRACE_BIRTH},
        [TRACE_ALLOC_CLIENT] = {"alloc_client", TRACE_BIRTH},
        [TRACE_ALLOC_KERNEL] = {"alloc_kernel", TRACE_BIRTH},
        [TRACE_REGISTER] = {"register", TRACE_BIRTH},
        [TRACE_MSG_GET] = {"msg_get", TRACE_BIRTH},
        [TRACE_FREE] = {"free", TRACE_END},
        [TRACE_UNREGISTER] = {"unregister", TRACE_END},
        [TRACE_MSG_PUT] = {"msg_put", TRACE_END},
        [TRACE_LOOKUP_PA] = {"lookup_pa", TRACE_USE},
        [TRACE_LOOKUP_VA] = {"lookup_va", TRACE_USE},
        [TRACE_LOOKUP_ID] = {"lookup_id", TRACE_USE},
        [TRACE_LOOKUP_REF] = {"lookup_ref", TRACE_USE},
        [TRACE_PASS] = {"pass", TRACE_USE},
        [TRACE_CALL] = {"call", TRACE_USE},
        [TRACE_RPC_SUPP_FREE] = {"rpc_supp_free", TRACE_USE},
        [TRACE_RPC_SUPP_ALLOC] = {"rpc_supp_alloc", TRACE_NO_OBJECT},
        [TRACE_FAIL_CLIENT] = {"fail_client", TRACE_NO_OBJECT},
        [TRACE_FAIL_DRIVER] = {"fail_driver", TRACE_NO_OBJECT},
        [TRACE_FAIL_KERNEL] = {"fail_kernel", TRACE_NO_OBJECT},
        [TRACE_FAIL_REGISTER] = {"fail_register", TRACE_NO_OBJECT},
};

void trace_error_set(struct trace_error *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
}

const char *trace_op_name(enum trace_op op)
{
	return ops[op].name;
}

enum trace_class trace_op_class(enum trace_op op)
{
	return ops[op].class;
}

enum trace_op trace_op_by_name(const char *word, size_t length)
{
	unsigned int op;

	for (op = 0; op < TRACE_OP_COUNT; op++)
		if (strlen(ops[op].name) == length && !memcmp(ops[op].name, word, length))
			return op;
	return TRACE_OP_COUNT;
}

/* Room for one more element; doubles, so that n appends cost O(n). */
static bool grow(void **array, uint32_t count, uint32_t *room, size_t element)
{
	uint32_t wanted = *room ? *room * 2 : 1024;
	void *moved;

	if (count < *room)
		return true;
	moved = realloc(*array, wanted * element);
	if (!moved)
		return false;
	*array = moved;
	*room = wanted;
	return true;
}

static const char *check_birth(const struct trace *trace, const struct trace_event *event)
{
	const struct trace_object *page;

	if (event->object != trace->object_count)
		return "objects must be numbered in the order of their births";
	if (trace->object_count == TRACE_OBJECT_MAX)
		return "too many objects";
	if (event->size == 0)
		return "an object of 0 bytes";
	if (event->size > TRACE_SIZE_MAX)
		return "an object of more than 2^40 bytes";
	if (event->op != TRACE_MSG_GET || event->page == TRACE_NO_PAGE)
		return NULL;
	if (event->page >= trace->object_count)
		return "a message slot in an object that was never born";
	page = &trace->objects[event->page];
	if (page->ended)
		return "a message slot in an object that has ended";
	if (page->born_by != TRACE_ALLOC_DRIVER && page->born_by != TRACE_ALLOC_KERNEL)
		return "a message slot in an object that cannot hold one";
	if (event->size > page->size || event->offset > page->size - event->size)
		return "a message slot that does not lie inside its page";
	return NULL;
}

static bool end_fits(enum trace_op end, enum trace_op birth)
{
	switch (end) {
	case TRACE_FREE:
		return birth == TRACE_ALLOC_DRIVER || birth == TRACE_ALLOC_CLIENT ||
		       birth == TRACE_ALLOC_KERNEL;
	case TRACE_UNREGISTER:
		return birth == TRACE_REGISTER;
	case TRACE_MSG_PUT:
		return birth == TRACE_MSG_GET;
	default:
		return true;
	}
}

static const char *check_living(const struct trace *trace, const struct trace_event *event)
{
	const struct trace_object *object;

	if (event->object >= trace->object_count)
		return "the object was never born";
	object = &trace->objects[event->object];
	if (object->ended)
		return ops[event->op].class == TRACE_END ? "the object has already ended"
		                                         : "use of an object that has ended";
	if (!end_fits(event->op, object->born_by))
		return "the object was not born by an operation that this one ends";
	return NULL;
}

const char *trace_append(struct trace *trace, const struct trace_event *event)
{
	enum trace_class class;
	const char *reason = NULL;

	if (event->op >= TRACE_OP_COUNT)
		return "unknown operation";
	if (event->cpu >= TRACE_CPU_MAX)
		return "CPU number above 1023";
	if (event->align_log2 > 30)
		return "alignment above 2^30";
	if (trace->event_count == TRACE_EVENT_MAX)
		return "too many events";
	class = ops[event->op].class;
	if (class == TRACE_BIRTH)
		reason = check_birth(trace, event);
	else if (class != TRACE_NO_OBJECT)
		reason = check_living(trace, event);
	if (reason)
		return reason;

	if (!grow((void **)&trace->events, trace->event_count, &trace->event_room, sizeof(*trace->events)))
		return "out of memory";
	if (class == TRACE_BIRTH && !grow((void **)&trace->objects, trace->object_count, &trace->object_room,
	                                  sizeof(*trace->objects)))
		return "out of memory";

	if (class == TRACE_BIRTH) {
		trace->objects[trace->object_count++] =
		        (struct trace_object){.size = event->size, .born_by = event->op};
		if (event->op == TRACE_MSG_GET && event->page != TRACE_NO_PAGE)
			trace->objects[event->page].holds_slots = true;
	} else if (class == TRACE_END) {
		trace->objects[event->object].ended = true;
	}
	if (event->cpu >= trace->cpu_count)
		trace->cpu_count = event->cpu + 1u;
	trace->events[trace->event_count++] = *event;
	return NULL;
}

void trace_release(struct trace *trace)
{
	free(trace->events);
	free(trace->objects);
	*trace = (struct trace){0};
}
