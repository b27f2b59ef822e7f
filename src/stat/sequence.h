/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A snapshot that one process writes and others read without a lock: a sequence number around words.
 *
 *   [stat.Q1] Who sees a word of a round sees the odd number that the round began with. The writer stores the odd number first, and
 *       each word with release; the reader loads each word with acquire and the number after them. So if any word that was
 *       copied is of a later round than the first number, the second number is another one.
 *   [stat.Q2] Who sees an even number sees all words of its round: it is stored with release behind them, and loaded with acquire
 *       before them.
 * Together: an even number that is the same before and behind means words of that very round (linearization point: the first
 * load). On ARM64 these are STLR and LDAR; a release or acquire at the number alone would let the processor move the words past
 * the odd store, or past the second load. No fences, which ThreadSanitizer does not know.
 *
 * ABA: the number would have to grow by 2^64 during one copy. A writer that stops, or is killed, in between leaves an odd number:
 * readers give up after STAT_TRIES and say so. Readers write nothing, so any number of them hold nobody up. Writers take turns
 * under a mutex of theirs.
 */
#ifndef STAT_SEQUENCE_H
#define STAT_SEQUENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAT_TRIES 1000u

/* Bytes are a multiple of 8, and everything is aligned to 8. */
static inline void stat_publish(uint64_t *sequence, uint64_t *to, const uint64_t *from, size_t bytes)
{
	_Atomic uint64_t *number = (_Atomic uint64_t *)(void *)sequence,
	                 *words = (_Atomic uint64_t *)(void *)to;
	/* Relaxed: nobody else writes it. */
	uint64_t before = atomic_load_explicit(number, memory_order_relaxed);

	atomic_store_explicit(number, before + 1,
	                      memory_order_relaxed); /* [stat.Q1] by the release of each word */
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		atomic_store_explicit(&words[i], from[i], memory_order_release); /* [stat.Q1] */
	atomic_store_explicit(number, before + 2, memory_order_release); /* [stat.Q2] */
}

/* One try: false if `to` is no whole snapshot. */
static inline bool stat_copy(const uint64_t *sequence, uint64_t *to, const uint64_t *from, size_t bytes)
{
	const _Atomic uint64_t *number = (const _Atomic uint64_t *)(const void *)sequence,
	                       *words = (const _Atomic uint64_t *)(const void *)from;
	uint64_t before = atomic_load_explicit(number, memory_order_acquire); /* [stat.Q2] */

	if (before % 2)
		return false;
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		to[i] = atomic_load_explicit(&words[i], memory_order_acquire); /* [stat.Q1] */
	/* Relaxed: behind the words by their acquire [stat.Q1]. */
	return atomic_load_explicit(number, memory_order_relaxed) == before;
}

#endif
