/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A guest's physical addresses into a back end's: what each descriptor of a virtqueue costs first. isthmus's map beside what back ends do
 * themselves: a table of the guest's regions that is searched from its start, or by halves where it is sorted; bare, for back ends
 * in which nothing is looked up while a region goes, and under a reader-writer lock, for those in which that may be.
 *
 * usage: bench-guest [--quick]
 */
#include <isthmus/isthmus.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/machine.h"
#include "lib/rounds.h"

enum { MOST = 509, ADDRESSES = 4096, TURNS = 64, LENGTH = 512, BATCH = 32 };
#define REGION ((uint64_t)64 << 10)
#define STRIDE ((uint64_t)1 << 27) /* between regions: they are DIMMs, for all that translation knows */
#define RAM UINT64_C(0x100000000)

struct region {
	uint64_t paddr, size;
	char *at;
};

/* As many regions as QEMU and KVM have at most; those in use are the first. */
static struct region table[MOST];
static unsigned regions;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct ist_manager *manager;
static uint64_t address[ADDRESSES];
static int rounds = 15;

static inline __attribute__((always_inline)) char *at_region(const struct region *region, uint64_t paddr)
{
	uint64_t into = paddr - region->paddr;

	return into < region->size && LENGTH <= region->size - into ? region->at + into : NULL;
}

static inline __attribute__((always_inline)) char *from_start(uint64_t paddr)
{
	for (unsigned i = 0; i < regions; i++) {
		char *at = at_region(&table[i], paddr);

		if (at)
			return at;
	}
	return NULL;
}

static inline __attribute__((always_inline)) char *by_halves(uint64_t paddr)
{
	unsigned low = 0, count = regions;

	while (count > 1) {
		unsigned half = count / 2;

		low = table[low + half].paddr <= paddr ? low + half : low;
		count -= half;
	}
	return at_region(&table[low], paddr);
}

/* Nobody may leave the work out, and each must have found the right place: the sum says so. */
static uintptr_t sum;

#define MEASURE(name, enter, find, leave, batch)                                                             \
	static double name(void *context)                                                                    \
	{                                                                                                    \
		double begin = clock_seconds();                                                              \
		uintptr_t found = 0;                                                                         \
                                                                                                             \
		(void)context;                                                                               \
		for (unsigned turn = 0; turn < TURNS; turn++) {                                              \
			for (unsigned i = 0; i < ADDRESSES; i += (batch)) {                                  \
				enter;                                                                       \
				for (unsigned k = i; k < i + (batch); k++)                                   \
					found += (uintptr_t)(find);                                          \
				leave;                                                                       \
			}                                                                                    \
		}                                                                                            \
		sum = found;                                                                                 \
		return (clock_seconds() - begin) * 1e9 / TURNS / ADDRESSES;                                  \
	}

static inline __attribute__((always_inline)) void *by_isthmus(uint64_t paddr)
{
	void *at;

	if (ist_phys_to_virt(manager, paddr, LENGTH, &at))
		abort();
	return at;
}

MEASURE(linear, (void)0, from_start(address[k]), (void)0, 1)
MEASURE(halves, (void)0, by_halves(address[k]), (void)0, 1)
MEASURE(linear_locked, pthread_rwlock_rdlock(&lock), from_start(address[k]), pthread_rwlock_unlock(&lock), 1)
MEASURE(linear_locked_batch, pthread_rwlock_rdlock(&lock), from_start(address[k]),
        pthread_rwlock_unlock(&lock), BATCH)
MEASURE(isthmus, ist_read_enter(), by_isthmus(address[k]), ist_read_leave(), 1)
MEASURE(isthmus_batch, ist_read_enter(), by_isthmus(address[k]), ist_read_leave(), BATCH)

static struct round_values values[] = {
        {.name = "table from its start", .measure = linear},
        {.name = "table by halves", .measure = halves},
        {.name = "table from its start, locked", .measure = linear_locked},
        {.name = "the same, 32 a lock", .measure = linear_locked_batch},
        {.name = "isthmus", .measure = isthmus},
        {.name = "isthmus, 32 a read section", .measure = isthmus_batch},
};
enum { SUBJECTS = sizeof(values) / sizeof(values[0]) };

static int add_regions(unsigned count, int fd)
{
	for (; regions < count; regions++) {
		struct ist_backing backing = {.paddr = RAM + regions * STRIDE, .size = REGION, .fd = fd};
		struct ist_registration registration = {.paddr = backing.paddr, .size = REGION, .owner = 1};
		struct ist_mapping mapping;

		if (ist_backing_add(manager, &backing) ||
		    ist_mapping_register(manager, &registration, &mapping))
			return -1;
		table[regions] = (struct region){backing.paddr, REGION, mapping.vaddr};
	}
	return 0;
}

/* The same for everybody: any region, anywhere in it. */
static void choose_addresses(void)
{
	uint64_t state = 1;

	for (unsigned i = 0; i < ADDRESSES; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		address[i] = RAM + (state >> 33) % regions * STRIDE + (state >> 20) % (REGION - LENGTH);
	}
}

static int one_table(void)
{
	uintptr_t right;

	choose_addresses();
	right = (linear(NULL), sum);
	for (int i = 0; i < SUBJECTS; i++) {
		values[i].measure(NULL);
		if (sum != right) {
			fprintf(stderr, "%s finds something else\n", values[i].name);
			return -1;
		}
	}
	rounds_run(values, SUBJECTS, rounds);
	printf("\n%u region%s: ns a translation, medians of %d rounds [lowest..highest], times the table from its start\n",
	       regions, regions == 1 ? "" : "s", rounds);
	for (int i = 0; i < SUBJECTS; i++)
		printf("  %-30s %8.2f [%.2f..%.2f] %8.2f\n", values[i].name, values[i].median, values[i].low,
		       values[i].high, values[i].median / values[0].median);
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = {1, 2, 8, 32, MOST};
	struct ist_manager_config config = {.size = 1 << 20, .paddr = UINT64_C(1) << 62};
	struct ist_owner_config owner = {.id = 1};
	int fd = memfd_create("guest", MFD_CLOEXEC), error = 0;

	if (argc > 1 && !strcmp(argv[1], "--quick"))
		rounds = 3;
	machine_print();
	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ftruncate(fd, REGION) || config.vaddr == MAP_FAILED ||
	    ist_manager_create(&config, &manager) || ist_owner_create(manager, &owner)) {
		fprintf(stderr, "no memory for a guest\n");
		return 1;
	}
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]) && !error; i++)
		error = add_regions(counts[i], fd) ? -1 : one_table();
	if (error || ist_owner_destroy(manager, 1)) {
		fprintf(stderr, "bench-guest failed\n");
		return 1;
	}
	while (regions > 0) {
		if (ist_backing_remove(manager, table[--regions].paddr))
			return 1;
	}
	return ist_manager_destroy(manager) != 0;
}
