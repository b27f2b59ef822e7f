/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * One, two or four neighbouring bytes as one little-endian number, wherever it begins. Each byte is an atomic of its
 * own, relaxed: somebody who reads while it is written may see some old and some new ones. This is the C11 fallback of
 * what arch_*.h does in one instruction (percpu/arch.h).
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdatomic.h>
#include <stdint.h>

static inline uint32_t bytes_load(const _Atomic uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)atomic_load_explicit(&at[i], memory_order_relaxed) << 8 * i;
	return value;
}

static inline void bytes_store(_Atomic uint8_t *at, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		atomic_store_explicit(&at[i], (uint8_t)(value >> 8 * i), memory_order_relaxed);
}

/* The same, and who finds the first byte with acquire finds all that was stored before, the other bytes too. */
static inline void bytes_publish(_Atomic uint8_t *at, unsigned bytes, uint32_t value)
{
	for (unsigned i = bytes - 1; i > 0; i--)
		atomic_store_explicit(&at[i], (uint8_t)(value >> 8 * i), memory_order_relaxed);
	atomic_store_explicit(at, (uint8_t)value, memory_order_release);
}

/* Loads that follow are made after it. */
static inline uint32_t bytes_load_acquire(const _Atomic uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)atomic_load_explicit(&at[i], memory_order_acquire) << 8 * i;
	return value;
}

#endif
