/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What libisthmus-trace.so leaves for isthmus-trace: files of so many records, each a chunk that one thread fills. A chunk is
 * mapped, shared: what was stored in it is in the file, however the process ends, also by SIGKILL.
 *
 * Order. Each record has a number from one counter of the process: a birth takes it after the call, an end before the call. So
 * what happens to one place, and what one thread is told by another, is in the order of the numbers: the end of an object has a
 * lower number than the next birth at its place, since the place is only given out after the free.
 *   [trace.T1] The number is stored last, with release: a record with a number is whole. A thread that stops, or dies, before that
 *        leaves a record without one, which counts for nothing.
 * Slots of a chunk are given out by an addition: a signal handler that interrupts a hook takes the next one.
 */
#ifndef TRACE_SPOOL_H
#define TRACE_SPOOL_H

#include <stdatomic.h>
#include <stdint.h>

#define SPOOL_MAGIC UINT64_C(0x316c6f6f70747369) /* the bytes "istpool1", the lowest first */
#define SPOOL_RECORDS 1023u
#define SPOOL_FOLDER "ISTHMUS_TRACE_FOLDER" /* in the environment: where chunks go */

enum spool_op {
	SPOOL_MESSAGE, /* a birth: at `place`, `size` bytes */
	SPOOL_BUFFER,
	SPOOL_REGISTER, /* place: which mapping, by its private members */
	SPOOL_FREE, /* an end: of what lies at `place` */
	SPOOL_UNREGISTER,
	SPOOL_OWNER_END, /* of all that `owner` has */
	SPOOL_NO_MESSAGE, /* refused, for want of memory */
	SPOOL_NO_BUFFER,
	SPOOL_NO_REGISTER,
	SPOOL_OPS
};

struct spool_record {
	_Atomic uint64_t number; /* 0: none [trace.T1] */
	uint64_t place, size;
	uint64_t offset; /* of the first byte in the first page, of a registration */
	uint64_t manager; /* of registrations and owners' ends */
	uint32_t owner, op; /* enum spool_op */
	uint32_t thread;
	uint16_t cpu;
	uint8_t align; /* log2; 0: unknown */
	uint8_t unused;
	uint64_t spare;
};
_Static_assert(sizeof(struct spool_record) == 64, "a cache line");

struct spool_chunk {
	uint64_t magic;
	uint64_t process; /* tells programs apart that had the same number, one after the other */
	int64_t pid;
	_Atomic uint32_t used; /* slots that were given out, or more */
	uint32_t unused;
	uint64_t spare[4];
	struct spool_record records[SPOOL_RECORDS];
};
_Static_assert(sizeof(struct spool_chunk) == 65536, "whole pages");

/* Append a record; `record` has all but its number, thread and CPU. Signal safe. */
void spool_add(const struct spool_record *record, uint64_t number);
/* The next number. */
uint64_t spool_number(void);

#endif
