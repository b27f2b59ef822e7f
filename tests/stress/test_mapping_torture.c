/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Readers look up and touch guest memory while writers register, unregister and destroy guests without pause. Every word of the
 * guest's RAM holds its physical address, so whatever a lookup returned is checked where it points.
 *
 * Prints what was seen. These must be 0:
 *   wrong   the memory found is not that of the address asked for, or a found mapping is not the one asked for
 *   gap     a mapping that is registered all the time was not found
 *   late    something was found that was unregistered before the lookup began
 * and no reader may be killed by touching what it found.
 *
 * Also compiled with a fault built in (MUTANT, base/mutant.h): then the same run, in a child process, must find it,
 * by one of these counts or by a crash.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mutant.h"
#include "support/catch.h"
#include "support/crew.h"
#include "support/model.h"
#include "support/support.h"

#define REQUIRE MODEL_REQUIRE
#define PAGE IST_PAGE_SIZE
#define RAM_PADDR UINT64_C(0x200000000)

enum { PATIENCE = 60 /* s */ };
enum { RAM_PAGES = 1024, KEPT = 64, CHANGING = 256, READERS = 2, WRITERS = 2, LIST = 6 };

static struct ist_manager *manager;
static _Atomic bool stop;
static _Atomic bool seen_reference, seen_unregistered;

/*
 * Changing mapping i belongs to writer i % WRITERS, who counts its generations: odd while it is registered. Its cookie tells
 * the generation, and its pages are a function of {i, generation}. Kept mapping i is registered all the time.
 */
static _Atomic uint64_t generation[CHANGING];

static uint64_t mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	x ^= x >> 32;
	return x * UINT64_C(0xd6e8feb86659fd93);
}

static uint32_t guest_of(unsigned i)
{
	return 1 + i % 3;
}

static uint64_t cookie_of(unsigned i, uint64_t number)
{
	return (number << 16 | i) + 1;
}

/* Kept ones have the first pages, so that no changing one covers them. */
static size_t pages_of(unsigned i, uint64_t number, uint64_t *pages)
{
	uint64_t x = mix((uint64_t)i << 40 ^ number);
	size_t count = 1 + (size_t)(x >> 60) % LIST;

	for (size_t k = 0; k < count; k++) {
		bool next = k > 0 && (x >> k & 1);

		pages[k] = next ? pages[k - 1] + PAGE
		                : RAM_PADDR + (KEPT + mix(x + k) % (RAM_PAGES - KEPT - LIST)) * PAGE;
	}
	return count;
}

static void check_words(struct ist_mapping *mapping, const uint64_t *pages, size_t count, uint64_t *wrong)
{
	for (size_t k = 0; k < count; k++)
		*wrong += *(const _Atomic uint64_t *)(void *)((char *)mapping->vaddr + k * PAGE + 8 * k) !=
		          pages[k] + 8 * k;
}

struct reader {
	uint64_t seed, lookups, found, references, wrong, gap, late;
};

static void look_up_kept(struct reader *reader)
{
	unsigned i = (unsigned)random_below(&reader->seed, KEPT);
	struct ist_mapping found;
	void *vaddr;

	ist_read_enter();
	if (ist_mapping_find(manager, 0, i + 1, &found) ||
	    ist_phys_to_virt(manager, RAM_PADDR + i * PAGE + 16, 8, &vaddr)) {
		reader->gap++;
	} else {
		reader->wrong += found.cookie != i + 1 || *(uint64_t *)vaddr != RAM_PADDR + i * PAGE + 16;
		reader->found++;
	}
	ist_read_leave();
}

static void look_up_cookie(struct reader *reader)
{
	unsigned i = (unsigned)random_below(&reader->seed, CHANGING);
	uint64_t number = atomic_load_explicit(&generation[i], memory_order_acquire) | 1, pages[LIST];
	size_t count = pages_of(i, number, pages);
	struct ist_mapping found;

	ist_read_enter();
	if (ist_mapping_find(manager, guest_of(i), cookie_of(i, number), &found) == 0) {
		check_words(&found, pages, count, &reader->wrong);
		reader->found++;
	}
	/* One that was unregistered before this began. */
	reader->late +=
	        number > 2 && ist_mapping_find(manager, guest_of(i), cookie_of(i, number - 2), &found) == 0;
	ist_read_leave();
}

