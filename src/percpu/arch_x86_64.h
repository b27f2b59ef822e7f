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
 * Operands: [base] and [id] are those of percpu_area, [table] is percpu.table, all three left in memory, so that
 * the callers need not save registers; [at] the bytes from a block to the magazine; [t] and [s] are scratch. The abort
 * stubs have a section of their own: what GCC lays near cold code may be reached by falling into it.
 */
#ifndef PERCPU_ARCH_H
#define PERCPU_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PERCPU_HAVE_RSEQ 1
#define PERCPU_RSEQ_SIGNATURE 0x53053053

#ifdef PERCPU_INJECT
/* For tests: spin at step n of every sequence, so that preemption and fences hit it there. [s] is lost. */
#define STEP(n)                                                                                              \
	"movl percpu_inject+4*" #n "(%%rip), %k[s]\n"                                                        \
	"91" #n ": subl $1, %k[s]\n"                                                                         \
	"jns 91" #n "b\n"
/* The same with the flags as they are, where [s] is rcx, and the position. */
#define STEP_BY_COUNT(n)                                                                                     \
	"movl percpu_inject+4*" #n "(%%rip), %%ecx\n"                                                        \
	"jecxz 92" #n "f\n"                                                                                  \
	"91" #n ": loop 91" #n "b\n"                                                                         \
	"92" #n ": movzwl %w[c], %k[s]\n"
#else
#define STEP(n)
#define STEP_BY_COUNT(n)
#endif

/* The control of the torture test: without this store the kernel knows of no sequence and never aborts one. */
#ifdef PERCPU_NO_SEQUENCE
#define ANNOUNCE ""
#else
#define ANNOUNCE "movq %[s], %%fs:8(%[t])\n"
#endif

#define COUNT_ABORT "lock incq percpu_aborts(%%rip)\n"
#define ENTER ENTER_OR(COUNT_ABORT "jmp %l[no]\n")
#define ENTER_OR(aborted)                                                                                    \
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
	"904: " aborted                                                                                      \
	".popsection\n"                                                                                      \
	"movq %[base], %[t]\n"                                                                               \
	"leaq 901b(%%rip), %[s]\n" ANNOUNCE "902:\n" STEP(1)

/* [t] = the distance to this CPU's block, [s] = the table that it is counted from. */
#define FIND_DISTANCE                                                                                        \
	"movq %[id], %[t]\n"                                                                                 \
	"movslq %%fs:(%[t]), %[t]\n"                                                                         \
	"movq %[table], %[s]\n"                                                                              \
	"movq (%[s],%[t],8), %[t]\n"

/* [t] = this CPU's magazine, [c] = its word, [s] = its position. */
#define FIND_MAGAZINE                                                                                        \
	FIND_DISTANCE                                                                                        \
	"addq %[s], %[t]\n"                                                                                  \
	"addq %[at], %[t]\n" LOOK

#define LOOK                                                                                                 \
	STEP(2)                                                                                              \
	"movq (%[t]), %[c]\n"                                                                                \
	"movzwl %w[c], %k[s]\n"

#define LEAVE "903:\n"

#define PLACE [base] "m"(percpu_area.base), [id] "m"(percpu_area.cpu), [table] "m"(*table)

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
struct arch_two {
	_Atomic uint8_t byte[2];
};
struct arch_four {
	_Atomic uint8_t byte[4];
};

static inline __attribute__((always_inline)) uint32_t arch_load(const _Atomic uint8_t *at, unsigned bytes)
{
	uint32_t value;

	if (bytes == 1)
		__asm__ volatile("movzbl %[at], %[value]" : [value] "=r"(value) : [at] "m"(at[0]));
	else if (bytes == 4)
		__asm__ volatile("movl %[at], %[value]"
		                 : [value] "=r"(value)
		                 : [at] "m"(*(const struct arch_four *)(uintptr_t)at));
	else
		__asm__ volatile("movzwl %[at], %[value]"
		                 : [value] "=r"(value)
		                 : [at] "m"(*(const struct arch_two *)(uintptr_t)at));
	return value;
}

