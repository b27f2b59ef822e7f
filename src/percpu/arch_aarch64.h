/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The operations of percpu.h as restartable sequences for aarch64; arch_x86_64.h explains them.
 *
 * There are no barriers here either, but for one. What each load may read, and who ordered it:
 *  - the CPU's number, the block's word (token.h), a state or record and its token: [percpu.B2], [percpu.B3] and [percpu.B5] of token.h;
 *  - an entry of the table: written by this CPU's plugging, or by a drain before its fence;
 *  - a magazine's word, base and slots: written by sequences on this CPU (the kernel orders the threads of a CPU), or by
 *    drains, before the release that the plugging sequence reads with acquire [percpu.D4], or by the thread that laid the block
 *    out (`made` in percpu.c, read with acquire before plugging);
 *  - a limit: a number that stands for itself, and is never above the slots;
 *  - `ready`, after `drainers`: cleared by a drain before its release of that.
 * The contents of the objects whose numbers pass through are ordered as the slots are.
 */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PERCPU_HAVE_RSEQ 1
#define PERCPU_RSEQ_SIGNATURE 0xd428bc00

#ifdef PERCPU_INJECT
#define STEP(n)                                                                                              \
	"adrp %[s], percpu_inject\n"                                                                         \
	"add %[s], %[s], :lo12:percpu_inject\n"                                                              \
	"ldr %w[s], [%[s], 4*" #n "]\n"                                                                      \
	"91" #n ": subs %w[s], %w[s], #1\n"                                                                  \
	"b.pl 91" #n "b\n"
#else
#define STEP(n)
#endif

#ifdef PERCPU_NO_SEQUENCE
#define ANNOUNCE ""
#else
#define ANNOUNCE "str %[t], [%[rs], #8]\n"
#endif

/*
 * The counter of aborts is bumped without an atomic operation, and loses one when two CPUs do it at once. With exclusives a debugger
 * that steps, which aborts each sequence, would never come to the end of the stub: a step between the two takes the monitor away.
 */
#define ENTER ENTER_OR("b %l[no]\n")
#define ENTER_OR(aborted)                                                                                    \
	".pushsection __rseq_cs, \"aw\"\n"                                                                   \
	".balign 32\n"                                                                                       \
	"901: .word 0, 0\n"                                                                                  \
	".quad 902f, 903f - 902f, 904f\n"                                                                    \
	".popsection\n"                                                                                      \
	".pushsection __rseq_cs_ptr_array, \"aw\"\n"                                                         \
	".quad 901b\n"                                                                                       \
	".popsection\n"                                                                                      \
	".pushsection .text.rseq_abort, \"ax\"\n"                                                            \
	".inst 0xd428bc00\n" /* a breakpoint that carries the signature */                                   \
	"904: adrp x16, percpu_aborts\n"                                                                     \
	"add x16, x16, :lo12:percpu_aborts\n"                                                                \
	"ldr x17, [x16]\n"                                                                                   \
	"add x17, x17, #1\n"                                                                                 \
	"str x17, [x16]\n" aborted                                                                           \
	".popsection\n"                                                                                      \
	"adrp %[t], 901b\n"                                                                                  \
	"add %[t], %[t], :lo12:901b\n" ANNOUNCE "902:\n" STEP(1)

/* [t] = this CPU's block. */
#define FIND_BLOCK                                                                                           \
	"ldrsw %[t], [%[id]]\n"                                                                              \
	"ldr %[t], [%[table], %[t], lsl #3]\n"                                                               \
	"add %[t], %[t], %[table]\n"

/* [t] = this CPU's magazine, [c] = its word, [k] = its position. */
#define FIND_MAGAZINE                                                                                        \
	FIND_BLOCK                                                                                           \
	"add %[t], %[t], %[at]\n" LOOK

#define LOOK                                                                                                 \
	STEP(2)                                                                                              \
	"ldr %[c], [%[t]]\n"                                                                                 \
	"and %[k], %[c], #0xffff\n"

#define LEAVE "903:\n"

#define PLACE                                                                                                \
	[rs] "r"(arch_thread_pointer() + percpu_area.base),                                                  \
	        [id] "r"(arch_thread_pointer() + percpu_area.cpu), [table] "r"(*table)
#define CLOBBERED "memory", "cc", "x16", "x17"

static inline const char *arch_thread_pointer(void)
{
	return (const char *)__builtin_thread_pointer();
}

