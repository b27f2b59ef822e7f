/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* No sequences: every operation finds nothing, and the slow path uses the twin (arch_generic.h). */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PERCPU_HAVE_RSEQ 0

static inline bool arch_pop(const struct percpu_thread_area *area, char *table, uint64_t at, uint32_t *value)
{
	(void)area, (void)table, (void)at, (void)value;
	return false;
}

static inline bool arch_push(const struct percpu_thread_area *area, char *table, uint64_t at, uint32_t value)
{
	(void)area, (void)table, (void)at, (void)value;
	return false;
}

static inline unsigned arch_pop_batch(const struct percpu_thread_area *area, char *table, uint64_t at,
                                      uint32_t *values, uint64_t most)
{
	(void)area, (void)table, (void)at, (void)values, (void)most;
	return 0;
}

static inline unsigned arch_push_batch(const struct percpu_thread_area *area, char *table, uint64_t at,
                                       const uint32_t *values, uint64_t count)
{
	(void)area, (void)table, (void)at, (void)values, (void)count;
	return 0;
}

static inline bool arch_plug(const struct percpu_thread_area *area, char *table, uint64_t cpu,
                             int64_t distance, const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	(void)area, (void)table, (void)cpu, (void)distance, (void)drainers, (void)ready;
	return false;
}

#endif