static inline __attribute__((always_inline)) void arch_store(_Atomic uint8_t *at, unsigned bytes,
                                                             uint32_t value)
{
	if (bytes == 1)
		__asm__ volatile("movb %b[value], %[at]" : [at] "=m"(at[0]) : [value] "r"(value));
	else if (bytes == 4)
		__asm__ volatile("movl %[value], %[at]"
		                 : [at] "=m"(*(struct arch_four *)(uintptr_t)at)
		                 : [value] "r"(value));
	else
		__asm__ volatile("movw %w[value], %[at]"
		                 : [at] "=m"(*(struct arch_two *)(uintptr_t)at)
		                 : [value] "r"(value));
}

/*
 * bytes_publish and bytes_load_acquire. This machine stores in order and loads in order; and the compiler keeps volatile
 * assembly in order, whose accesses all of these are.
 */
#define arch_publish arch_store
#define arch_load_acquire arch_load

static inline __attribute__((always_inline)) bool arch_pop(char *const *table, size_t at, uint64_t *value,
                                                           uint64_t *token)
{
	uint64_t t, s, c, b, w;

	__asm__ goto volatile(ENTER FIND_DISTANCE
	                      "addq %[s], %[t]\n"
	                      "movq -8(%[t]), %[w]\n"
	                      "addq %[at], %[t]\n" LOOK "cmpl 12(%[t]), %k[s]\n" /* base */
	                      "je %l[no]\n"
	                      "movl -4(%[t],%[s],4), %k[b]\n"
	                      "addq $0xffff, %[c]\n" /* one operation more, one position less */
	                      STEP(3) "movq %[c], (%[t])\n" LEAVE
	                      : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [b] "=&r"(b), [w] "=&r"(w)
	                      : PLACE, [at] "rm"(at)
	                      : "memory", "cc"
	                      : no);
	*value = b;
	*token = w;
	return true;
no:
	return false;
}

static inline __attribute__((always_inline)) bool arch_push(char *const *table, size_t at, uint32_t value)
{
	uint64_t t, s, c;

	__asm__ goto volatile(ENTER FIND_MAGAZINE
	                      "cmpl 8(%[t]), %k[s]\n" /* limit */
	                      "jae %l[no]\n"
	                      "movl %[value], (%[t],%[s],4)\n"
	                      "addq $0x10001, %[c]\n" /* one operation more, one position more */
	                      STEP(3) "movq %[c], (%[t])\n" LEAVE
	                      : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c)
	                      : PLACE, [at] "rm"(at), [value] "r"(value)
	                      : "memory", "cc"
	                      : no);
	return true;
no:
	return false;
}

static inline unsigned arch_pop_batch(char *const *table, size_t at, uint32_t *values, uint64_t most)
{
	uint64_t t, s, c, k, n, i;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "movq %[s], %[n]\n"
	                            "subl 12(%[t]), %k[n]\n" /* level */
	                            "jz %l[no]\n"
	                            "cmpq %[most], %[n]\n"
	                            "cmovaq %[most], %[n]\n" /* n = min(level, most) */
	                            "subq %[n], %[s]\n"
	                            "leaq (%[t],%[s],4), %[k]\n"
	                            "movq %[n], %[i]\n"
	                            "905: movl -4(%[k],%[i],4), %k[s]\n"
	                            "movl %k[s], -4(%[values],%[i],4)\n"
	                            "subq $1, %[i]\n"
	                            "jnz 905b\n" STEP(3) "imulq $0xffff, %[n], %[s]\n"
	                                                 "addq %[s], %[c]\n"
	                                                 "movq %[c], (%[t])\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k), [n] "=&r"(n), [i] "=&r"(i)
	        : PLACE, [at] "rm"(at), [values] "r"(values), [most] "r"(most)
	        : "memory", "cc"
	        : no);
	return (unsigned)n;
no:
	return 0;
}

