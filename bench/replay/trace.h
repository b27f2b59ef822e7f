/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Recorded shared-memory traffic, as events in the order in which they happened.
 *
 * Guarantees of every trace that a reader returns, so that nobody behind it checks again:
 *  A. An object is born by exactly one event, used only after it and never after the one event that ends it, and
 *     ended by an event that fits its birth (free: alloc_*, unregister: register, msg_put: msg_get).
 *  B. Objects are numbered 0, 1, 2 ... in the order of their births.
 *  C. Births have a size from 1 to TRACE_SIZE_MAX bytes; only refused requests may name more.
 *  D. A message slot that names the page it lies in lies wholly inside it.
 * The readers accept any bytes: they return a trace or a reason, and touch nothing outside the bytes given.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of the binary format: never change them, add at the end. */
enum trace_op {
	TRACE_ALLOC_DRIVER,
	TRACE_ALLOC_CLIENT,
	TRACE_ALLOC_KERNEL,
	TRACE_REGISTER,
	TRACE_MSG_GET,
	TRACE_FREE,
	TRACE_UNREGISTER,
	TRACE_MSG_PUT,
	TRACE_LOOKUP_PA,
	TRACE_LOOKUP_VA,
	TRACE_LOOKUP_ID,
	TRACE_LOOKUP_REF,
	TRACE_PASS,
	TRACE_CALL,
	TRACE_RPC_SUPP_FREE,
	TRACE_RPC_SUPP_ALLOC,
	TRACE_FAIL_CLIENT,
	TRACE_FAIL_DRIVER,
	TRACE_FAIL_KERNEL,
	TRACE_FAIL_REGISTER,
	TRACE_OP_COUNT,
};

/* What an event does to the object that it names. */
enum trace_class {
	TRACE_BIRTH,
	TRACE_END,
	TRACE_USE,
	TRACE_NO_OBJECT,
};

#define TRACE_NO_PAGE UINT32_MAX
#define TRACE_SIZE_MAX ((uint64_t)1 << 40)
#define TRACE_CPU_MAX 1024u
#define TRACE_OBJECT_MAX ((uint32_t)1 << 30)
#define TRACE_EVENT_MAX ((uint32_t)1 << 30)

struct trace_event {
	uint64_t size; /* bytes asked for, passed or refused; 0 where the operation has none */
	/* Of a lookup or a pass in its object, of a message slot in its page, of a buffer in its first page. */
	uint64_t offset;
	uint32_t object; /* 0 for an event without an object */
	uint32_t page; /* msg_get: the object that the slot lies in, or TRACE_NO_PAGE */
	uint32_t thread; /* as recorded, only its identity means something */
	uint16_t cpu;
	uint8_t align_log2; /* of a birth or a refused request, 0 where unknown */
	uint8_t params; /* msg_get: number of message parameters + 1, 0 where unknown */
	uint8_t op; /* enum trace_op */
};

struct trace_object {
	uint64_t size;
	uint8_t born_by; /* enum trace_op */
	bool ended;
	bool holds_slots; /* some message slot lies in it */
};

/* Zero-initialise before use. Owned by the caller until trace_release. */
struct trace {
	struct trace_event *events;
	struct trace_object *objects;
	uint32_t event_count, event_room;
	uint32_t object_count, object_room;
	uint32_t cpu_count; /* highest CPU seen + 1 */
};

struct trace_error {
	char text[512]; /* "FILE:LINE: reason" or "FILE: reason" */
};

void trace_error_set(struct trace_error *error, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

const char *trace_op_name(enum trace_op op);
enum trace_class trace_op_class(enum trace_op op);
/* Returns TRACE_OP_COUNT for a word of `length` bytes that is no operation. */
enum trace_op trace_op_by_name(const char *word, size_t length);

/*
 * Append one event, checked against the guarantees above. For a birth, event->object must be trace->object_count.
 * Returns null, or what is wrong with the event; then the trace is unchanged.
 */
const char *trace_append(struct trace *trace, const struct trace_event *event);

void trace_release(struct trace *trace);

/*
 * Read a trace from memory; `name` is for messages only. Returns 0, or -1 with *error set and *trace released.
 * The text reader takes the line format of traces/README.md, the binary reader what trace_binary_write wrote.
 */
int trace_text_read(const char *name, const unsigned char *data, size_t size, struct trace *trace,
                    struct trace_error *error);
int trace_binary_read(const char *name, const unsigned char *data, size_t size, struct trace *trace,
                      struct trace_error *error);
bool trace_binary_detect(const unsigned char *data, size_t size);

/* Read a file of either format, told apart by its first bytes. Returns as above. */
int trace_load(const char *path, struct trace *trace, struct trace_error *error);

/*
 * Write the binary format. `title` is one line that says what was recorded. Returns 0, or -1 with *error set; what
 * was written so far stays.
 */
int trace_binary_write(const char *path, const char *title, const struct trace *trace,
                       struct trace_error *error);

#endif