/* What this thread's CPU is called in the table. */
static inline int64_t arch_number(void)
{
	const char *at = (const char *)__builtin_thread_pointer() + percpu_area.cpu;

	return __atomic_load_n((const int32_t *)(const void *)at, __ATOMIC_RELAXED);
}

/*
 * bytes_load and bytes_store (base/bytes.h) of one, two or four bytes in one instruction, which need not be aligned. To
 * another thread it may look like that many accesses of a byte each, in any order, and that is what those are.
 */
static inline __attribute__((always_inline)) uint32_t arch_load(const _Atomic uint8_t *at, unsigned bytes)
{
	uint32_t value;

	if (bytes == 1)
		__asm__ volatile("ldrb %w[value], %[at]" : [value] "=r"(value) : [at] "m"(at[0]));
	else if (bytes == 4)
		__asm__ volatile("ldr %w[value], %[at]"
		                 : [value] "=r"(value)
		                 : [at] "m"(at[0]), "m"(at[1]), "m"(at[2]), "m"(at[3]));
	else
		__asm__ volatile("ldrh %w[value], %[at]" : [value] "=r"(value) : [at] "m"(at[0]), "m"(at[1]));
	return value;
}

static inline __attribute__((always_inline)) void arch_store(_Atomic uint8_t *at, unsigned bytes,
                                                             uint32_t value)
{
	if (bytes == 1)
		__asm__ volatile("strb %w[value], %[at]" : [at] "=m"(at[0]) : [value] "r"(value));
	else if (bytes == 4)
		__asm__ volatile("str %w[value], %[at]"
		                 : [at] "=m"(at[0]), "=m"(at[1]), "=m"(at[2]), "=m"(at[3])
		                 : [value] "r"(value));
	else
		__asm__ volatile("strh %w[value], %[at]"
		                 : [at] "=m"(at[0]), "=m"(at[1])
		                 : [value] "r"(value));
}

/* bytes_publish: a byte is always aligned, as a store with release must be. */
static inline __attribute__((always_inline)) void arch_publish(_Atomic uint8_t *at, unsigned bytes,
                                                               uint32_t value)
{
	if (bytes > 1)
		arch_store(at + 1, bytes - 1, value >> 8);
	__asm__ volatile("stlrb %w[value], %[at]" : [at] "=Q"(*at) : [value] "r"(value) : "memory");
}

/* bytes_load_acquire: what is loaded need not be aligned, so it takes a barrier. */
static inline __attribute__((always_inline)) uint32_t arch_load_acquire(const _Atomic uint8_t *at,
                                                                        unsigned bytes)
{
	uint32_t value = arch_load(at, bytes);

	__asm__ volatile("dmb ishld" : : : "memory");
	return value;
}

static inline __attribute__((always_inline)) bool arch_pop(char *const *table, size_t at, uint64_t *value,
                                                           uint64_t *token)
{
	uint64_t t, s, c, k, b, w;

	__asm__ goto volatile(
	        ENTER FIND_BLOCK "ldur %[w], [%[t], #-8]\n"
	                         "add %[t], %[t], %[at]\n" LOOK "ldr %w[s], [%[t], #12]\n" /* base */
	                         "cmp %w[k], %w[s]\n"
	                         "b.eq %l[no]\n"
	                         "add %[b], %[t], %[k], lsl #2\n"
	                         "ldur %w[b], [%[b], #-4]\n" STEP(3)
	        /* one operation more, one position less */
	        "add %[c], %[c], #16, lsl #12\n"
	        "sub %[c], %[c], #1\n"
	        "str %[c], [%[t]]\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k), [b] "=&r"(b), [w] "=&r"(w)
	        : PLACE, [at] "r"(at)
	        : CLOBBERED
	        : no);
	*value = b;
	*token = w;
	return true;
no:
	return false;
}

static inline __attribute__((always_inline)) bool arch_push(char *const *table, size_t at, uint32_t value)
{
	uint64_t t, s, c, k;

	__asm__ goto volatile(ENTER FIND_MAGAZINE "ldr %w[s], [%[t], #8]\n" /* limit */
	                                          "cmp %w[k], %w[s]\n"
	                                          "b.hs %l[no]\n"
	                                          "str %w[value], [%[t], %[k], lsl #2]\n" STEP(3)
	                      /* one operation more, one position more */
	                      "add %[c], %[c], #16, lsl #12\n"
	                      "add %[c], %[c], #1\n"
	                      "str %[c], [%[t]]\n" LEAVE
	                      : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k)
	                      : PLACE, [at] "r"(at), [value] "r"(value)
	                      : CLOBBERED
	                      : no);
	return true;
