/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Arrays of small stacks of 32-bit values, one array ("block") a CPU: put in and taken out in a handful of
 * instructions without an atomic operation, by restartable sequences; drained by anybody; nothing in them is ever
 * out of reach.
 *
 * Guarantees
 *  [percpu.P1] A value that was put in is taken out once: by an operation on that CPU, or by a drain.
 *  [percpu.P2] No operation waits. A sequence that is aborted returns as if the magazine were empty (full); the caller's
 *       slow path decides what then.
 *  [percpu.P3] percpu_drain returns with every block empty and unplugged that it was asked to drain, save for what other
 *       drains hold at that moment: at most one value each.
 *  [percpu.P4] Blocks that no CPU has used cost address space only.
 *  [percpu.P5] In a forked child every operation finds nothing and percpu_is_ours is false: the child sees the table as
 *       zeroes (platform_wipe_on_fork), and zeroes are an empty block.
 *
 * The table. table[cpu] is the distance in bytes from the table to the CPU's block; also for -1 and -2, which is what
 * the kernel's area says in a thread that is not registered. Distance to `empty`, a block that is always empty and
 * always full, stands for: no block yet, drained, under pressure, thread not registered, no rseq at all. So the fast
 * path asks nothing; the slow path finds out.
 *
 * The index is the kernel's mm_cid where there is one (small numbers, no more of them than threads, and no two
 * running threads share one), else the number of the CPU. A thread must not have cancelled its own registration
 * with the kernel, which the C library makes.
 *
 * Drain. (1) count yourself in `drainers`; (2) point the entries of the blocks in reach at the empty block, and remember
 * which blocks those are; (3) fence: membarrier makes every sequence of this process that is under way start again;
 * (4) do (2) again, and if an entry was plugged between, or another drain is under way, (3) too; (5) take out of the
 * blocks that are remembered by compare-exchange (arch_generic.h), together with any other drain; (6) count yourself
 * out. The order that makes it right:
 *   [percpu.D1] A block is plugged by a sequence on its own CPU that finds `drainers` 0. After (3) every such sequence has
 *        ended or will start again and find it not 0. So after (4), until (6), no entry changes and no sequence
 *        touches a remembered block: the compare-exchanges are alone with each other.
 *   [percpu.D2] The fence is a full barrier on every CPU that runs a thread of ours, so what sequences wrote before it is
 *        seen after it.
 *   [percpu.D3] Whether a block is in reach may change at any time: a thread that is about to plug it and was moved says so
 *        (`last_cpu`), whoever it is that plugs it in the end. So only the answer that led to (2) counts.
 *   [percpu.D4] The sequence that plugs reads `drainers` with acquire. If it finds the 0 that a drain left (release), then that
 *        drain's stores come before whatever is done with the block next: without that, on ARM64, a word from before
 *        the drain could be read, and its values taken out twice.
 *   [percpu.D5] An entry that (4) finds unplugged may have been plugged since (2) and unplugged by another drain that has not come
 *        to its fence: sequences may still be at the block. That drain is then found in `drainers`, and there is a second
 *        fence. If it has left, it has made its own.
 *   A thread that stops in a drain leaves the caches off (everything goes to the shared store, which is slower) and
 *   keeps at most one value. Nobody waits for it. Linearization: each value leaves at its compare-exchange.
 *
 * Without rseq the entries always point at the empty block and blocks are used through the fallback alone, a shard by a
 * hash of the thread; draining is step (5).
 *
 * Signal safe all through: a handler that interrupts a sequence aborts it.
 */
#ifndef PERCPU_PERCPU_H
#define PERCPU_PERCPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "percpu/token.h"
#include "percpu/magazine.h"
#include "platform/platform.h"

/* Where a thread finds what it shares with the kernel, as offsets from its thread pointer; one for the process. */
struct percpu_thread_area {
	int64_t base;
	int64_t cpu; /* the 32-bit number that indexes the table */
};
extern struct percpu_thread_area percpu_area __attribute__((visibility("hidden")));

#include "percpu/arch.h"

#ifndef PERCPU_TRIES
#define PERCPU_TRIES 8 /* of a sequence that is aborted again and again; then it is done in another way */
#endif
#define PERCPU_NOTES 12u /* makes the head a multiple of 16 bytes */

