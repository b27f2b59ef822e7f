/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Words in memory that the other side writes at any time: each is loaded or stored exactly once. Relaxed: the call to the
 * other side orders, and of a peer that does not wait for it nothing is believed anyway.
 */
#ifndef TEE_WORDS_H
#define TEE_WORDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* `bytes` is a multiple of 4, the shared side is aligned to 4. */
static inline void words_in(void *to, const void *shared, size_t bytes)
{
	const _Atomic uint32_t *from = shared;
	uint32_t *word = to;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		word[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
}

static inline void words_out(void *shared, const void *from, size_t bytes)
{
	_Atomic uint32_t *to = shared;
	const uint32_t *word = from;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		atomic_store_explicit(&to[i], word[i], memory_order_relaxed);
}

#endif