/* With a reference: outside a section, and a while. */
static void hold(struct reader *reader)
{
	unsigned i = (unsigned)random_below(&reader->seed, CHANGING);
	uint64_t number = atomic_load_explicit(&generation[i], memory_order_acquire) | 1, pages[LIST];
	size_t count = pages_of(i, number, pages);
	struct ist_mapping found, copy;

	if (random_next(&reader->seed) % 2) {
		if (ist_mapping_find_get(manager, guest_of(i), cookie_of(i, number), &found))
			return;
	} else {
		if (ist_mapping_find(manager, guest_of(i), cookie_of(i, number), &found))
			return;
		copy = found;
		mutant_dwell();
		if (ist_mapping_get(manager, &copy))
			return;
	}
	reader->references++;
	atomic_store_explicit(&seen_reference, true, memory_order_relaxed);
	for (size_t again = random_below(&reader->seed, 20); again > 0; again--) {
		check_words(&found, pages, count, &reader->wrong);
		sched_yield();
	}
	check_words(&found, pages, count, &reader->wrong);
	REQUIRE(ist_mapping_put(manager, &found) == 0);
}

static void look_up_paddr(struct reader *reader)
{
	uint64_t paddr = RAM_PADDR + (KEPT + random_below(&reader->seed, RAM_PAGES - KEPT)) * PAGE + 8, back;
	struct ist_mapping found;
	void *vaddr;

	ist_read_enter();
	if (ist_phys_to_virt(manager, paddr, 8, &vaddr) == 0) {
		reader->wrong += *(uint64_t *)vaddr != paddr;
		reader->found++;
		if (ist_virt_to_phys(manager, vaddr, 8, &back) == 0)
			reader->wrong += back != paddr;
	}
	if (ist_mapping_find_paddr(manager, paddr, 8, &found, &vaddr) == 0)
		reader->wrong += *(uint64_t *)vaddr != paddr;
	ist_read_leave();
}

static void *read_on(void *argument)
{
	struct reader *reader = argument;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		switch (random_next(&reader->seed) % 8) {
		case 0:
			look_up_kept(reader);
			break;
		case 1:
		case 2:
			hold(reader);
			break;
		case 3:
			look_up_paddr(reader);
			break;
		default:
			look_up_cookie(reader);
		}
		reader->lookups++;
	}
	return NULL;
}

struct writer {
	unsigned number;
	uint64_t seed, registered, unregistered, busy, destroyed;
};

/*
 * A reader that was put to sleep inside a section holds back what waits for readers, and the limits of that are told: try
 * again. How often is printed.
 */
static _Atomic uint64_t later;

static bool try_again(int error)
{
	if (error != -EAGAIN && error != -ENOMEM)
		return false;
	atomic_fetch_add_explicit(&later, 1, memory_order_relaxed);
	usleep(1000);
	return true;
}

static int persistently_register(const struct ist_registration *r, struct ist_mapping *out)
{
	int error;

	do
		error = ist_mapping_register(manager, r, out);
	while (try_again(error));
	if (error)
		fprintf(stderr, "register: %d\n", error);
	return error;
}

static int persistently_unregister(uint32_t owner, uint64_t cookie, unsigned flags)
{
	int error;

	do
		error = ist_mapping_unregister(manager, owner, cookie, flags);
	while (try_again(error));
	return error;
}

static int persistently_destroy(uint32_t owner)
{
	int error;

	do
		error = ist_owner_destroy(manager, owner);
	while (try_again(error));
	return error;
}

static void add(struct writer *writer, unsigned i)
{
	uint64_t number = atomic_load_explicit(&generation[i], memory_order_relaxed) + 1, pages[LIST];
	size_t count = pages_of(i, number, pages);
	struct ist_registration r = {.pages = pages,
	                             .page_count = count,
	                             .size = count * PAGE,
	                             .owner = guest_of(i),
	                             .cookie = cookie_of(i, number)};
	struct ist_mapping mapping;

	REQUIRE(persistently_register(&r, &mapping) == 0);
	atomic_store_explicit(&generation[i], number, memory_order_release);
	writer->registered++;
}

static void take_away(struct writer *writer, unsigned i)
{
	uint64_t number = atomic_load_explicit(&generation[i], memory_order_relaxed);
	bool try = random_next(&writer->seed) % 2;
	int error = ist_mapping_unregister(manager, guest_of(i), cookie_of(i, number),
	                                   try ? IST_UNREGISTER_TRY : 0);

	writer->busy += error == -EBUSY;
	if (error == -EBUSY && try)
		return;
	REQUIRE(error == 0);
	atomic_store_explicit(&generation[i], number + 1, memory_order_release);
	writer->unregistered++;
	atomic_store_explicit(&seen_unregistered, true, memory_order_relaxed);
}