/* What lies before a block's magazines. */
struct percpu_head {
	_Atomic uint32_t claim; /* without rseq: held by who puts in */
	_Atomic uint32_t made; /* the magazines have been laid out */
	_Atomic uint32_t last_cpu; /* the CPU that last plugged it, for the order of drains */
	_Atomic uint32_t ended,
	        threshold; /* how many objects ended here while the token was off, how many turn it on */
	_Atomic uint32_t revoked; /* the last epoch that ended, with a fence */
	_Atomic uint64_t note[PERCPU_NOTES]; /* its CPU's, relaxed: counters of its slow paths */
	_Atomic uint64_t token; /* last, where arch_*.h looks for it; token.h says what it is */
};
_Static_assert(sizeof(struct percpu_head) % 16 == 0 &&
                       offsetof(struct percpu_head, token) == sizeof(struct percpu_head) - 8,
               "arch_*.h has the distance from a block back to its word in its assembly");

struct percpu {
	char *table; /* of int64_t, from entry -2; zeroed in a forked child, and so is `ours` behind it */
	_Atomic uint32_t *ours;
	uint32_t blocks; /* entries from 0, each with a block */
	uint32_t classes;
	int64_t empty; /* distance to the empty block */
	int64_t first; /* distance to block 0 */
	size_t block_bytes;
	size_t table_bytes, all_bytes;
	struct platform_wiped wiped; /* the table */
	bool sequences; /* rseq is in use */
	bool has_tokens; /* blocks have owner tokens (token.h) */
	const uint16_t *slots; /* of each class */
	_Atomic uint8_t *ready; /* a byte a block: 1 before it is plugged, 0 when drained */
	_Alignas(64) _Atomic uint32_t drainers;
	_Atomic uint64_t plugs;
};

/*
 * Make one for `classes` magazines a block, the nth with room for slots[n] >= 1 values and a capacity of 0. `slots` must
 * stay. 0, -ENOMEM, or -EINVAL: a block would be larger than 256 KiB. May block. No call may be running or follow percpu_destroy.
 */
int percpu_create(struct percpu *percpu, unsigned classes, const uint16_t *slots);
void percpu_destroy(struct percpu *percpu);

/* False in a forked child of the process that made it. */
static inline bool percpu_is_ours(const struct percpu *percpu)
{
	return atomic_load_explicit(percpu->ours, memory_order_relaxed) != 0;
}

/*
 * Take a value out of this CPU's magazine, or put one in; `at` is PERCPU_AT(class). False: it is empty (full), or not
 * plugged, or aborted.
 */
#define PERCPU_AT(class) ((class) * sizeof(struct magazine))
#define PERCPU_CLASS(at) ((at) / sizeof(struct magazine))

static inline __attribute__((always_inline)) bool percpu_pop(struct percpu *percpu, size_t at,
                                                             uint32_t *value)
{
	uint64_t taken, token;

	if (!arch_pop(&percpu->table, at, &taken, &token))
		return false;
	*value = (uint32_t)taken;
	return true;
}

/* The same, widened, and the word (token.h) of the block that it came from: 0 where there is no token. */
static inline __attribute__((always_inline)) bool percpu_pop_token(struct percpu *percpu, size_t at,
                                                                   uint64_t *value, uint64_t *token)
{
	return arch_pop(&percpu->table, at, value, token);
}

/* Up to `most` at once; values[0] is what lies lowest. How many there were. */
static inline __attribute__((always_inline)) unsigned percpu_pop_batch(struct percpu *percpu, size_t at,
                                                                       uint32_t *values, unsigned most)
{
	return arch_pop_batch(&percpu->table, at, values, most);
}

static inline __attribute__((always_inline)) bool percpu_push(struct percpu *percpu, size_t at,
                                                              uint32_t value)
{
	return arch_push(&percpu->table, at, value);
}

/*
 * Clear the bit PERCPU_LIVE of the number at `place` in `states`, if it is *use + base and this CPU's block has the word
 * `token`, which is on. False: one of these is not so, or aborted. A number has one byte or two, which need not be aligned;
 * others may access them byte by byte.
 */