static inline unsigned arch_push_batch(char *const *table, size_t at, const uint32_t *values, uint64_t count)
{
	uint64_t t, s, c, k, n, i;

	__asm__ goto volatile(
	        ENTER FIND_MAGAZINE "movl 8(%[t]), %k[n]\n"
	                            "subq %[s], %[n]\n" /* limit - position */
	                            "jbe %l[no]\n"
	                            "cmpq %[count], %[n]\n"
	                            "cmovaq %[count], %[n]\n" /* n = min(room, count) */
	                            "leaq (%[t],%[s],4), %[k]\n"
	                            "movq %[n], %[i]\n"
	                            "905: movl -4(%[values],%[i],4), %k[s]\n"
	                            "movl %k[s], -4(%[k],%[i],4)\n"
	                            "subq $1, %[i]\n"
	                            "jnz 905b\n" STEP(3) "imulq $0x10001, %[n], %[s]\n"
	                                                 "addq %[s], %[c]\n"
	                                                 "movq %[c], (%[t])\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s), [c] "=&r"(c), [k] "=&r"(k), [n] "=&r"(n), [i] "=&r"(i)
	        : PLACE, [at] "rm"(at), [values] "r"(values), [count] "r"(count)
	        : "memory", "cc"
	        : no);
	return (unsigned)n;
no:
	return 0;
}

/*
 * percpu_retire, a function for numbers of one byte and one for those of two: the names of the instructions have the width in them.
 * The one instruction that clears the live bit commits; it is as wide as the number, for what is written in parts is
 * not read at once without delay. The generation is compared with all its 32 bits.
 */
#define RETIRE(bytes, suffix, mask)                                                                          \
	static inline __attribute__((always_inline)) bool arch_retire_##bytes(                               \
	        char *const *table, uint64_t token, _Atomic uint8_t *states, uint64_t place,                 \
	        const uint32_t *use, uint32_t base)                                                          \
	{                                                                                                    \
		uint64_t t, s;                                                                               \
                                                                                                             \
		__asm__ goto volatile(                                                                       \
		        ENTER FIND_DISTANCE                                                                  \
		        "cmpq %[token], -8(%[s],%[t])\n"                                                     \
		        "jne %l[no]\n" STEP(2) "movz" suffix "l (%[states],%[place]), %k[s]\n"               \
		                               "subl %[fixed], %k[s]\n"                                      \
		                               "cmpl %[use], %k[s]\n"                                        \
		                               "jne %l[no]\n" STEP(3) "and" suffix " $" mask                 \
		                                                      ", (%[states],%[place])\n" LEAVE       \
		        : [t] "=&r"(t), [s] "=&r"(s)                                                         \
		        : PLACE, [token] "r"(token), [states] "r"(states), [place] "r"(place),               \
		          [use] "m"(*use), [fixed] "ri"(base)                                                \
		        : "memory", "cc"                                                                     \
		        : no);                                                                               \
		return true;                                                                                 \
	no:                                                                                                  \
		return false;                                                                                \
	}
RETIRE(1, "b", "0x7f")
RETIRE(2, "w", "0xff7f")
#undef RETIRE

/*
 * percpu_retire_push. Two stores count: the one that ends the object, and the one that raises the magazine's level. Whether the
 * first was made is in the flags, wherever the sequence was aborted, as they are what the kernel leaves alone: it is an addition
 * with a carry (CF) and a positive sum (not SF). No instruction before it leaves these two: a test, an exclusive or and a sum of
 * addresses have no carry, and where the position is less than the limit, the difference is negative.
 */