no:
	return false;
}

static inline unsigned arch_pop_batch(char *const *table, size_t at, uint32_t *values, uint64_t most)
{
	uint64_t t, s, c, k, n, i;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "ldr %w[s], [%[t], #12]\n"
	                            "subs %[n], %[k], %[s]\n" /* level */
	                            "b.eq %l[no]\n"
	                            "cmp %[n], %[most]\n"
	                            "csel %[n], %[n], %[most], ls\n" /* n = min(level, most) */
	                            "sub %[k], %[k], %[n]\n"
	                            "add %[k], %[t], %[k], lsl #2\n"
	                            "mov %[i], %[n]\n"
	                            "905: sub %[i], %[i], #1\n"
	                            "ldr %w[s], [%[k], %[i], lsl #2]\n"
	                            "str %w[s], [%[values], %[i], lsl #2]\n"
	                            "cbnz %[i], 905b\n" STEP(3) "add %[c], %[c], %[n], lsl #16\n"
	                                                        "sub %[c], %[c], %[n]\n"
	                                                        "str %[c], [%[t]]\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k), [n] "=&r"(n), [i] "=&r"(i)
	        : PLACE, [at] "r"(at), [values] "r"(values), [most] "r"(most)
	        : CLOBBERED
	        : no);
	return (unsigned)n;
no:
	return 0;
}

static inline unsigned arch_push_batch(char *const *table, size_t at, const uint32_t *values, uint64_t count)
{
	uint64_t t, s, c, k, n, i;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "ldr %w[n], [%[t], #8]\n"
	                            "subs %[n], %[n], %[k]\n" /* limit - position */
	                            "b.ls %l[no]\n"
	                            "cmp %[n], %[count]\n"
	                            "csel %[n], %[n], %[count], ls\n" /* n = min(room, count) */
	                            "add %[k], %[t], %[k], lsl #2\n"
	                            "mov %[i], %[n]\n"
	                            "905: sub %[i], %[i], #1\n"
	                            "ldr %w[s], [%[values], %[i], lsl #2]\n"
	                            "str %w[s], [%[k], %[i], lsl #2]\n"
	                            "cbnz %[i], 905b\n" STEP(3) "add %[c], %[c], %[n], lsl #16\n"
	                                                        "add %[c], %[c], %[n]\n"
	                                                        "str %[c], [%[t]]\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k), [n] "=&r"(n), [i] "=&r"(i)
	        : PLACE, [at] "r"(at), [values] "r"(values), [count] "r"(count)
	        : CLOBBERED
	        : no);
	return (unsigned)n;
no:
	return 0;
}

/*
 * percpu_retire, a function for numbers of one byte and one for those of two: the names of the instructions have the width in
 * them. That the loads may be made in any order does not matter: they belong to one
 * sequence, and one that was fenced between them does not get to its store.
 */
#define RETIRE(bytes, width)                                                                                 \
	static inline __attribute__((always_inline)) bool arch_retire_##bytes(                               \
	        char *const *table, uint64_t token, _Atomic uint8_t *states, uint64_t place,                 \
	        const uint32_t *use, uint32_t base)                                                          \
	{                                                                                                    \
		uint64_t t, s, k;                                                                            \
                                                                                                             \
		__asm__ goto volatile(                                                                       \
		        ENTER FIND_BLOCK STEP(2) "ldur %[t], [%[t], #-8]\n"                                  \
		                                 "cmp %[t], %[token]\n"                                      \
		                                 "b.ne %l[no]\n"                                             \
		                                 "ldr" width " %w[k], [%[states], %[place]]\n"               \
		                                 "cmp %w[k], %w[number]\n"                                   \
		                                 "b.ne %l[no]\n" STEP(                                       \
		                                         3) "and %w[k], %w[k], #0xffffff7f\n"                \
		                                            "str" width                                      \
		                                            " %w[k], [%[states], %[place]]\n" LEAVE          \
		        : [t] "=&r"(t), [s] "=&r"(s), [k] "=&r"(k)                                           \
		        : PLACE, [token] "r"(token), [states] "r"(states), [place] "r"(place),               \
		          [number] "r"(*use + base)                                                          \
		        : CLOBBERED                                                                          \
		        : no);                                                                               \
		(void)s;                                                                                     \
		return true;                                                                                 \
	no:                                                                                                  \
		return false;                                                                                \
	}
