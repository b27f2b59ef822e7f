/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The operations of percpu.h as restartable sequences for aarch64; arch_x86_64.h explains them.
 *
 * There are no barriers here either: what a sequence reads and writes was written on this CPU, or by a thread that
 * was on it before (the kernel orders those), or by one that fenced this CPU with membarrier before it wrote. The
 * contents of the objects whose numbers pass through are ordered the same way.
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

/* The counter of aborts is bumped with exclusives: every aarch64 has those. */
#define ENTER                                                                                                \
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
	"906: ldxr x17, [x16]\n"                                                                             \
	"add x17, x17, #1\n"                                                                                 \
	"stxr w15, x17, [x16]\n"                                                                             \
	"cbnz w15, 906b\n"                                                                                   \
	"b %l[no]\n"                                                                                         \
	".popsection\n"                                                                                      \
	"adrp %[t], 901b\n"                                                                                  \
	"add %[t], %[t], :lo12:901b\n" ANNOUNCE "902:\n" STEP(1)

#define FIND_MAGAZINE                                                                                        \
	"ldrsw %[t], [%[id]]\n"                                                                              \
	"ldr %[t], [%[table], %[t], lsl #3]\n"                                                               \
	"add %[t], %[t], %[table]\n"                                                                         \
	"add %[t], %[t], %[at]\n" STEP(2)

#define LEAVE "903:\n"

static inline const char *arch_thread_pointer(void)
{
	return (const char *)__builtin_thread_pointer();
}

static inline __attribute__((always_inline)) bool arch_pop(const struct percpu_thread_area *area, char *table,
                                                           uint64_t at, uint32_t *value)
{
	uint64_t t, c, b, s;

	__asm__ goto volatile(ENTER FIND_MAGAZINE
	                      "ldr %[c], [%[t]]\n"
	                      "ands %[s], %[c], #0xfff\n"
	                      "b.eq %l[no]\n"
	                      "ldr %w[b], [%[t], #12]\n"
	                      "add %[b], %[b], %[t]\n"
	                      "add %[b], %[b], %[s], lsl #2\n"
	                      "ldur %w[b], [%[b], #-4]\n" STEP(
	                              3) "add %[c], %[c], #0xfff\n" /* one operation more, one level less */
	                                 "str %[c], [%[t]]\n" LEAVE
	                      : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s)
	                      : [rs] "r"(arch_thread_pointer() + area->base),
	                        [id] "r"(arch_thread_pointer() + area->cpu), [table] "r"(table), [at] "r"(at)
	                      : "memory", "cc", "x15", "x16", "x17"
	                      : no);
	*value = (uint32_t)b;
	return true;
no:
	return false;
}

static inline __attribute__((always_inline)) bool arch_push(const struct percpu_thread_area *area,
                                                            char *table, uint64_t at, uint32_t value)
{
	uint64_t t, c, b, s;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "ldr %[c], [%[t]]\n"
	                            "and %[s], %[c], #0xfff\n"
	                            "ldp %w[b], %w[c], [%[t], #8]\n" /* capacity, slots */
	                            "cmp %w[s], %w[b]\n"
	                            "b.hs %l[no]\n"
	                            "add %[b], %[t], %w[c], uxtw\n"
	                            "str %w[value], [%[b], %[s], lsl #2]\n" STEP(
	                                    3) "ldr %[c], [%[t]]\n"
	                                       "add %[c], %[c], #1, lsl #12\n" /* one operation more */
	                                       "add %[c], %[c], #1\n" /* one level more */
	                                       "str %[c], [%[t]]\n" LEAVE
	        : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s)
	        : [rs] "r"(arch_thread_pointer() + area->base), [id] "r"(arch_thread_pointer() + area->cpu),
	          [table] "r"(table), [at] "r"(at), [value] "r"(value)
	        : "memory", "cc", "x15", "x16", "x17"
	        : no);
	return true;
no:
	return false;
}