/* A guest of this writer alone comes and goes, with mappings of the pages that all use. */
static void guest_comes_and_goes(struct writer *writer)
{
	struct ist_owner_config config = {.id = 100 + writer->number};
	int error = ist_owner_create(manager, &config);

	if (error == -EBUSY) /* a reader holds the last one's */
		return;
	REQUIRE(error == 0);
	for (uint64_t k = 0; k < 20; k++) {
		struct ist_registration r = {
		        .paddr =
		                RAM_PADDR + (KEPT + random_below(&writer->seed, RAM_PAGES - KEPT - 4)) * PAGE,
		        .size = 4 * PAGE,
		        .owner = config.id,
		        .cookie = k + 1};
		struct ist_mapping mapping;

		REQUIRE(persistently_register(&r, &mapping) == 0);
		if (k == 7)
			REQUIRE(ist_mapping_get(manager, &mapping) == 0 &&
			        ist_mapping_put(manager, &mapping) == 0);
	}
	error = persistently_destroy(config.id);
	REQUIRE(error == 0 || error == -EBUSY);
	writer->destroyed++;
}

/* Many at once, so that the index grows and shrinks while the kept ones are looked up. */
static void crowd(struct writer *writer)
{
	enum { CROWD = 600 };
	struct ist_registration r = {.paddr = RAM_PADDR + (KEPT + 5) * PAGE, .size = PAGE};
	struct ist_mapping mapping;
	uint64_t base = (uint64_t)(writer->number + 1) << 32;

	for (uint64_t k = 0; k < CROWD; k++) {
		r.cookie = base + k;
		r.paddr = RAM_PADDR + (KEPT + k) * PAGE;
		REQUIRE(persistently_register(&r, &mapping) == 0);
	}
	for (uint64_t k = 0; k < CROWD; k++)
		REQUIRE(persistently_unregister(0, base + k, 0) == 0);
}

static void *write_on(void *argument)
{
	struct writer *writer = argument;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned i =
		        (unsigned)random_below(&writer->seed, CHANGING / WRITERS) * WRITERS + writer->number;
		uint32_t dice = random_next(&writer->seed) % 2000;

		if (dice == 0)
			crowd(writer);
		else if (dice < 8)
			guest_comes_and_goes(writer);
		else if (atomic_load_explicit(&generation[i], memory_order_relaxed) % 2)
			take_away(writer, i);
		else
			add(writer, i);
	}
	return NULL;
}

static void set_up(uint64_t cache)
{
	static char carve_out[64 * PAGE] __attribute__((aligned(4096)));
	struct ist_manager_config config = {
	        .vaddr = carve_out, .paddr = 0x1000000, .size = sizeof(carve_out)};
	struct ist_backing backing = {.paddr = RAM_PADDR, .size = (uint64_t)RAM_PAGES * PAGE};
	struct ist_mapping_config mapping = {.cache_size = cache};
	struct ist_mapping ignored;
	uint64_t *words;

	backing.fd = memfd_create("ram", MFD_CLOEXEC);
	REQUIRE(backing.fd >= 0 && ftruncate(backing.fd, RAM_PAGES * PAGE) == 0);
	words = mmap(NULL, RAM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, backing.fd, 0);
	for (uint64_t at = 0; at < RAM_PAGES * PAGE; at += 8)
		words[at / 8] = RAM_PADDR + at;
	munmap(words, RAM_PAGES * PAGE);
	REQUIRE(ist_manager_create(&config, &manager) == 0);
	REQUIRE(ist_mapping_configure(manager, &mapping) == 0);
	REQUIRE(ist_backing_add(manager, &backing) == 0);
	close(backing.fd);
	for (uint32_t guest = 1; guest <= 3; guest++) {
		struct ist_owner_config owner = {.id = guest};

		REQUIRE(ist_owner_create(manager, &owner) == 0);
	}
	for (unsigned i = 0; i < KEPT; i++) {
		struct ist_registration r = {.paddr = RAM_PADDR + i * PAGE, .size = PAGE, .cookie = i + 1};

		REQUIRE(ist_mapping_register(manager, &r, &ignored) == 0);
	}
}

