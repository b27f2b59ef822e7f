/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A guest's physical addresses into a back end's: what each descriptor of a virtqueue costs first. isthmus's map beside what back ends do
 * themselves: a table of the guest's regions that is searched from its start, or by halves where it is sorted; bare, for back ends
 * in which nothing is looked up while a region goes, and under a reader-writer lock, for those in which that may be.
 */
#include <pthread.h>
#include <unistd.h>

#include "lib/random.h"
#include "suites.h"

enum { MOST = 509, ADDRESSES = 4096, LENGTH = 512, BATCH = 32, COUNTS = 5 };
#define REGION ((uint64_t)64 << 10)
#define STRIDE ((uint64_t)1 << 27) /* between regions: they are DIMMs, for all that translation knows */
#define RAM UINT64_C(0x100000000)
#define INLINE static inline __attribute__((always_inline))

struct region {
	uint64_t paddr, size;
	char *at;
};

/* As many regions as QEMU and KVM have at most, and fewer. */
static const unsigned counts[COUNTS] = {1, 2, 8, 32, MOST};
static struct guest {
	struct ist_manager *manager; /* null: not yet made */
	unsigned regions;
	struct region table[MOST];
	uint64_t address[ADDRESSES]; /* the same for everybody: any region, anywhere in it */
} guests[COUNTS];
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

INLINE char *at_region(const struct region *region, uint64_t paddr)
{
	uint64_t into = paddr - region->paddr;

	return into < region->size && LENGTH <= region->size - into ? region->at + into : NULL;
}

INLINE char *from_start(const struct guest *guest, uint64_t paddr)
{
	for (unsigned i = 0; i < guest->regions; i++) {
		char *at = at_region(&guest->table[i], paddr);

		if (at)
			return at;
	}
	return NULL;
}

INLINE char *by_halves(const struct guest *guest, uint64_t paddr)
{
	unsigned low = 0, count = guest->regions;

	while (count > 1) {
		unsigned half = count / 2;

		low = guest->table[low + half].paddr <= paddr ? low + half : low;
		count -= half;
	}
	return at_region(&guest->table[low], paddr);
}

INLINE char *by_isthmus(const struct guest *guest, uint64_t paddr)
{
	void *at;

	must(ist_phys_to_virt(guest->manager, paddr, LENGTH, &at));
	return at;
}

static void add_region(struct guest *guest, int fd)
{
	struct region *region = &guest->table[guest->regions];
	struct ist_backing backing = {.paddr = RAM + guest->regions++ * STRIDE, .size = REGION, .fd = fd};
	struct ist_registration registration = {.paddr = backing.paddr, .size = REGION, .owner = 1};
	struct ist_mapping mapping;

	must(ist_backing_add(guest->manager, &backing));
	must(ist_mapping_register(guest->manager, &registration, &mapping));
	*region = (struct region){backing.paddr, REGION, mapping.vaddr};
}

static void make(struct guest *guest, unsigned regions)
{
	struct ist_manager_config config = {
	        .vaddr = must_map(1 << 20), .size = 1 << 20, .paddr = UINT64_C(1) << 62};
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint64_t random = 1;

	must(fd < 0 || ftruncate(fd, REGION));
	must(ist_manager_create(&config, &guest->manager));
	must(ist_owner_create(guest->manager, &(struct ist_owner_config){.id = 1}));
	while (guest->regions < regions)
		add_region(guest, fd);
	close(fd);
	for (unsigned i = 0; i < ADDRESSES; i++)
		guest->address[i] = RAM + random_below(&random, regions) * STRIDE +
		                    random_below(&random, REGION - LENGTH);
}

static const struct guest *guest_of(const struct gbench_state *state)
{
	unsigned i = 0;

	while (counts[i] != (unsigned)gbench_argument(state))
		i++;
	if (!guests[i].manager)
		make(&guests[i], counts[i]);
	return &guests[i];
}

/* Nobody may leave the work out, and each must find the right place: the sum over all addresses says so. */
static void check(const struct guest *guest, uintptr_t found)
{
	uintptr_t right = 0;

	for (unsigned i = 0; i < ADDRESSES; i++)
		right += (uintptr_t)from_start(guest, guest->address[i]);
	must(found != right);
}

#define MEASURE(name, enter, find, leave, batch)                                                             \
	static void name(struct gbench_state *state, void *context)                                          \
	{                                                                                                    \
		const struct guest *guest = guest_of(state);                                                 \
		uintptr_t found = 0;                                                                         \
                                                                                                             \
		(void)context;                                                                               \
		while (gbench_keep_running_batch(state, ADDRESSES)) {                                        \
			found = 0;                                                                           \
			for (unsigned i = 0; i < ADDRESSES; i += (batch)) {                                  \
				enter;                                                                       \
				for (unsigned k = i; k < i + (batch); k++)                                   \
					found += (uintptr_t)find(guest, guest->address[k]);                  \
				leave;                                                                       \
			}                                                                                    \
		}                                                                                            \
		check(guest, found);                                                                         \
	}

MEASURE(bare_linear, (void)0, from_start, (void)0, 1)
MEASURE(bare_halves, (void)0, by_halves, (void)0, 1)
MEASURE(locked_linear, pthread_rwlock_rdlock(&lock), from_start, pthread_rwlock_unlock(&lock), 1)
MEASURE(locked_linear_batch, pthread_rwlock_rdlock(&lock), from_start, pthread_rwlock_unlock(&lock), BATCH)
MEASURE(isthmus, ist_read_enter(), by_isthmus, ist_read_leave(), 1)
MEASURE(isthmus_batch, ist_read_enter(), by_isthmus, ist_read_leave(), BATCH)

static void add(const char *who, gbench_function *function)
{
	gbench_over(gbench_register(function, NULL, "guest/translate/%s", who), "regions", 1, 2, 8, 32, MOST);
}

void suite_guest_register(void)
{
	add("table from its start", bare_linear);
	add("table by halves", bare_halves);
	add("table from its start, locked", locked_linear);
	add("table from its start, 32 a lock", locked_linear_batch);
	add("isthmus", isthmus);
	add("isthmus, 32 a read section", isthmus_batch);
}
