/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Owner tokens: which CPU may end an object without an atomic operation.
 *
 * Guaranteed: of several who end one object at once, on whatever CPUs, exactly one is told that it did.
 *
 * A compare-exchange tells who was first, and costs more than all the rest of a free. As long as only one CPU ends an object, a
 * sequence that compares and then stores tells as well. So each block has a token, which is a word {check 12, block 10, epoch 31, block 6,
 * on 1}. A pop brings it along (percpu_token_here for what is not popped), and it stays with the object (in the handle
 * of an allocation, for one).
 *  - An object whose token is that of the CPU that we run on, and is on: percpu_retire compares the block's
 *    token and the object's state, and stores the state, in one sequence.
 *  - Any other: percpu_revoke takes that right away from the object's CPU; from then on a compare-exchange decides.
 *
 * The argument
 *  [percpu.B1] A word that is on is given out by one block in one epoch, and an epoch is never used again (after 2^31 of them the
 *       token of the block stays off). So whoever finds a word in a block that equals an object's knows: it is that
 *       block, and the epoch has not ended.
 *  [percpu.B2] An epoch ends when its word is taken out of the block by compare-exchange. A sequence that still uses it has
 *       read it before; the fence that follows sends that back to its start, where it finds another word, and makes
 *       visible what earlier ones stored. Only then is `revoked` raised to the epoch (release); who finds it raised
 *       (acquire) knows the same. So sequences and compare-exchanges never meet on an object.
 *  [percpu.B3] Among sequences of one block, the kernel lets one finish or start again before the next begins; and who runs on
 *       a CPU later sees what was stored there earlier. Among compare-exchanges, one succeeds.
 *  [percpu.B4] An object of a word that is off, or 0, was never in reach of a sequence.
 *  [percpu.B5] Who has an object's word got it from a load of the block's, directly or through whatever handed it on, so it finds this epoch or a
 *       later one in the block.
 *  [percpu.B6] Who has no word of an object, but knows of it from what was written after the word was loaded (the record of an
 *       allocation), finds for the same reason the object's epoch or a later one in the object's block, whichever that
 *       is. So percpu_revoke_all, which ends the epochs of all blocks, makes the object anybody's.
 * percpu_retire_push also puts what it has ended into the block's magazine. The store that does is a second one of the same
 * sequence: aborted between the two, it says that the object is ended and the caller's to put away.
 * Linearization: the store of percpu_retire or the first of percpu_retire_push, or the caller's compare-exchange. Stopped threads: who stops before the
 * fence leaves the epoch ended and not revoked, and the next makes a fence of its own; nobody waits.
 *
 * Where membarrier was forbidden after it had been in use (seccomp), epochs end without a fence: then two frees of one
 * object at the same instant, on two CPUs, may both be obeyed.
 *
 * When it pays. A compare-exchange costs some nanoseconds more, a fence some microseconds, and tens of them in virtual machines. So
 * a block is off until as many of its objects have been ended on its own CPU as pay for a fence, at first and whenever its word
 * was taken away; twice as many after each time, up to a limit. In recorded traffic of some thousand messages, which threads
 * hand to one another now and then, fences were half of what a free cost on the average.
 *
 * What is freed elsewhere goes into the magazine there if that is the rule, as from a producer to a consumer, and back to the
 * shared store if it is the exception, as when a thread was moved. Told by the same count: while the token is off, each
 * object that goes back takes TOKEN_PRICE_ELSEWHERE from what has been ended on its own CPU; if there is not so much, it stays.
 */
#ifndef PERCPU_TOKEN_H
#define PERCPU_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_ON UINT64_C(1)
#define TOKEN_EPOCH_LAST 0x7fffffffu
#ifndef TOKEN_THRESHOLD_START /* models have 0: on from the beginning */
#define TOKEN_THRESHOLD_START 4096u
#endif
#define TOKEN_THRESHOLD_FIRST 4096u
#define TOKEN_THRESHOLD_MOST (1u << 17)
#define TOKEN_PRICE_ELSEWHERE 8u

/*
 * The lower half of a word, which can be kept where the highest bit of each byte is for something else (driver/state.h):
 * four times seven bits. With it all of a block below TOKEN_HALF_BLOCKS is known but for the higher bits of the epoch.
 */
#define TOKEN_HALF_BLOCKS 64u
#define TOKEN_HALF_EPOCHS (1u << 21)

static inline uint32_t token_block(uint64_t word)
{
	return ((uint32_t)word >> 1 & 0x3f) | (uint32_t)(word >> 42 & 0x3ff) << 6;
}

/* Of a half, the lower 21 bits of the epoch. */
static inline uint32_t token_epoch(uint64_t word)
{
	return (uint32_t)(word >> 8 & 0x7f) | (uint32_t)(word >> 16 & 0x7f) << 7 |
	       (uint32_t)(word >> 24 & 0x7f) << 14 | (uint32_t)(word >> 32 & 0x3ff) << 21;
}

/* 12 bits that change with every single bit of the others: a word that was tampered with is none. */
static inline uint64_t token_check(uint64_t word)
{
	word &= (UINT64_C(1) << 52) - 1;
	return (word ^ word >> 12 ^ word >> 24 ^ word >> 36 ^ word >> 48 ^ 0x1a5) & 0xfff;
}

static inline uint64_t token_word(uint32_t block, uint32_t epoch, bool on)
{
	uint64_t word = (on ? TOKEN_ON : 0) | (block & 0x3f) << 1 | (epoch & 0x7f) << 8 |
	                (epoch >> 7 & 0x7f) << 16 | (epoch >> 14 & 0x7f) << 24 |
	                (uint64_t)(epoch >> 21 & 0x3ff) << 32 | (uint64_t)(block >> 6 & 0x3ff) << 42;

	return word | token_check(word) << 52;
}

static inline bool token_is_word(uint64_t word)
{
	return word >> 52 == token_check(word) && (word & 0x80808080) == 0;
}

/* Whether its block is to be told from its half, which is the lower one then: 0 if there is no word. */
static inline bool token_has_half(uint64_t word)
{
	return (word >> 42 & 0x3ff) == 0;
}

/* Half of a word, or 0. */
static inline uint32_t token_half(uint64_t word)
{
	return token_has_half(word) ? (uint32_t)word : 0;
}

#endif