/* Nothing of it may be left when all is over. */
static void tear_down(void)
{
	struct ist_mapping_stats stats;

	for (uint32_t guest = 1; guest <= 3; guest++)
		REQUIRE(ist_owner_destroy(manager, guest) == 0);
	for (unsigned i = 0; i < KEPT; i++)
		REQUIRE(ist_mapping_unregister(manager, 0, i + 1, 0) == 0);
	REQUIRE(ist_mapping_flush(manager) == 0 && ist_mapping_drain(manager) == 0);
	ist_mapping_stats(manager, &stats);
	printf("left: %llu mappings, %llu pages, %llu referenced, %llu waiting, %llu cached, %llu bytes of the window\n",
	       (unsigned long long)stats.mappings, (unsigned long long)stats.pages,
	       (unsigned long long)stats.referenced, (unsigned long long)stats.waiting,
	       (unsigned long long)stats.cached, (unsigned long long)stats.window_used);
	REQUIRE(stats.mappings == 0 && stats.pages == 0 && stats.referenced == 0 && stats.waiting == 0 &&
	        stats.cached == 0 && stats.window_used == 0);
	REQUIRE(ist_manager_destroy(manager) == 0);
}

static bool has_seen_all(void)
{
	return !IS_MUTANT(0) || (atomic_load_explicit(&seen_reference, memory_order_relaxed) &&
	                         atomic_load_explicit(&seen_unregistered, memory_order_relaxed));
}

static int torture(double seconds, uint64_t cache)
{
	struct reader readers[READERS], sum = {0};
	struct writer writers[WRITERS], done = {0};
	struct crew reading, writing;
	double until = seconds_now() + seconds;

	memset(readers, 0, sizeof(readers));
	memset(writers, 0, sizeof(writers));
	memset(generation, 0, sizeof(generation));
	atomic_store_explicit(&stop, false, memory_order_relaxed);
	atomic_store_explicit(&seen_reference, false, memory_order_relaxed);
	atomic_store_explicit(&seen_unregistered, false, memory_order_relaxed);
	set_up(cache);
	for (unsigned i = 0; i < READERS; i++)
		readers[i].seed = i + 1;
	for (unsigned i = 0; i < WRITERS; i++)
		writers[i] = (struct writer){.number = i, .seed = i + 77};
	crew_start(&reading, READERS, read_on, readers, sizeof(readers[0]));
	crew_start(&writing, WRITERS, write_on, writers, sizeof(writers[0]));
	/* On a machine where all is slow it takes longer until there is anything to see. */
	while (seconds_now() < until || (!has_seen_all() && seconds_now() < until + PATIENCE))
		usleep(10000);
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	crew_join(&writing);
	crew_join(&reading);
	for (int i = 0; i < READERS; i++) {
		sum.lookups += readers[i].lookups;
		sum.found += readers[i].found;
		sum.references += readers[i].references;
		sum.wrong += readers[i].wrong;
		sum.gap += readers[i].gap;
		sum.late += readers[i].late;
	}
	for (int i = 0; i < WRITERS; i++) {
		done.registered += writers[i].registered;
		done.unregistered += writers[i].unregistered;
		done.busy += writers[i].busy;
		done.destroyed += writers[i].destroyed;
	}
	printf("%llu lookups, %llu found, %llu references, %llu registered, %llu unregistered, %llu busy, %llu guests destroyed, %llu told to try again; "
	       "wrong %llu, gap %llu, late %llu\n",
	       (unsigned long long)sum.lookups, (unsigned long long)sum.found,
	       (unsigned long long)sum.references, (unsigned long long)done.registered,
	       (unsigned long long)done.unregistered, (unsigned long long)done.busy,
	       (unsigned long long)done.destroyed, (unsigned long long)later, (unsigned long long)sum.wrong,
	       (unsigned long long)sum.gap, (unsigned long long)sum.late);
	if (sum.wrong || sum.gap || sum.late)
		return 1;
	tear_down();
	return sum.found == 0;
}

static int torture_a_second(void)
{
	return torture(1, 0);
}

int main(void)
{
	double seconds = (double)scaled(3000) / 1000;

	if (!IS_MUTANT(0))
		return catch_mutant(MUTANT, torture_a_second);
	return torture(seconds, 0) || torture(seconds, 64 * PAGE);
}