#define RETIRE_PUSH(bytes, suffix)                                                                           \
	static inline __attribute__((always_inline)) enum arch_retired arch_retire_push_##bytes(             \
	        char *const *table, uint64_t token, size_t at, _Atomic uint8_t *states, uint64_t place,      \
	        const uint32_t *use, uint32_t base)                                                          \
	{                                                                                                    \
		uint64_t t, s, c;                                                                            \
                                                                                                             \
		__asm__ goto volatile(                                                                       \
		        "testb $1, %b[token]\n" /* on */                                                     \
		        "je %l[no]\n" ENTER_OR("jnc 905f\n"                                                  \
		                               "js 905f\n" COUNT_ABORT "jmp %l[half]\n"                      \
		                               "905: " COUNT_ABORT "jmp %l[no]\n") FIND_DISTANCE             \
		        "movq -8(%[s],%[t]), %[c]\n"                                                         \
		        "xorq %[token], %[c]\n"                                                              \
		        "jne %l[no]\n"                                                                       \
		        "leaq (%[s],%[t]), %[t]\n"                                                           \
		        "addq %[at], %[t]\n"                                                                 \
		        "movz" suffix "l (%[states],%[place]), %k[s]\n"                                      \
		        "xorl %[number], %k[s]\n"                                                            \
		        "jne %l[no]\n"                                                                       \
		        "movq (%[t]), %[c]\n"                                                                \
		        "movzwl %w[c], %k[s]\n"                                                              \
		        "cmpl 8(%[t]), %k[s]\n" /* limit */                                                  \
		        "jae %l[no]\n" STEP_BY_COUNT(2) "movl %k[place], (%[t],%[s],4)\n"                    \
		                                        "leaq 0x10001(%[c]), %[c]\n"                         \
		                                        "add" suffix " $-0x80, (%[states],%[place])\n"       \
		        STEP_BY_COUNT(3) "movq %[c], (%[t])\n" LEAVE                                         \
		        : [t] "=&r"(t), [s] "=&c"(s), [c] "=&r"(c)                                           \
		        : PLACE, [token] "r"(token), [at] "rm"(at), [states] "r"(states),                    \
		          [place] "r"(place), [number] "rm"(*use + base)                                     \
		        : "memory", "cc"                                                                     \
		        : no, half);                                                                         \
		return ARCH_PUSHED;                                                                          \
	no:                                                                                                  \
		return ARCH_REFUSED;                                                                         \
	half:                                                                                                \
		return ARCH_RETIRED;                                                                         \
	}
RETIRE_PUSH(1, "b")
RETIRE_PUSH(2, "w")
#undef RETIRE_PUSH

/*
 * percpu_retire_push_batch: one by one, as each number has a commit of its own, until one is not like the others or there is
 * no room; then all of them are in the magazine with one store. stos moves `to` on (arch_done_of).
 */
static inline struct arch_done arch_retire_push_batch(char *const *table, uint64_t token, size_t at,
                                                      struct arch_batch *batch, void *const *vaddrs,
                                                      uint64_t count)
{
	_Atomic uint8_t *const states = batch->states;
	const uint32_t behind = batch->behind, owner = batch->owner;
	_Atomic uint8_t *to = states;
	uint64_t t, s, m, e, a, i = 0;

	__asm__ volatile(ENTER_OR(COUNT_ABORT "xorl %k[t], %k[t]\n" /* or in a child, where nothing is done */
	                                      "jmp 907f\n") FIND_DISTANCE
	                 "movq -8(%[s],%[t]), %[m]\n"
	                 "cmpq %[token], %[m]\n"
	                 "jne 907f\n"
	                 "addq %[s], %[t]\n"
	                 "addq %[at], %[t]\n" STEP(2) "movzwl (%[t]), %k[m]\n" /* position */
	                                              "movl 8(%[t]), %k[e]\n" /* limit */
	                                              "subl %k[m], %k[e]\n"
	                                              "jbe 907f\n"
	                                              "cmpq %[count], %[e]\n"
	                                              "cmovaq %[count], %[e]\n" /* min(room, count) */
	                                              "leaq (%[t],%[m],4), %[m]\n"
	                                              "905: movq (%[vaddrs],%[i],8), %[s]\n"
	                                              "subq %c[lies](%[batch]), %[s]\n"
	                                              "rorq $3, %[s]\n"
	                                              "cmpq %c[places](%[batch]), %[s]\n"
	                                              "jae 906f\n"
	                                              "movl %k[s], %c[places_at](%[batch],%[i],4)\n"
	                                              "movl %k[s], (%[m],%[i],4)\n"
	                                              "leaq (%[states],%[s]), %[to]\n"
	                                              "movzwl (%[to]), %k[a]\n"
	                                              "leal -%c[live](%[a]), %k[s]\n"
	                                              "testl %[fixed], %k[s]\n"
	                                              "jne 906f\n"
	                                              "cmpw %w[behind], 2(%[to])\n"
	                                              "jne 906f\n"
	                                              "cmpl %k[owner], 4(%[to])\n"
	                                              "jne 906f\n"
	                                              "cmpw %w[a], (%[to])\n" /* once more */
	                                              "jne 906f\n"
	                                              "addl $-128, %k[a]\n"
	                                              "stosw\n" STEP(3) "addq $1, %[i]\n"
	                                                                "cmpq %[e], %[i]\n"
	                                                                "jb 905b\n"
	                                                                "906: imulq $0x10001, %[i], %[s]\n"
	                                                                "addq %[s], (%[t])\n" LEAVE
	                                                                "907:\n"
	                 : [t] "=&r"(t), [s] "=&r"(s), [m] "=&r"(m), [e] "=&r"(e), [a] "=&a"(a), [i] "+&r"(i),
	                   [to] "+&D"(to)
	                 : PLACE, [token] "rm"(token), [at] "rm"(at), [vaddrs] "r"(vaddrs), [count] "rm"(count),
	                   [batch] "r"(batch), [states] "r"(states), [behind] "r"(behind), [owner] "r"(owner),
	                   [lies] "i"(offsetof(struct arch_batch, base)),
	                   [places] "i"(offsetof(struct arch_batch, places)),
	                   [places_at] "i"(offsetof(struct arch_batch, at)), [live] "i"(ARCH_NUMBER),
	                   [fixed] "i"(ARCH_NUMBER_FIXED)
	                 : "memory", "cc");
	return arch_done_of(batch, t == 0, (uint32_t)i, count, to);
}

