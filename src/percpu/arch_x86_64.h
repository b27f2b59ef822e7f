/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The operations of percpu.h as restartable sequences for x86-64.
 *
 * A sequence runs from label 902 to 903. The kernel sends a thread to 904 instead of back into it when it was
 * preempted, moved to another CPU or interrupted by a signal there, and when another thread fenced it (membarrier).
 * Each sequence reads where it is, works out what to store, and ends with the single store that commits; what it
 * stores before that (slots above the level, the caller's buffer) nobody looks at unless the commit follows. There
 * are no barriers: everything a sequence touches belongs to this CPU.
 *
 * An aborted sequence is not begun again here: the caller's slow path does that a bounded number of times, so a
 * debugger that stops in every one cannot keep a thread in a loop.
 *
 * Registers: [rs] and [id] are offsets from the thread pointer of the area shared with the kernel and of the number
 * of this CPU in it; [table] is percpu.table, [at] the bytes from a block to the magazine. The abort stubs have a
 * section of their own: what GCC lays near cold code may be reached by falling into it.
 */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PERCPU_HAVE_RSEQ 1
#define PERCPU_RSEQ_SIGNATURE 0x53053053

#ifdef PERCPU_INJECT
/* For tests: spin at step n of every sequence, so that preemption and fences hit it there. */
#define STEP(n)                                                                                              \
	"movl percpu_inject+4*" #n "(%%rip), %k[s]\n"                                                        \
	"91" #n ": subl $1, %k[s]\n"                                                                         \
	"jns 91" #n "b\n"
#else
#define STEP(n)
#endif

/* The control of the torture test: without this store the kernel knows of no sequence and never aborts one. */
#ifdef PERCPU_NO_SEQUENCE
#define ANNOUNCE ""
#else
#define ANNOUNCE "movq %[t], %%fs:8(%[rs])\n"
#endif

#define ENTER                                                                                                \
	".pushsection __rseq_cs, \"aw\"\n"                                                                   \
	".balign 32\n"                                                                                       \
	"901: .long 0, 0\n"                                                                                  \
	".quad 902f, 903f - 902f, 904f\n"                                                                    \
	".popsection\n"                                                                                      \
	".pushsection __rseq_cs_ptr_array, \"aw\"\n"                                                         \
	".quad 901b\n"                                                                                       \
	".popsection\n"                                                                                      \
	".pushsection .text.rseq_abort, \"ax\"\n"                                                            \
	".byte 0x0f, 0xb9, 0x3d\n" /* an undefined instruction that carries the signature */                 \
	".long 0x53053053\n"                                                                                 \
	"904: lock incq percpu_aborts(%%rip)\n"                                                              \
	"jmp %l[no]\n"                                                                                       \
	".popsection\n"                                                                                      \
	"leaq 901b(%%rip), %[t]\n" ANNOUNCE "902:\n" STEP(1)

/* [t] = this CPU's magazine: an entry of the table is the distance from the table to the block. */
#define FIND_MAGAZINE                                                                                        \
	"movslq %%fs:(%[id]), %[t]\n"                                                                        \
	"movq (%[table],%[t],8), %[t]\n"                                                                     \
	"addq %[table], %[t]\n"                                                                              \
	"addq %[at], %[t]\n" STEP(2)

#define LEAVE "903:\n"

static inline __attribute__((always_inline)) bool arch_pop(const struct percpu_thread_area *area, char *table,
                                                           uint64_t at, uint32_t *value)
{
	uint64_t t, c, b, s;

	__asm__ goto volatile(ENTER FIND_MAGAZINE
	                      "movq (%[t]), %[c]\n"
	                      "movl %k[c], %k[s]\n"
	                      "andl $0xfff, %k[s]\n"
	                      "jz %l[no]\n"
	                      "movl 12(%[t]), %k[b]\n"
	                      "addq %[t], %[b]\n"
	                      "movl -4(%[b],%[s],4), %k[b]\n" STEP(
	                              3) "addq $0xfff, %[c]\n" /* one operation more, one level less */
	                                 "movq %[c], (%[t])\n" LEAVE
	                      : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s)
	                      : [rs] "r"(area->base), [id] "r"(area->cpu), [table] "r"(table), [at] "r"(at)
	                      : "memory", "cc"
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

	__asm__ goto volatile(ENTER FIND_MAGAZINE
	                      "movq (%[t]), %[c]\n"
	                      "movl %k[c], %k[s]\n"
	                      "andl $0xfff, %k[s]\n"
	                      "cmpl 8(%[t]), %k[s]\n"
	                      "jae %l[no]\n"
	                      "movl 12(%[t]), %k[b]\n"
	                      "addq %[t], %[b]\n"
	                      "movl %[value], (%[b],%[s],4)\n" STEP(
	                              3) "addq $0x1001, %[c]\n" /* one operation more, one level more */
	                                 "movq %[c], (%[t])\n" LEAVE
	                      : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s)
	                      : [rs] "r"(area->base), [id] "r"(area->cpu), [table] "r"(table), [at] "r"(at),
	                        [value] "r"(value)
	                      : "memory", "cc"
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
	        ENTER FIND_MAGAZINE "movq (%[t]), %[c]\n"
	                            "movl %k[c], %k[s]\n"
	                            "andl $0xfff, %k[s]\n"
	                            "jz %l[no]\n"
	                            "movq %[s], %[n]\n"
	                            "cmpq %[most], %[n]\n"
	                            "cmovaq %[most], %[n]\n" /* n = min(level, most) */
	                            "movl 12(%[t]), %k[b]\n"
	                            "addq %[t], %[b]\n"
	                            "subq %[n], %[s]\n"
	                            "leaq (%[b],%[s],4), %[b]\n"
	                            "movq %[n], %[i]\n"
	                            "905: movl -4(%[b],%[i],4), %k[s]\n"
	                            "movl %k[s], -4(%[values],%[i],4)\n"
	                            "subq $1, %[i]\n"
	                            "jnz 905b\n" STEP(3) "imulq $0xfff, %[n], %[s]\n"
	                                                 "addq %[s], %[c]\n"
	                                                 "movq %[c], (%[t])\n" LEAVE
	        : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s), [n] "=&r"(n), [i] "=&r"(i)
	        : [rs] "r"(area->base), [id] "r"(area->cpu), [table] "r"(table), [at] "r"(at),
	          [values] "r"(values), [most] "r"(most)
	        : "memory", "cc"
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
	        ENTER FIND_MAGAZINE "movq (%[t]), %[c]\n"
	                            "movl %k[c], %k[s]\n"
	                            "andl $0xfff, %k[s]\n"
	                            "movl 8(%[t]), %k[n]\n"
	                            "subq %[s], %[n]\n"
	                            "jbe %l[no]\n"
	                            "cmpq %[count], %[n]\n"
	                            "cmovaq %[count], %[n]\n" /* n = min(room, count) */
	                            "movl 12(%[t]), %k[b]\n"
	                            "addq %[t], %[b]\n"
	                            "leaq (%[b],%[s],4), %[b]\n"
	                            "movq %[n], %[i]\n"
	                            "905: movl -4(%[values],%[i],4), %k[s]\n"
	                            "movl %k[s], -4(%[b],%[i],4)\n"
	                            "subq $1, %[i]\n"
	                            "jnz 905b\n" STEP(3) "imulq $0x1001, %[n], %[s]\n"
	                                                 "addq %[s], %[c]\n"
	                                                 "movq %[c], (%[t])\n" LEAVE
	        : [t] "=&r"(t), [c] "=&r"(c), [b] "=&r"(b), [s] "=&r"(s), [n] "=&r"(n), [i] "=&r"(i)
	        : [rs] "r"(area->base), [id] "r"(area->cpu), [table] "r"(table), [at] "r"(at),
	          [values] "r"(values), [count] "r"(count)
	        : "memory", "cc"
	        : no);
	return (unsigned)n;
no:
	return 0;
}

/* entry[cpu] = distance, if this is `cpu`, *drainers is 0 and *ready is not. */
static inline bool arch_plug(const struct percpu_thread_area *area, char *table, uint64_t cpu,
                             int64_t distance, const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	uint64_t t, s;

	__asm__ goto volatile(
	        ENTER
	        "movslq %%fs:(%[id]), %[t]\n"
	        "cmpq %[cpu], %[t]\n"
	        "jne %l[no]\n"
	        "cmpl $0, (%[drainers])\n"
	        "jne %l[no]\n" STEP(2) "cmpb $0, (%[ready])\n"
	                               "je %l[no]\n" STEP(3) "movq %[distance], (%[table],%[t],8)\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s)
	        : [rs] "r"(area->base), [id] "r"(area->cpu), [table] "r"(table), [cpu] "r"(cpu),
	          [distance] "r"(distance), [drainers] "r"(drainers), [ready] "r"(ready)
	        : "memory", "cc"
	        : no);
	(void)s;
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
