/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The binary format, two to three bytes an event; traces/README.md describes it byte by byte. Reader and writer share
 * one small state machine, so that what one leaves out the other knows.
 */
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "isttrac1"
#define MAGIC_SIZE 8u
#define TITLE_MAX 1024u
#define CHECKSUM_SIZE 4u

#define TAG_OP 0x1fu
#define TAG_SAME_TASK 0x20u /* CPU and thread of the event before */
#define TAG_SAME_OBJECT 0x40u /* object of the event before that had one */
#define TAG_REPEAT 0x80u /* all other fields as in the last event of this operation */

_Static_assert(TRACE_OP_COUNT <= TAG_OP + 1, "an operation must fit the tag");

#define FIELD_SIZE 1u
#define FIELD_OFFSET 2u
#define FIELD_ALIGN 4u
#define FIELD_SLOT 8u

static const uint8_t op_fields[TRACE_OP_COUNT] = {
        [TRACE_ALLOC_DRIVER] = FIELD_SIZE | FIELD_ALIGN,
        [TRACE_ALLOC_CLIENT] = FIELD_SIZE | FIELD_ALIGN,
        [TRACE_ALLOC_KERNEL] = FIELD_SIZE | FIELD_ALIGN,
        [TRACE_REGISTER] = FIELD_SIZE | FIELD_OFFSET,
        [TRACE_MSG_GET] = FIELD_SIZE | FIELD_OFFSET | FIELD_SLOT,
        [TRACE_LOOKUP_PA] = FIELD_OFFSET,
        [TRACE_LOOKUP_VA] = FIELD_OFFSET,
        [TRACE_LOOKUP_REF] = FIELD_SIZE | FIELD_OFFSET,
        [TRACE_PASS] = FIELD_SIZE | FIELD_OFFSET,
        [TRACE_RPC_SUPP_ALLOC] = FIELD_SIZE,
        [TRACE_FAIL_CLIENT] = FIELD_SIZE | FIELD_ALIGN,
        [TRACE_FAIL_DRIVER] = FIELD_SIZE | FIELD_ALIGN,
        [TRACE_FAIL_KERNEL] = FIELD_SIZE | FIELD_ALIGN,
        [TRACE_FAIL_REGISTER] = FIELD_SIZE,
};

/* What both sides remember of the events before. */
struct coder {
	struct trace_event last[TRACE_OP_COUNT]; /* the last of each operation */
	uint32_t object, thread;
	uint16_t cpu;
};

static void coder_init(struct coder *coder)
{
	unsigned int op;

	memset(coder, 0, sizeof(*coder));
	for (op = 0; op < TRACE_OP_COUNT; op++)
		coder->last[op].page = TRACE_NO_PAGE;
}

static void coder_note(struct coder *coder, const struct trace_event *event)
{
	coder->last[event->op] = *event;
	coder->cpu = event->cpu;
	coder->thread = event->thread;
	if (trace_op_class(event->op) != TRACE_NO_OBJECT)
		coder->object = event->object;
}

/* FNV-1a: enough to tell a damaged file from a whole one. */
static uint32_t checksum(uint32_t sum, const unsigned char *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		sum = (sum ^ data[i]) * UINT32_C(16777619);
	return sum;
}

#define CHECKSUM_START UINT32_C(2166136261)

/* ---- reading ---- */

struct reader {
	const unsigned char *at, *end;
	const char *problem; /* the first one; null while all is well */
};

static uint64_t get_byte(struct reader *reader)
{
	if (reader->at == reader->end) {
		if (!reader->problem)
			reader->problem = "truncated";
		return 0;
	}
	return *reader->at++;
}