static inline __attribute__((always_inline)) bool percpu_retire(struct percpu *percpu, uint64_t token,
                                                                _Atomic uint8_t *states, size_t place,
                                                                unsigned bytes, const uint32_t *use,
                                                                uint32_t base)
{
	if (!(token & TOKEN_ON))
		return false;
	return bytes == 1 ? arch_retire_1(&percpu->table, token, states, place, use, base)
	                  : arch_retire_2(&percpu->table, token, states, place, use, base);
}

/*
 * The same, and put `place` into this CPU's magazine, which is to have room for it, in one sequence. Whoever is told ARCH_RETIRED has
 * the object still, as after percpu_retire.
 */
static inline __attribute__((always_inline)) enum arch_retired
percpu_retire_push(struct percpu *percpu, uint64_t token, size_t at, _Atomic uint8_t *states, size_t place,
                   unsigned bytes, const uint32_t *use, uint32_t base)
{
	return bytes == 1 ? arch_retire_push_1(&percpu->table, token, at, states, place, use, base)
	                  : arch_retire_push_2(&percpu->table, token, at, states, place, use, base);
}

/*
 * The same for `count` objects with one token by their addresses, one after the other until one is none of the batch or not alive, or
 * there is no room, or the sequence is aborted. Each address is read once; where those lay that were ended is in
 * batch->at.
 */
static inline struct arch_done percpu_retire_push_batch(struct percpu *percpu, uint64_t token, size_t at,
                                                        struct arch_batch *batch, void *const *vaddrs,
                                                        unsigned count)
{
	if (!(token & TOKEN_ON))
		return (struct arch_done){0, 0};
	return arch_retire_push_batch(&percpu->table, token, at, batch, vaddrs,
	                              count < ARCH_BATCH ? count : ARCH_BATCH);
}

/* The same for a word: put `next` in the place of `expected`. */
static inline __attribute__((always_inline)) bool
percpu_replace(struct percpu *percpu, uint64_t token, _Atomic uint64_t *at, uint64_t expected, uint64_t next)
{
	return token & TOKEN_ON && arch_replace(&percpu->table, token, at, expected, next);
}

/* To be called before anybody else knows it: give tokens to blocks. Nothing without rseq. */
void percpu_use_tokens(struct percpu *percpu);
void percpu_begin_token(struct percpu *percpu, uint32_t block);

/* Whether percpu_retire on this CPU would have found this word a moment ago: it was aborted, or the state differs. */
bool percpu_holds_token(const struct percpu *percpu, uint64_t word);

/*
 * The word of this CPU's block, for an object that did not come out of a magazine, to be ended here as if it had; 0 while
 * the block is not plugged.
 */
uint64_t percpu_token_here(const struct percpu *percpu);

/* The same, without asking why there is none; as sequences find it. */
static inline uint64_t percpu_token_near(const struct percpu *percpu)
{
	const _Atomic int64_t *entry = (const _Atomic int64_t *)(const void *)percpu->table + arch_number();
	const char *block = percpu->table + atomic_load_explicit(entry, memory_order_relaxed);

	/* Relaxed: [percpu.B5]. */
	return atomic_load_explicit((const _Atomic uint64_t *)(const void *)block - 1, memory_order_relaxed);
}

/*
 * The word that a half (token.h) is of, if it was given out in one of the last TOKEN_HALF_EPOCHS epochs of its block: the
 * youngest that it may be. 0 for the half 0.
 */
uint64_t percpu_token_of_half(const struct percpu *percpu, uint32_t half);

/*
 * From now on, what has this word (or 0) is anybody's to end with a compare-exchange. -EINVAL: no block gave out such
 * a word. May make a fence, a system call; does not wait.
 */
int percpu_revoke(struct percpu *percpu, uint64_t word);

/*
 * The same for all that was given out before now with any word: for who would end an object on behalf of somebody else and
 * has not got its word. A fence for each 64 blocks that have a token.
 */
void percpu_revoke_all(struct percpu *percpu);

/*
 * Whether what has this word came from the block of another CPU and is better given to the shared store than put in here:
 * else the objects of two CPUs mix, for ever after each writes to lines of the other. Not where many go from one CPU to
 * another all the time, which would cost more than it saves (token.h).
 */
bool percpu_belongs_elsewhere(struct percpu *percpu, uint64_t word);