static inline unsigned arch_pop_batch(const struct percpu_thread_area *area, char *table, uint64_t at,
                                      uint32_t *values, uint64_t most)
{
	uint64_t t, c, b, s, n, i;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "ldr %[c], [%[t]]\n"
	                            "ands %[s], %[c], #0xfff\n"
	                            "b.eq %l[no]\n"
	                            "cmp %[s], %[most]\n"
	                            "csel %[n], %[s], %[most], ls\n" /* n = min(level, most) */
	                            "ldr %w[b], [%[t], #12]\n"
	                            "add %[b], %[b], %[t]\n"
	                            "sub %[s], %[s], %[n]\n"
	                            "add %[b], %[b], %[s], lsl #2\n"
	                            "mov %[i], %[n]\n"
	                            "905: sub %[i], %[i], #1\n"
	                            "ldr %w[s], [%[b], %[i], lsl #2]\n"
	                            "str %w[s], [%[values], %[i], lsl #2]\n"
	                            "cbnz %[i], 905b\n" STEP(3) "add %[c], %[c], %[n], lsl #12\n"
	                                                        "sub %[c], %[c], %[n]\n"
	                                                        "str %[c], [%[t]]\n" LEAVE
	        : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s), [n] "=&r"(n), [i] "=&r"(i)
	        : [rs] "r"(arch_thread_pointer() + area->base), [id] "r"(arch_thread_pointer() + area->cpu),
	          [table] "r"(table), [at] "r"(at), [values] "r"(values), [most] "r"(most)
	        : "memory", "cc", "x15", "x16", "x17"
	        : no);
	return (unsigned)n;
no:
	return 0;
}

static inline unsigned arch_push_batch(const struct percpu_thread_area *area, char *table, uint64_t at,
                                       const uint32_t *values, uint64_t count)
{
	uint64_t t, c, b, s, n, i;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "ldr %[c], [%[t]]\n"
	                            "and %[s], %[c], #0xfff\n"
	                            "ldr %w[n], [%[t], #8]\n"
	                            "subs %[n], %[n], %[s]\n"
	                            "b.ls %l[no]\n"
	                            "cmp %[n], %[count]\n"
	                            "csel %[n], %[n], %[count], ls\n" /* n = min(room, count) */
	                            "ldr %w[b], [%[t], #12]\n"
	                            "add %[b], %[b], %[t]\n"
	                            "add %[b], %[b], %[s], lsl #2\n"
	                            "mov %[i], %[n]\n"
	                            "905: sub %[i], %[i], #1\n"
	                            "ldr %w[s], [%[values], %[i], lsl #2]\n"
	                            "str %w[s], [%[b], %[i], lsl #2]\n"
	                            "cbnz %[i], 905b\n" STEP(3) "add %[c], %[c], %[n], lsl #12\n"
	                                                        "add %[c], %[c], %[n]\n"
	                                                        "str %[c], [%[t]]\n" LEAVE
	        : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s), [n] "=&r"(n), [i] "=&r"(i)
	        : [rs] "r"(arch_thread_pointer() + area->base), [id] "r"(arch_thread_pointer() + area->cpu),
	          [table] "r"(table), [at] "r"(at), [values] "r"(values), [count] "r"(count)
	        : "memory", "cc", "x15", "x16", "x17"
	        : no);
	return (unsigned)n;
no:
	return 0;
}

static inline bool arch_plug(const struct percpu_thread_area *area, char *table, uint64_t cpu,
                             int64_t distance, const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	uint64_t t, s;

	__asm__ goto volatile(
	        ENTER
	        "ldrsw %[t], [%[id]]\n"
	        "cmp %[t], %[cpu]\n"
	        "b.ne %l[no]\n"
	        "ldr %w[s], [%[drainers]]\n"
	        "cbnz %w[s], %l[no]\n" STEP(2) "ldrb %w[s], [%[ready]]\n"
	                                       "cbz %w[s], %l[no]\n" STEP(
	                                               3) "str %[distance], [%[table], %[t], lsl #3]\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s)
	        : [rs] "r"(arch_thread_pointer() + area->base), [id] "r"(arch_thread_pointer() + area->cpu),
	          [table] "r"(table), [cpu] "r"(cpu), [distance] "r"(distance), [drainers] "r"(drainers),
	          [ready] "r"(ready)
	        : "memory", "cc", "x15", "x16", "x17"
	        : no);
	return true;
no:
	return false;
}

#undef STEP
#undef ANNOUNCE
#undef ENTER
#undef FIND_MAGAZINE
#undef LEAVE

#endif
