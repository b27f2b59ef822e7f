/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Whether restartable sequences can be used here, and the fence that goes with them. */
#ifndef PERCPU_RSEQ_H
#define PERCPU_RSEQ_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Find out, once for the process, and fill in percpu_area. True if the C library has registered its threads with the
 * kernel, the kernel knows the fence, is none of those whose sequences are not safe, and a try of each sequence did what
 * it should. Otherwise percpu_area names a number that is always -1. *by_thread: the number is an mm_cid.
 */
bool rseq_start(void);
bool rseq_counts_threads(void);

/* This thread's number for the table, negative if it has none. */
int32_t rseq_number(void);

/* The CPU it runs on, for placement only. */
uint32_t rseq_cpu(void);

/*
 * Make every sequence of this process that is under way start again; a full barrier on every CPU that runs us. False if
 * the system refuses, which it did not at the start: rules of seccomp that came later.
 */
bool rseq_fence(void);

/* More than the highest number that a CPU of this machine can ever have. */
unsigned rseq_possible_cpus(void);

/*
 * More than any number that the kernel itself can come up with, which is not less: what it says of its machine may have been
 * changed on the way to us, as in some containers. At most 2^16.
 */
unsigned rseq_numbers(void);

#endif