RETIRE(1, "b")
RETIRE(2, "h")
#undef RETIRE

/* percpu_retire_push. As there: a store that moves its address on says whether it was made. */
#define RETIRE_PUSH(bytes, width)                                                                            \
	static inline __attribute__((always_inline)) enum arch_retired arch_retire_push_##bytes(             \
	        char *const *table, uint64_t token, size_t at, _Atomic uint8_t *states, uint64_t place,      \
	        const uint32_t *use, uint32_t base)                                                          \
	{                                                                                                    \
		_Atomic uint8_t *to = states + place;                                                        \
		uint64_t t, s, c, k;                                                                         \
                                                                                                             \
		__asm__ volatile(                                                                            \
		        ENTER_OR("mov %[t], xzr\n"                                                           \
		                 "b 907f\n") FIND_BLOCK                                                      \
		        STEP(2) "ldur %[c], [%[t], #-8]\n"                                                   \
		                "cmp %[c], %[token]\n"                                                       \
		                "b.ne 907f\n"                                                                \
		                "tbz %[token], #0, 907f\n" /* on */                                          \
		                "ldr" width " %w[c], [%[to]]\n"                                              \
		                "cmp %w[c], %w[number]\n"                                                    \
		                "b.ne 907f\n"                                                                \
		                "add %[t], %[t], %[at]\n"                                                    \
		                "ldr %[c], [%[t]]\n"                                                         \
		                "and %[k], %[c], #0xffff\n"                                                  \
		                "ldr %w[s], [%[t], #8]\n" /* limit */                                        \
		                "cmp %w[k], %w[s]\n"                                                         \
		                "b.hs 907f\n"                                                                \
		                "str %w[place], [%[t], %[k], lsl #2]\n"                                      \
		                "add %[c], %[c], #16, lsl #12\n"                                             \
		                "add %[c], %[c], #1\n"                                                       \
		                "str" width " %w[dead], [%[to]], #" #bytes "\n" STEP(3) "str %[c], [%[t]]\n" \
		        LEAVE "907:\n"                                                                       \
		        : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k), [to] "+&r"(to)             \
		        : PLACE, [token] "r"(token), [at] "r"(at), [place] "r"(place),                       \
		          [number] "r"(*use + base), [dead] "r"(*use + base - PERCPU_LIVE)                   \
		        : CLOBBERED);                                                                        \
		if (to == states + place)                                                                    \
			return ARCH_REFUSED;                                                                 \
		return t ? ARCH_PUSHED : ARCH_RETIRED;                                                       \
	}
RETIRE_PUSH(1, "b")
RETIRE_PUSH(2, "h")
#undef RETIRE_PUSH

/*
 * percpu_retire_push_batch, as there. A number's first byte is loaded with acquire, so that what is behind it and its owner are of
 * its life or of a later one; and whether it is a later one tells the number once more, behind a barrier.
 */
