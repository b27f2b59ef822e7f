/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The state bytes of an allocation of n granules: its first n granules' bytes, up to four of them.
 *
 *   0          {live 1, use 4, slack 3}: slack is how many bytes of the last granule that was asked for were not
 *   1  n >= 2  its class + 1, or STATE_RUN for a run of another length, which the marks give
 *   2  n >= 3  the higher 7 bits of the use count
 *   3  n >= 4  how many granules more than asked for its class gave it
 *
 * Only byte 0 is ever live, so an address inside an allocation is told by its byte alone. When an allocation is freed
 * its bytes stay, but for live and the use count, which is one more: that tells a handle from an older one of the
 * same place. A place that was inside another allocation meanwhile may have bytes of that.
 *
 * A handle's tag has the four bytes as they were when it was handed out (0 where there is none), and a check of its
 * place and size, so that one that was changed is told from a stale one: {check 32, byte 3, byte 2, byte 1, byte 0}.
 *
 * Only the owner of a run (slab.h [S1]) makes its byte 0 live; only the compare-exchange in driver_pool_free makes it
 * not live, and it is the linearization point that decides which of several frees is obeyed.
 */
#ifndef DRIVER_STATE_H
#define DRIVER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

#define STATE_LIVE 0x80u
#define STATE_USE_SHIFT 3
#define STATE_USE_LOW 0x78u /* of byte 0, where it is */
#define STATE_USE_HIGH 0x7fu /* of byte 2 */
#define STATE_SLACK 0x07u
#define STATE_RUN 0x7fu
#define STATE_BYTES 4u

/* Byte 0 of an allocation whose granule had `before`. */
static inline uint8_t state_live(uint8_t before, size_t slack)
{
	return (uint8_t)(STATE_LIVE | (before & STATE_USE_LOW) | slack);
}

/* What it becomes when freed: the next use. */
static inline uint8_t state_freed(uint8_t live)
{
	return (uint8_t)((live & STATE_USE_LOW) + (1u << STATE_USE_SHIFT)) & STATE_USE_LOW;
}

static inline uint8_t state_byte(uint64_t tag, unsigned which)
{
	return (uint8_t)(tag >> 8 * which);
}

static inline uint64_t state_tag(uint8_t first, size_t class, size_t use_high, size_t extra, uint32_t check)
{
	return first | (uint64_t) class << 8 | (uint64_t)use_high << 16 | (uint64_t)extra << 24 |
	       (uint64_t)check << 32;
}

/* Whether a handle's place and size are those that its tag was made for. */
static inline bool state_agrees(uint64_t tag, size_t start, size_t size)
{
	return (uint32_t)(tag >> 32) == pool_tag_check(start, size);
}

#endif