static inline __attribute__((always_inline)) bool
arch_replace(char *const *table, uint64_t token, _Atomic uint64_t *at, uint64_t expected, uint64_t next)
{
	uint64_t t, s;

	__asm__ goto volatile(
	        ENTER FIND_DISTANCE
	        "cmpq %[token], -8(%[s],%[t])\n"
	        "jne %l[no]\n" STEP(2) "cmpq %[expected], (%[at])\n"
	                               "jne %l[no]\n" STEP(3) "movq %[next], (%[at])\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s)
	        : PLACE, [token] "r"(token), [at] "r"(at), [expected] "r"(expected), [next] "r"(next)
	        : "memory", "cc"
	        : no);
	return true;
no:
	return false;
}

/* entry[cpu] = distance, if this is `cpu`, *drainers is 0 and *ready is not. */
/* Each load of this machine is an acquire: `drainers` [percpu.D4] comes before `ready` and all that follows. */
static inline bool arch_plug(char *const *table, uint64_t cpu, int64_t distance,
                             const _Atomic uint32_t *drainers, const _Atomic uint8_t *ready)
{
	uint64_t t, s;

	__asm__ goto volatile(
	        ENTER "movq %[id], %[t]\n"
	              "movslq %%fs:(%[t]), %[t]\n"
	              "cmpq %[cpu], %[t]\n"
	              "jne %l[no]\n"
	              "cmpl $0, (%[drainers])\n"
	              "jne %l[no]\n" STEP(2) "cmpb $0, (%[ready])\n"
	                                     "je %l[no]\n" STEP(3) "movq %[table], %[s]\n"
	                                                           "movq %[distance], (%[s],%[t],8)\n" LEAVE
	        : [t] "=&r"(t), [s] "=&r"(s)
	        : PLACE, [cpu] "r"(cpu), [distance] "r"(distance), [drainers] "r"(drainers),
	          [ready] "r"(ready)
	        : "memory", "cc"
	        : no);
	return true;
no:
	return false;
}

#undef STEP
#undef STEP_BY_COUNT
#undef ANNOUNCE
#undef ENTER
#undef ENTER_OR
#undef COUNT_ABORT
#undef FIND_DISTANCE
#undef FIND_MAGAZINE
#undef LOOK
#undef LEAVE
#undef PLACE

#endif
