/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "percpu/rseq.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "percpu/percpu.h"
#include "platform/platform.h"

/* The kernel's area for a thread (struct rseq of its ABI): what is used of it. */
#define AREA_CPU 4 /* number of the CPU; negative while the thread is not registered */
#define AREA_MM_CID 24
#define AREA_BYTES 32
#define AUXV_AREA_BYTES 27 /* AT_RSEQ_FEATURE_SIZE: how many bytes of it this kernel fills in */

/* Since glibc 2.35; other C libraries have none. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

/* What the fast paths read where there is no such area: laid out alike, never registered. */
static _Thread_local struct {
	int32_t start, cpu;
	uint64_t sequence;
	uint64_t rest[2];
} no_area __attribute__((aligned(AREA_BYTES))) = {.cpu = -1};

struct percpu_thread_area percpu_area;
_Atomic uint64_t percpu_aborts __attribute__((used));
#ifdef PERCPU_INJECT
int32_t percpu_inject[4] __attribute__((used));
#endif

#ifdef ISTHMUS_TEST_HOOKS
static bool alone;

void percpu_pretend_alone(void)
{
	alone = true;
}
#else
enum { alone = false };
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;
static unsigned possible_cpus, numbers;

static int32_t read_area(int64_t offset)
{
	const char *at = (const char *)__builtin_thread_pointer() + offset;

	return __atomic_load_n((const int32_t *)(const void *)at, __ATOMIC_RELAXED);
}

int32_t rseq_number(void)
{
	return read_area(percpu_area.cpu);
}

uint32_t rseq_cpu(void)
{
	int32_t cpu = read_area(percpu_area.base + AREA_CPU);

	return cpu < 0 ? 0 : (uint32_t)cpu;
}

bool rseq_counts_threads(void)
{
	return percpu_area.cpu == percpu_area.base + AREA_MM_CID;
}

static bool membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}

bool rseq_fence(void)
{
	return alone || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) ||
	       (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) &&
	        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ));
}

/*
 * aarch64 kernels from 6.19 and before 7.1 do not abort a sequence when its thread is preempted and comes back on the
 * same CPU. A fixed kernel of those versions is refused as well: the only test that can tell takes milliseconds
 * and a second thread.
 */
static bool kernel_is_trusted(void)
{
#ifdef __aarch64__
	struct utsname name;
	unsigned major, minor;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return !((major == 6 && minor >= 19) || (major == 7 && minor == 0));
#else
	return true;
#endif
}

#define NUMBERS_MOST (1u << 16)

/*
 * "0-3,8-11" and the like: one more than the last number. Without it, what there is now, and *certain is false: a CPU
 * with a higher number may come, so nothing may be indexed by what the kernel says.
 */
static unsigned read_possible_cpus(bool *certain)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	long configured = sysconf(_SC_NPROCESSORS_CONF);
	unsigned first, last, highest = 0;
	bool found = false;

	while (file && fscanf(file, "%u", &first) == 1) {
		last = first;
		if (fscanf(file, "-%u", &last) < 0)
			last = first;
		highest = last > highest ? last : highest;
		found = true;
		if (fgetc(file) != ',')
			break;
	}
	if (file)
		fclose(file);
	*certain = found && highest < NUMBERS_MOST;
	if (!*certain)
		highest = configured > 0 ? (unsigned)configured - 1 : 0;
	return highest + 1;
}

/* The kernel gives out masks of CPUs as long as its own are, whatever it lets us run on. 0: it gives out none. */
static unsigned read_numbers(void)
{
	unsigned long mask[NUMBERS_MOST / (8 * sizeof(unsigned long))];
	long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);

	return bytes > 0 ? (unsigned)bytes * 8 : 0;
}

unsigned rseq_possible_cpus(void)
{
	return possible_cpus;
}

unsigned rseq_numbers(void)
{
	return numbers > possible_cpus ? numbers : possible_cpus;
}

static void use_no_area(void)
{
	percpu_area.base = (const char *)&no_area - (const char *)__builtin_thread_pointer();
	percpu_area.cpu = percpu_area.base + AREA_CPU;
}

static bool find_area(void)
{
	if (!PERCPU_HAVE_RSEQ || !&__rseq_offset || !&__rseq_size || __rseq_size == 0)
		return false;
	percpu_area.base = __rseq_offset;
	/* The C library registers 32 bytes even where it claims fewer; what the kernel fills in is its own word. */
	percpu_area.cpu =
	        percpu_area.base + (getauxval(AUXV_AREA_BYTES) >= AREA_MM_CID + 4 ? AREA_MM_CID : AREA_CPU);
	return read_area(percpu_area.base + AREA_CPU) >= 0 && rseq_number() >= 0 &&
	       (unsigned)rseq_number() < possible_cpus;
}

/* One block that every entry of a table leads to, this thread alone with it. */
struct trial {
	struct magazine magazine;
	uint32_t slots[8];
	uint32_t drainers;
	uint8_t ready;
};

#define TRIAL_BASE ((uint32_t)offsetof(struct trial, slots) / (uint32_t)sizeof(uint32_t))

static bool try_sequences(char *const *table, struct trial *trial)
{
	uint32_t values[4] = {11, 12, 13, 14}, out[4] = {0};
	uint64_t one = 0, token;
	unsigned tries = 0, moved = 0, taken = 0;

	/* An abort looks like a refusal: a few tries of each. */
	while (tries++ < 16 && moved == 0)
		moved = arch_push_batch(table, 0, values, 3);
	while (tries++ < 32 && moved == 3 && arch_push(table, 0, 14))
		moved++;
	while (tries++ < 64 && !arch_pop(table, 0, &one, &token))
		continue;
	while (tries++ < 96 && taken == 0)
		taken = arch_pop_batch(table, 0, out, 2);
	return moved == 4 && one == 14 && taken == 2 && out[0] == 12 && out[1] == 13 &&
	       atomic_load_explicit(&trial->magazine.word, memory_order_relaxed) ==
	               (7 * MAGAZINE_OPERATION | (TRIAL_BASE + 1)) &&
	       trial->slots[0] == 11;
}

static bool passes_trial(void)
{
	size_t entries = possible_cpus + 2, bytes = entries * sizeof(int64_t) + sizeof(struct trial);
	int64_t *memory = platform_map(bytes);
	struct trial *trial = (struct trial *)(void *)(memory + entries);
	char *table;
	bool passed;

	if (!memory)
		return false;
	for (size_t i = 0; i < entries; i++)
		memory[i] = (char *)trial - (char *)(memory + 2);
	magazine_begin(&trial->magazine, TRIAL_BASE);
	magazine_set_capacity(&trial->magazine, 4);
	table = (char *)(memory + 2);
	passed = try_sequences(&table, trial);
	platform_unmap(memory, bytes);
	return passed;
}

static void start(void)
{
	bool certain;

	possible_cpus = read_possible_cpus(&certain);
	numbers = read_numbers();
	usable = certain && numbers && find_area() && kernel_is_trusted() &&
	         membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) &&
	         membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) && passes_trial();
	if (!usable)
		use_no_area();
}

bool rseq_start(void)
{
	if (alone) {
		use_no_area();
		no_area.cpu = 0;
		possible_cpus = 1;
		return PERCPU_HAVE_RSEQ;
	}
	pthread_once(&once, start);
	/* Registered for the memory of a process: once more in a forked child that makes its own. */
	return usable && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
}
