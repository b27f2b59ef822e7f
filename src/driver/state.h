/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The state bytes of an allocation of n granules.
 *
 *   first      {live 1, use 4, slack 3}: slack is how many bytes of the last granule that was asked for were not
 *   second     n >= 2: the higher 7 bits of the use count
 *   third      n > STATE_EXACT: how many granules more than asked for its class gave it
 *
 * Only a first byte is ever live, so an address inside an allocation is told by its byte alone. When an allocation is
 * freed its bytes stay, but for live and the use count, which is one more: the use count tells a handle from an
 * older one of the same place. Bytes of a place that was inside another allocation meanwhile hold whatever that left.
 *
 * Only the owner of a run (slab.h [S1]) makes its first byte live; only the compare-exchange in driver_pool_free makes
 * it not live, and it is the linearization point that decides which of several frees is obeyed.
 */
#ifndef DRIVER_STATE_H
#define DRIVER_STATE_H

#include <stddef.h>
#include <stdint.h>

#define STATE_LIVE 0x80u
#define STATE_USE_SHIFT 3
#define STATE_USE_LOW 0x0fu
#define STATE_USE_HIGH 0x7fu
#define STATE_USE_LOW_BITS 4
#define STATE_USE_BITS 11
#define STATE_SLACK 0x07u
#define STATE_EXACT 16u /* classes up to here give exactly what was asked for */

static inline uint8_t state_live(uint8_t before, size_t slack)
{
	return (uint8_t)(STATE_LIVE | (before & STATE_USE_LOW << STATE_USE_SHIFT) | slack);
}

static inline uint64_t state_use_low(uint8_t first)
{
	return first >> STATE_USE_SHIFT & STATE_USE_LOW;
}

/* The first byte of an allocation of this use count and slack. */
static inline uint8_t state_expected(uint64_t use, size_t slack)
{
	return (uint8_t)(STATE_LIVE | (use & STATE_USE_LOW) << STATE_USE_SHIFT | slack);
}

/* The tag of a handle: the use count, and the size a second time, so that a change of view.size shows. */
static inline uint64_t state_tag(uint64_t use, size_t size)
{
	return use | (uint64_t)size << STATE_USE_BITS;
}

static inline uint64_t state_tag_use(uint64_t tag)
{
	return tag & ((UINT64_C(1) << STATE_USE_BITS) - 1);
}

/* What it becomes when freed. */
static inline uint8_t state_freed(uint64_t use)
{
	return (uint8_t)(((use + 1) & STATE_USE_LOW) << STATE_USE_SHIFT);
}

#endif