/* What has this word was ended by a compare-exchange: perhaps on its own CPU, so that the token would have paid. */
void percpu_ended_locally(struct percpu *percpu, uint64_t word);

/* How an object is ended, the one way and the other: the first member of what these functions need to know of it. */
struct percpu_ending {
	bool (*end_here)(
	        const struct percpu_ending *ending); /* percpu_retire or percpu_replace, with its word */
	int (*look)(const struct percpu_ending *ending); /* 0 if it is still there, or why not */
	int (*end_anywhere)(const struct percpu_ending *ending); /* by compare-exchange: 0, or why not */
};

/*
 * End an object that has this word, wherever we are. 0 for the one of several calls that did; what the functions say; -EINVAL: there is
 * no such word.
 */
int percpu_end(struct percpu *percpu, uint64_t word, const struct percpu_ending *ending);

/*
 * Like pop and push for slow paths, and for up to `count` values; they try again a few times, plug the block if that is
 * allowed (`may_plug`), and without rseq use the fallback. Return how many were taken out or put in, lowest first: what is
 * put in is taken out again from the last one down.
 */
unsigned percpu_take(struct percpu *percpu, unsigned class, uint32_t *values, unsigned count, bool may_plug);
unsigned percpu_put(struct percpu *percpu, unsigned class, const uint32_t *values, unsigned count,
                    bool may_plug);

/* The entry of a block, or of -1 and -2. */
static inline _Atomic int64_t *percpu_entry(const struct percpu *percpu, int64_t block)
{
	return (_Atomic int64_t *)(void *)percpu->table + block;
}

/* The block of the CPU this runs on, or did a moment ago: for capacities, levels and notes. Never null. */
uint32_t percpu_here(const struct percpu *percpu);

static inline struct magazine *percpu_magazine(const struct percpu *percpu, uint32_t block, unsigned class)
{
	return (struct magazine *)(void *)(percpu->table + percpu->first +
	                                   (int64_t)block * (int64_t)percpu->block_bytes) +
	       class;
}

static inline struct percpu_head *percpu_head(const struct percpu *percpu, uint32_t block)
{
	return (struct percpu_head *)(void *)percpu_magazine(percpu, block, 0) - 1;
}

/* Let a magazine have up to this many values: at most its slots. */
void percpu_set_capacity(struct percpu *percpu, uint32_t block, unsigned class, uint32_t capacity);

/* Whether anything was ever put into a block since it was last drained. */
static inline bool percpu_is_ready(const struct percpu *percpu, uint32_t block)
{
	return atomic_load_explicit(&percpu->ready[block], memory_order_seq_cst) != 0;
}

/*
 * Empty the blocks: those that share a cache with this CPU, those of its NUMA node, or all. Every value goes to `sink`
 * as it is taken out. When `verdict` is given it is called at the end, before any block may be plugged again.
 * Lock-free; makes system calls.
 */
enum percpu_reach { PERCPU_CACHE, PERCPU_NODE, PERCPU_ALL };
typedef void percpu_sink(void *context, unsigned class, uint32_t value);
void percpu_drain(struct percpu *percpu, enum percpu_reach reach, percpu_sink *sink, void (*verdict)(void *),
                  void *context);

/* Whether reaching further than `reach` can find more on this machine. */
bool percpu_reaches_all(enum percpu_reach reach);

/*
 * A stamp of all that is in the blocks: 0 if something is or may be in one, else a number that is the same as long as
 * nothing was put in anywhere. Two equal stamps that are not 0 mean that between them every block was empty.
 */
uint64_t percpu_empty_stamp(const struct percpu *percpu);

/* How many sequences were aborted. */
extern _Atomic uint64_t percpu_aborts;

#ifdef ISTHMUS_TEST_HOOKS
/* What the table is made for next, in place of the CPUs there are (0: those). */
void percpu_pretend_cpus(unsigned cpus);
/* As if the system had said that there are so few CPUs, whatever runs on the others; 0: what it says. */
void percpu_pretend_possible(unsigned cpus);
/*
 * Before anything else: this thread is the only one and can use sequences without the kernel's knowledge, so
 * that their instructions can be counted by a simulator that has no rseq.
 */
void percpu_pretend_alone(void);
#endif

#endif
