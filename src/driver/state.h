/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The state of an allocation, in the state bytes of its first granules, up to four: a number, and what is behind it.
 * Which, is the form (members of a byte from its highest bit down, the lowest byte last):
 *
 *   bytes asked   number                                                                        behind it
 *   1 to 8        {live: 1, 1: 1, size - 1: 3, generation: 3}
 *   9 to 16       {0: 2, size - 9: 3, generation: 3} {live: 1, 0: 1, generation: 6}
 *   17 to 24      {0: 1, 2: 2, generation: 5} {live: 1, 0: 1, generation: 6}                    {0: 1, bare: 1, size - 17: 6}
 *   more          {0: 1, 3: 2, generation: 5} {live: 1, 0: 1, generation: 6}                    {0: 1, run: 1, bare: 1, x: 5} {0: 1, x: 7}
 *
 * x is the lowest 12 bits of size - 1; `run` says that the run is not as long as its class, but as long as the marks say
 * (driver_pool.h); `bare` that there is no handle, only a pointer (bulk.h). Then four more bytes may follow. The highest bit of a byte is set only where an allocation lives that starts there; so whatever lies
 * inside of one, or was left behind, is not live. No state of one form is one of another.
 *
 * When an allocation is freed it is not live any more; all else stays. The next one at the place has the next generation, which
 * tells its handle from older ones. A place that was inside another allocation meanwhile has whatever that left there.
 *
 * A handle has the generation. With its size that makes a state, and the handle is obeyed if that is what is there: so one
 * that was freed, whose place was used again, or whose size was changed is refused. Where the allocation starts is in
 * the handle once more, so that a changed address is told as well.
 *
 * What is behind the number of a live allocation is what driver_begin_life wrote, as long as it lives. So it may be read before
 * the number: if that then tells of the handle's life, it was of this life. It is written before the number: who finds the
 * number without having been given a handle (bulk.h) finds what belongs to it.
 *
 * Only the owner of a run (slab.h [slab.S1]) makes its state live. What makes it not live, in driver_pool_free, is the
 * linearization point that decides which of several frees is obeyed: a store of percpu_retire or percpu_retire_push on the CPU
 * that gave out the allocation's token, else a compare-exchange of the first byte (percpu/token.h says why these two never meet).
 */
#ifndef DRIVER_STATE_H
#define DRIVER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "percpu/percpu.h"

#define STATE_LIVE PERCPU_LIVE
#define STATE_RUN (UINT32_C(1) << 30)
#define STATE_BYTES_MOST 8u /* that any state takes */
#define STATE_SIZES 4096u /* a state without STATE_RUN says sizes up to this */
#define STATE_LONG_FROM 25u /* bytes asked */

/* By how many state bytes they take. */
enum state_form {
	STATE_TINY = 1,
	STATE_SHORT = 2,
	STATE_MIDDLE = 3,
	STATE_LONG = 4,
};

/* How many of them the number takes. */
static inline unsigned state_width(enum state_form form)
{
	return form == STATE_TINY ? 1 : 2;
}

static inline enum state_form state_form(size_t size)
{
	return size >= STATE_LONG_FROM ? STATE_LONG
	       : size > 16             ? STATE_MIDDLE
	       : size > 8              ? STATE_SHORT
	                               : STATE_TINY;
}

static inline __attribute__((always_inline)) uint32_t state_generation(enum state_form form, uint32_t number)
{
	return number & (form == STATE_TINY ? 0x07 : form == STATE_SHORT ? 0x073f : 0x1f3f);
}

/* The generation after that in a number: the carry passes through the bits that are not the generation's. */
static inline __attribute__((always_inline)) uint32_t state_next_generation(enum state_form form,
                                                                            uint32_t number)
{
	return state_generation(form, (form == STATE_TINY ? number : number | 0xc0) + 1);
}

/* The number of a live allocation. */
static inline __attribute__((always_inline)) uint32_t state_number(enum state_form form, uint32_t generation,
                                                                   size_t size)
{
	switch (form) {
	case STATE_TINY:
		return generation + ((uint32_t)(size - 1) << 3) + 0x40 + STATE_LIVE;
	case STATE_SHORT:
		return generation + ((uint32_t)(size - 9) << 11) + STATE_LIVE;
	case STATE_MIDDLE:
		return generation + 0x4000 + STATE_LIVE;
	default:
		return generation + 0x6000 + STATE_LIVE;
	}
}

/* What is behind it, without STATE_RUN. */
static inline __attribute__((always_inline)) uint32_t state_behind(enum state_form form, size_t size)
{
	uint32_t x = (uint32_t)(size - 1) & (STATE_SIZES - 1);

	return form == STATE_MIDDLE ? (uint32_t)(size - 17) : form == STATE_LONG ? x + (x & ~0x7fu) : 0;
}

/* The whole state. */
static inline uint32_t state_live(enum state_form form, uint32_t generation, size_t size)
{
	return state_number(form, generation, size) | state_behind(form, size) << 16;
}

/* Whether this is behind the number at `place`. */
static inline __attribute__((always_inline)) bool
state_is_behind(enum state_form form, const _Atomic uint8_t *states, size_t place, uint32_t behind)
{
	return form <= STATE_SHORT || arch_load(states + place + 2, form - 2) == behind;
}

/* The bit `bare`, as part of what is behind the number; 0 where there is no room for it. */
static inline uint32_t state_bare(enum state_form form)
{
	return form == STATE_LONG ? 0x2000 : form == STATE_MIDDLE ? 0x40 : 0;
}

/* The form of a live state, by its number. */
static inline __attribute__((always_inline)) enum state_form state_form_of(uint32_t number)
{
	return number & 0x40            ? STATE_TINY
	       : (number & 0x4000) == 0 ? STATE_SHORT
	       : number & 0x2000        ? STATE_LONG
	                                : STATE_MIDDLE;
}

/* Of a live state, with the length of its run in granules of 8 bytes: how many bytes were asked for. */
static inline size_t state_size(enum state_form form, uint32_t state, size_t granules)
{
	switch (form) {
	case STATE_TINY:
		return (state >> 3 & 7) + 1;
	case STATE_SHORT:
		return (state >> 11 & 7) + 9;
	case STATE_MIDDLE:
		return (state >> 16 & 7) + 17;
	default:
		return state & STATE_RUN ? (granules - 1) * 8 + (state >> 16 & 7) + 1
		                         : ((state >> 16 & 0x7f) | (state >> 17 & 0xf80)) + 1;
	}
}

#endif
