/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* No sequences: every operation finds nothing, and the slow path uses the fallback (arch_generic.h). */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define PERCPU_HAVE_RSEQ 0

/* What this thread's CPU is called in the table. */
static inline int64_t arch_number(void)
{
	const char *at = (const char *)__builtin_thread_pointer() + percpu_area.cpu;

	return __atomic_load_n((const int32_t *)(const void *)at, __ATOMIC_RELAXED);
}

#define arch_load bytes_load
#define arch_store bytes_store
#define arch_publish bytes_publish
#define arch_load_acquire bytes_load_acquire

static inline bool arch_pop(char *const *table, size_t at, uint64_t *value, uint64_t *token)
{
	(void)table, (void)at, (void)value, (void)token;
	return false;
}

static inline bool arch_push(char *const *table, size_t at, uint32_t value)
{
	(void)table, (void)at, (void)value;
	return false;
}

static inline bool arch_retire_1(char *const *table, uint64_t token, _Atomic uint8_t *states, uint64_t place,
                                 const uint32_t *use, uint32_t base)
{
	(void)table, (void)token, (void)states, (void)place, (void)use, (void)base;
	return false;
}
#define arch_retire_2 arch_retire_1

static inline enum arch_retired arch_retire_push_1(char *const *table, uint64_t token, size_t at,
                                                   _Atomic uint8_t *states, uint64_t place,
                                                   const uint32_t *use, uint32_t base)
{
	(void)table, (void)token, (void)at, (void)states, (void)place, (void)use, (void)base;
	return ARCH_REFUSED;
}
#define arch_retire_push_2 arch_retire_push_1

static inline struct arch_done arch_retire_push_batch(char *const *table, uint64_t token, size_t at,
                                                      struct arch_batch *batch, void *const *vaddrs,
                                                      uint64_t count)
{
	(void)table, (void)token, (void)at, (void)batch, (void)vaddrs, (void)count;
	return (struct arch_done){0, 0};
}

static inline bool arch_replace(char *const *table, uint64_t token, _Atomic uint64_t *at, uint64_t expected,
                                uint64_t next)
{
	(void)table, (void)token, (void)at, (void)expected, (void)next;
	return false;
}

static inline unsigned arch_pop_batch(char *const *table, size_t at, uint32_t *values, uint64_t most)
{
	(void)table, (void)at, (void)most;
	*values = 0; /* so that no compiler takes the caller's for never written */
	return 0;
}

static inline unsigned arch_push_batch(char *const *table, size_t at, const uint32_t *values, uint64_t count)
{
	(void)table, (void)at, (void)values, (void)count;
	return 0;
}

static inline bool arch_plug(char *const *table, uint64_t cpu, int64_t distance,
                             const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	(void)table, (void)cpu, (void)distance, (void)drainers, (void)ready;
	return false;
}

#endif