/* LEB128, at most ten bytes, at most `max`. After a problem it returns 0. */
static uint64_t get_number(struct reader *reader, uint64_t max)
{
	uint64_t value = 0, byte;
	unsigned int shift = 0;

	do {
		byte = get_byte(reader);
		if (shift == 63 && byte > 1) {
			if (!reader->problem)
				reader->problem = "number of more than 64 bits";
			return 0;
		}
		value |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (value > max && !reader->problem)
		reader->problem = "number out of range";
	return reader->problem ? 0 : value;
}

static void get_fields(struct reader *reader, const struct coder *coder, struct trace_event *event,
                       bool repeat)
{
	unsigned int fields = op_fields[event->op];
	const struct trace_event *last = &coder->last[event->op];

	if (repeat) {
		event->size = last->size;
		event->offset = last->offset;
		event->page = last->page;
		event->align_log2 = last->align_log2;
		event->params = last->params;
		return;
	}
	if (fields & FIELD_SIZE)
		event->size = get_number(reader, UINT64_MAX);
	if (fields & FIELD_OFFSET)
		event->offset = get_number(reader, UINT64_MAX);
	if (fields & FIELD_ALIGN)
		event->align_log2 = (uint8_t)get_number(reader, 30);
	if (fields & FIELD_SLOT) {
		/* 0 means no page, so the number wraps to TRACE_NO_PAGE by itself. */
		event->page = (uint32_t)get_number(reader, TRACE_OBJECT_MAX) - 1;
		event->params = (uint8_t)get_number(reader, 255);
	}
}

static void get_event(struct reader *reader, struct coder *coder, const struct trace *trace,
                      struct trace_event *event)
{
	unsigned int tag = (unsigned int)get_byte(reader);
	enum trace_class class;

	*event = (struct trace_event){.page = TRACE_NO_PAGE, .op = (uint8_t)(tag & TAG_OP)};
	if (event->op >= TRACE_OP_COUNT) {
		reader->problem = "unknown operation";
		return;
	}
	class = trace_op_class(event->op);
	event->cpu = tag & TAG_SAME_TASK ? coder->cpu : (uint16_t)get_number(reader, TRACE_CPU_MAX - 1);
	event->thread = tag & TAG_SAME_TASK ? coder->thread : (uint32_t)get_number(reader, UINT32_MAX);
	if (class == TRACE_BIRTH)
		event->object = trace->object_count;
	else if (class != TRACE_NO_OBJECT && (tag & TAG_SAME_OBJECT))
		event->object = coder->object;
	else if (class != TRACE_NO_OBJECT) /* wraps when it names no object; trace_append refuses that */
		event->object = trace->object_count - 1 - (uint32_t)get_number(reader, TRACE_OBJECT_MAX);
	get_fields(reader, coder, event, tag & TAG_REPEAT);
	if (!reader->problem)
		coder_note(coder, event);
}

bool trace_binary_detect(const unsigned char *data, size_t size)
{
	return size >= MAGIC_SIZE && !memcmp(data, MAGIC, MAGIC_SIZE);
}

int trace_binary_read(const char *name, const unsigned char *data, size_t size, struct trace *trace,
                      struct trace_error *error)
{
	struct reader reader = {.at = data + MAGIC_SIZE};
	uint64_t events, title, i = 0;
	const unsigned char *sum;
	struct coder coder;

	*trace = (struct trace){0};
	if (size < MAGIC_SIZE + CHECKSUM_SIZE || !trace_binary_detect(data, size)) {
		trace_error_set(error, "%s: not a binary trace, or truncated", name);
		return -1;
	}
	sum = reader.end = data + size - CHECKSUM_SIZE;
	coder_init(&coder);
	title = get_number(&reader, TITLE_MAX);
	if (title > (uint64_t)(reader.end - reader.at))
		reader.problem = "truncated";
	else
		reader.at += title;
	events = get_number(&reader, TRACE_EVENT_MAX);
	if (!reader.problem && events == 0)
		reader.problem = "no event in it";
	while (!reader.problem && i < events) {
		struct trace_event event;

		get_event(&reader, &coder, trace, &event);
		if (!reader.problem)
			reader.problem = trace_append(trace, &event);
		i += !reader.problem;
	}
	if (!reader.problem && reader.at != reader.end)
		reader.problem = "bytes behind the last event";
	if (!reader.problem && checksum(CHECKSUM_START, data, size - CHECKSUM_SIZE) !=
	                               ((uint32_t)sum[0] | (uint32_t)sum[1] << 8 | (uint32_t)sum[2] << 16 |
	                                (uint32_t)sum[3] << 24))
		reader.problem = "damaged: the checksum does not fit";
	if (!reader.problem)
		return 0;
	trace_error_set(error, "%s: event %llu, byte %zu: %s", name, (unsigned long long)i,
	                (size_t)(reader.at - data), reader.problem);
	trace_release(trace);
	return -1;
}

/* ---- writing ---- */

struct writer {
	FILE *file;
	uint32_t sum;
	bool failed;
};

static void put_bytes(struct writer *writer, const void *data, size_t size)
{
	writer->sum = checksum(writer->sum, data, size);
	if (fwrite(data, 1, size, writer->file) != size)
		writer->failed = true;
}

static void put_number(struct writer *writer, uint64_t value)
{
	unsigned char bytes[10];
	size_t count = 0;

	do {
		bytes[count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	put_bytes(writer, bytes, count);
}

static bool repeats(const struct coder *coder, const struct trace_event *event)
{
	unsigned int fields = op_fields[event->op];
	const struct trace_event *last = &coder->last[event->op];

	return (!(fields & FIELD_SIZE) || event->size == last->size) &&
	       (!(fields & FIELD_OFFSET) || event->offset == last->offset) &&
	       (!(fields & FIELD_ALIGN) || event->align_log2 == last->align_log2) &&
	       (!(fields & FIELD_SLOT) || (event->page == last->page && event->params == last->params));
}

static void put_event(struct writer *writer, struct coder *coder, uint32_t born,
                      const struct trace_event *event)
{
	unsigned int fields = op_fields[event->op];
	enum trace_class class = trace_op_class(event->op);
	bool same_task = event->cpu == coder->cpu && event->thread == coder->thread;
	bool refers = class == TRACE_USE || class == TRACE_END;
	bool same_object = refers && event->object == coder->object;
	bool repeat = repeats(coder, event);
	unsigned char tag = (unsigned char)(event->op | (same_task ? TAG_SAME_TASK : 0) |
	                                    (same_object ? TAG_SAME_OBJECT : 0) | (repeat ? TAG_REPEAT : 0));

	put_bytes(writer, &tag, 1);
	if (!same_task) {
		put_number(writer, event->cpu);
		put_number(writer, event->thread);
	}
	if (refers && !same_object)
		put_number(writer, born - 1 - event->object);
	if (!repeat && (fields & FIELD_SIZE))
		put_number(writer, event->size);
	if (!repeat && (fields & FIELD_OFFSET))
		put_number(writer, event->offset);
	if (!repeat && (fields & FIELD_ALIGN))
		put_number(writer, event->align_log2);
	if (!repeat && (fields & FIELD_SLOT)) {
		put_number(writer, event->page == TRACE_NO_PAGE ? 0 : (uint64_t)event->page + 1);
		put_number(writer, event->params);
	}
	coder_note(coder, event);
}

int trace_binary_write(const char *path, const char *title, const struct trace *trace,
                       struct trace_error *error)
{
	struct writer writer = {.file = fopen(path, "wbe"), .sum = CHECKSUM_START};
	size_t length = strnlen(title, TITLE_MAX);
	unsigned char sum[CHECKSUM_SIZE];
	struct coder coder;
	uint32_t i, born = 0;

	if (!writer.file) {
		trace_error_set(error, "%s: cannot write: %s", path, strerror(errno));
		return -1;
	}
	coder_init(&coder);
	put_bytes(&writer, MAGIC, MAGIC_SIZE);
	put_number(&writer, length);
	put_bytes(&writer, title, length);
	put_number(&writer, trace->event_count);
	for (i = 0; i < trace->event_count; i++) {
		put_event(&writer, &coder, born, &trace->events[i]);
		born += trace_op_class(trace->events[i].op) == TRACE_BIRTH;
	}
	for (i = 0; i < CHECKSUM_SIZE; i++)
		sum[i] = (unsigned char)(writer.sum >> (8 * i));
	put_bytes(&writer, sum, sizeof(sum));
	if (fclose(writer.file) || writer.failed) {
		trace_error_set(error, "%s: cannot write: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}
