/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The architecture's sequences. ThreadSanitizer cannot see into assembly and models cannot run it: with those, and on
 * any other architecture, there are none and the C11 fallback does all the work.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tsan.h"

#define PERCPU_LIVE 0x80u /* the bit of a number (percpu_retire); the assembly has it as a number, too */

/* How percpu_retire_push came out. */
enum arch_retired {
	ARCH_REFUSED, /* nothing was done */
	ARCH_RETIRED, /* ended, and not in the magazine: the sequence was aborted between the two */
	ARCH_PUSHED,
};

/*
 * What percpu_retire_push_batch goes by. An object lies at a place, of ARCH_PLACE bytes each, and has eight bytes of state
 * from that of its place on: a number of two bytes, of which those bits that ARCH_NUMBER_FIXED has are as in ARCH_NUMBER
 * while it lives; two bytes behind it, and four for its owner, which are the same for all of a batch.
 */
#define ARCH_PLACE 8u
#define ARCH_NUMBER 0x6080u
#define ARCH_NUMBER_FIXED 0xe0c0u
#define ARCH_BATCH 64u /* objects, at most */
struct arch_batch {
	const char *base;
	uint64_t places; /* that there are */
	_Atomic uint8_t *states;
	uint32_t behind, owner;
	uint32_t at[ARCH_BATCH]; /* places of those that were ended */
};

/* The first `retired` were ended, and the first `pushed` of those are in the magazine. */
struct arch_done {
	uint32_t retired, pushed;
};

/* The place of an address, or a number that is no place: of one outside, or not aligned. */
static inline uint64_t arch_place(const char *base, const void *vaddr)
{
	uint64_t offset = (uint64_t)(uintptr_t)vaddr - (uint64_t)(uintptr_t)base;

	return offset / ARCH_PLACE | offset << 61;
}
_Static_assert(ARCH_PLACE == 8, "a rotation by three bits");

/*
 * How a sequence that ends a batch came out. Unless it was aborted, all that were ended are in the magazine. If it was, `done` were
 * ended for certain, and the next one if `to` has been moved on from its number, which the instruction that ends it does as
 * well. But `to` may be still where the last one moved it, if both are of one place; then the next was not ended: of two in a row the
 * second is not found alive.
 */
static inline struct arch_done arch_done_of(const struct arch_batch *batch, bool aborted, uint32_t done,
                                            uint64_t count, const _Atomic uint8_t *to)
{
	if (!aborted)
		return (struct arch_done){done, done};
	if (done < count && to == batch->states + batch->at[done] + 2)
		done += done == 0 || batch->at[done] != batch->at[done - 1];
	return (struct arch_done){done, 0};
}

#if defined(PERCPU_MODEL)
#include <arch_model.h> /* tests/model: sequences whose steps an explorer can come between */
#elif defined(PERCPU_FALLBACK_ONLY) || defined(TSAN_BUILD)
#include "percpu/arch_none.h"
#elif defined(__x86_64__) && defined(__LP64__) /* not x32 */
#include "percpu/arch_x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include "percpu/arch_aarch64.h"
#else
#include "percpu/arch_none.h"
#endif