static inline struct arch_done arch_retire_push_batch(char *const *table, uint64_t token, size_t at,
                                                      struct arch_batch *batch, void *const *vaddrs,
                                                      uint64_t count)
{
	_Atomic uint8_t *const states = batch->states;
	_Atomic uint8_t *to = states;
	uint64_t t, s, m, e, a, i = 0;

	__asm__ volatile(
	        ENTER_OR("mov %[t], xzr\n" /* says that it was aborted */
	                 "b 907f\n") FIND_BLOCK STEP(2) "ldur %[m], [%[t], #-8]\n"
	                                                "cmp %[m], %[token]\n"
	                                                "b.ne 907f\n"
	                                                "add %[t], %[t], %[at]\n"
	                                                "ldrh %w[m], [%[t]]\n" /* position */
	                                                "ldr %w[e], [%[t], #8]\n" /* limit */
	                                                "subs %w[e], %w[e], %w[m]\n"
	                                                "b.ls 907f\n"
	                                                "cmp %[e], %[count]\n"
	                                                "csel %[e], %[e], %[count], ls\n"
	                                                "add %[m], %[t], %[m], lsl #2\n"
	                                                "905: ldr %[s], [%[vaddrs], %[i], lsl #3]\n"
	                                                "sub %[s], %[s], %[lies]\n"
	                                                "ror %[s], %[s], #3\n"
	                                                "cmp %[s], %[places]\n"
	                                                "b.hs 906f\n"
	                                                "str %w[s], [%[places_at], %[i], lsl #2]\n"
	                                                "str %w[s], [%[m], %[i], lsl #2]\n"
	                                                "add %[to], %[states], %[s]\n"
	                                                "ldarb %w[a], [%[to]]\n"
	                                                "ldrb %w[s], [%[to], #1]\n"
	                                                "orr %w[a], %w[a], %w[s], lsl #8\n"
	                                                "and %w[s], %w[a], %w[fixed]\n"
	                                                "cmp %w[s], %w[live]\n"
	                                                "b.ne 906f\n"
	                                                "ldrh %w[s], [%[to], #2]\n"
	                                                "cmp %w[s], %w[behind]\n"
	                                                "b.ne 906f\n"
	                                                "ldr %w[s], [%[to], #4]\n"
	                                                "cmp %w[s], %w[owner]\n"
	                                                "b.ne 906f\n"
	                                                "dmb ishld\n"
	                                                "ldrh %w[s], [%[to]]\n"
	                                                "cmp %w[s], %w[a]\n"
	                                                "b.ne 906f\n"
	                                                "and %w[a], %w[a], #0xffffff7f\n"
	                                                "strh %w[a], [%[to]], #2\n" STEP(3)
	        "add %[i], %[i], #1\n"
	        "cmp %[i], %[e]\n"
	        "b.lo 905b\n"
	        "906: ldr %[a], [%[t]]\n"
	        "add %[a], %[a], %[i], lsl #16\n"
	        "add %[a], %[a], %[i]\n"
	        "str %[a], [%[t]]\n" LEAVE "907:\n"
	        : [t] "=&r"(t), [s] "=&r"(s), [m] "=&r"(m), [e] "=&r"(e), [a] "=&r"(a), [i] "+&r"(i),
	          [to] "+&r"(to)
	        : PLACE, [token] "r"(token), [at] "r"(at), [vaddrs] "r"(vaddrs), [count] "r"(count),
	          [lies] "r"(batch->base), [places] "r"(batch->places), [places_at] "r"(batch->at),
	          [states] "r"(states), [behind] "r"(batch->behind), [owner] "r"(batch->owner),
	          [live] "r"(ARCH_NUMBER), [fixed] "r"(ARCH_NUMBER_FIXED)
	        : CLOBBERED);
	return arch_done_of(batch, t == 0, (uint32_t)i, count, to);
}

static inline __attribute__((always_inline)) bool
arch_replace(char *const *table, uint64_t token, _Atomic uint64_t *at, uint64_t expected, uint64_t next)
{
	uint64_t t, s, k;

	__asm__ goto volatile(
	        ENTER FIND_BLOCK STEP(2) "ldur %[t], [%[t], #-8]\n"
	                                 "cmp %[t], %[token]\n"
	                                 "b.ne %l[no]\n"
	                                 "ldr %[k], [%[at]]\n"
	                                 "cmp %[k], %[expected]\n"
	                                 "b.ne %l[no]\n" STEP(3) "str %[next], [%[at]]\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s), [k] "=&r"(k)
	        : PLACE, [token] "r"(token), [at] "r"(at), [expected] "r"(expected), [next] "r"(next)
	        : CLOBBERED
	        : no);
	(void)s;
	return true;
no:
	return false;
}

static inline bool arch_plug(char *const *table, uint64_t cpu, int64_t distance,
                             const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	uint64_t t, s;

	__asm__ goto volatile(ENTER "ldrsw %[t], [%[id]]\n"
	                            "cmp %[t], %[cpu]\n"
	                            "b.ne %l[no]\n"
	                            "ldar %w[s], [%[drainers]]\n" /* acquire: [percpu.D4] */
	                            "cbnz %w[s], %l[no]\n" STEP(
	                                    2) "ldrb %w[s], [%[ready]]\n"
	                                       "cbz %w[s], %l[no]\n" STEP(
	                                               3) "str %[distance], [%[table], %[t], lsl #3]\n" LEAVE
	                      : [t] "=&r"(t), [s] "=&r"(s)
	                      : PLACE, [cpu] "r"(cpu), [distance] "r"(distance), [drainers] "r"(drainers),
	                        [ready] "r"(ready)
	                      : CLOBBERED
	                      : no);
	return true;
no:
	return false;
}

#undef STEP
#undef ANNOUNCE
#undef ENTER
#undef ENTER_OR
#undef FIND_BLOCK
#undef FIND_MAGAZINE
#undef LOOK
#undef LEAVE
#undef PLACE
#undef CLOBBERED

#endif
