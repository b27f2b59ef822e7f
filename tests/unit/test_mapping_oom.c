/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Every allocation of bookkeeping, every mapping of memory and every call of the provider fails in turn, once and for good:
 * a named error, counters as before, nothing lost; and it works again. And random faults over many rounds, after which
 * this process has as many mappings and descriptors as before.
 */
#include "support/guest.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/platform.h"
#include "support/failing_heap.h"

#define PAGE IST_PAGE_SIZE
#define RAM (4 * MIB)

static void plan(int nth, bool for_good, bool heap)
{
	if (heap)
		heap_fail(nth, for_good);
	else
		platform_fail_map((unsigned)nth, for_good);
}

static struct ist_mapping_stats stats_of(struct ist_manager *manager)
{
	struct ist_mapping_stats stats;

	ist_mapping_stats(manager, &stats);
	return stats;
}

/* The same registration, whatever fails. */
struct attempt {
	const char *name;
	int (*run)(struct guest *guest, struct ist_mapping *out);
	void (*undo)(struct guest *guest, struct ist_mapping *mapping);
};

static int one_stretch(struct guest *guest, struct ist_mapping *out)
{
	struct ist_registration r = {.paddr = GUEST_PADDR + 300 * PAGE + 9,
	                             .size = 3 * PAGE,
	                             .cookie = 50,
	                             .owner = 2,
	                             .flags = IST_MAPPING_READ_ONLY};

	return ist_mapping_register(guest->fixture.manager, &r, out);
}

static int many_stretches(struct guest *guest, struct ist_mapping *out)
{
	uint64_t pages[100];
	struct ist_registration r;

	for (size_t i = 0; i < 100; i++)
		pages[i] = GUEST_PADDR + (i * 7 % 200) * PAGE;
	r = registration_of(pages, 100);
	r.owner = 2;
	r.cookie = 51;
	return ist_mapping_register(guest->fixture.manager, &r, out);
}

static int wire_list(struct guest *guest, struct ist_mapping *out)
{
	struct ist_registration r = {.size = 40 * PAGE, .cookie = 52, .owner = 2};

	for (size_t i = 0; i < 40; i++)
		((uint64_t *)(void *)(guest->ram + 900 * PAGE))[i] = GUEST_PADDR + (3 + 2 * i) * PAGE;
	return ist_mapping_register_list(guest->fixture.manager, GUEST_PADDR + 900 * PAGE, &r, out);
}

static int range(struct guest *guest, struct ist_mapping *out)
{
	uint64_t pages[] = {GUEST_PADDR + 9 * PAGE, GUEST_PADDR + 4 * PAGE, GUEST_PADDR + 9 * PAGE};
	int error = ist_range_reserve(guest->fixture.manager, 8, 2, 53, 0, out);

	if (error)
		return error;
	error = ist_range_map(guest->fixture.manager, out, 2, pages, 3);
	if (error) {
		plan(0, false, false);
		plan(0, false, true);
		assert_int_equal(ist_range_release(guest->fixture.manager, out, 0), 0);
	}
	return error;
}

static int device(struct guest *guest, struct ist_mapping *out)
{
	void *a, *b;
	int error = ist_mmio_map(guest->fixture.manager, 0x5000, 2 * PAGE, &a);

	if (error)
		return error;
	error = ist_mmio_map(guest->fixture.manager, 0x5800, 16, &b);
	plan(0, false, false);
	plan(0, false, true);
	out->vaddr = a;
	if (error)
		assert_int_equal(ist_mmio_unmap(guest->fixture.manager, a, 2 * PAGE), 0);
	return error;
}

static int provided(struct guest *guest, struct ist_mapping *out)
{
	return ist_provider_alloc(guest->fixture.manager, 3 * PAGE, 2, out);
}

static int grown(struct guest *guest, struct ist_mapping *out)
{
	struct ist_client_request request = {.size = 70 * PAGE};
	struct ist_shm shm;
	int error = ist_provider_client_alloc(guest->fixture.manager, &request, &shm);

	plan(0, false, false);
	plan(0, false, true);
	if (!error) {
		assert_int_equal(ist_shm_free(&shm), 0);
		assert_int_equal(ist_provider_drain(guest->fixture.manager), 0);
	}
	(void)out;
	return error;
}

static void undo_pages(struct guest *guest, struct ist_mapping *mapping)
{
	assert_int_equal(ist_mapping_unregister_one(guest->fixture.manager, mapping, 0), 0);
}

static void undo_range(struct guest *guest, struct ist_mapping *mapping)
{
	assert_int_equal(ist_range_release(guest->fixture.manager, mapping, 0), 0);
}

static void undo_device(struct guest *guest, struct ist_mapping *mapping)
{
	assert_int_equal(ist_mmio_unmap(guest->fixture.manager, (char *)mapping->vaddr + 0x800, 16), 0);
	assert_int_equal(ist_mmio_unmap(guest->fixture.manager, mapping->vaddr, 2 * PAGE), 0);
}

static void undo_provided(struct guest *guest, struct ist_mapping *mapping)
{
	assert_int_equal(ist_provider_free(guest->fixture.manager, mapping), 0);
}

static void undo_nothing(struct guest *guest, struct ist_mapping *mapping)
{
	(void)guest, (void)mapping;
}

static const struct attempt attempts[] = {
        {"one stretch", one_stretch, undo_pages}, {"many stretches", many_stretches, undo_pages},
        {"wire list", wire_list, undo_pages},     {"range", range, undo_range},
        {"device", device, undo_device},          {"provided", provided, undo_provided},
        {"grown pool", grown, undo_nothing},
};

static unsigned handed_out, returned;

static int give_pages(void *context, uint64_t pages, unsigned flags, struct ist_provided *out)
{
	(void)context, (void)flags;
	out->cookie = ++handed_out;
	out->page_count = pages;
	out->paddr = GUEST_PADDR + 600 * PAGE;
	return 0;
}

static int take_pages(void *context, uint64_t cookie)
{
	(void)context, (void)cookie;
	returned++;
	return 0;
}

static void set_up(struct guest *guest)
{
	const struct ist_backing backing = {
	        .paddr = 0x5000, .size = 4 * PAGE, .fd = guest->fd, .attributes = IST_DEVICE};
	const struct ist_provider provider = {.alloc = give_pages, .free = take_pages, .chunk_pages = 16};
	const struct ist_owner_config owner = {.id = 2};

	assert_int_equal(ist_backing_add(guest->fixture.manager, &backing), 0);
	assert_int_equal(ist_provider_set(guest->fixture.manager, &provider), 0);
	assert_int_equal(ist_owner_create(guest->fixture.manager, &owner), 0);
}

/* `warm`: all has been done once before, so what is kept for reuse is there. */
static void sweep(const struct attempt *attempt, bool for_good, bool heap, bool warm)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping;
	struct ist_owner_stats owner;
	int failures = 0, error;

	set_up(&guest);
	if (warm) {
		assert_int_equal(attempt->run(&guest, &mapping), 0);
		attempt->undo(&guest, &mapping);
	}
	for (int nth = 1;; nth++) {
		struct ist_mapping_stats stats;

		plan(nth, for_good, heap);
		error = attempt->run(&guest, &mapping);
		plan(0, false, heap);
		if (!error)
			break;
		assert_true(error == -ENOMEM || error == -ENOSPC);
		assert_true(nth < 1000);
		failures++;
		assert_int_equal(ist_mapping_drain(manager), 0);
		stats = stats_of(manager);
		assert_int_equal(stats.mappings, 0);
		assert_int_equal(stats.pages, 0);
		assert_int_equal(stats.referenced, 0);
		assert_int_equal(ist_owner_stats(manager, 2, &owner), 0);
		assert_int_equal(owner.mappings, 0);
		assert_int_equal(owner.pages, 0);
		assert_int_equal(handed_out, returned);
		assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR + 9 * PAGE, 1, &(void *){0}), -ENOENT);
		assert_int_equal(stats.window_used, 0);
	}
	attempt->undo(&guest, &mapping);
	assert_int_equal(handed_out, returned);
	assert_int_equal(ist_owner_destroy(manager, 2), 0);
	guest_drop(&guest);
	printf("%s, %s%s%s: %d failures\n", attempt->name, heap ? "heap" : "maps",
	       for_good ? ", for good" : "", warm ? ", warm" : "", failures);
}

static void everything_fails_in_turn(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		for (unsigned how = 0; how < 8; how++)
			sweep(&attempts[i], how & 1, how & 2, how & 4);
}

/* Unregistering and destroying too: an error, and it works when called again. */
static void removal_fails(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 4; how++) {
		struct guest guest = guest_make(RAM);
		struct ist_manager *manager = guest.fixture.manager;
		struct ist_mapping mapping, other[20];
		int failures = 0, error = 0;

		set_up(&guest);
		/* Overlaps, so that removing takes memory. */
		for (size_t i = 0; i < 20; i++) {
			struct ist_registration r = {.paddr = GUEST_PADDR + i * PAGE,
			                             .size = (1 + i % 5) * 8 * PAGE};

			assert_int_equal(ist_mapping_register(manager, &r, &other[i]), 0);
		}
		assert_int_equal(many_stretches(&guest, &mapping), 0);
		for (int nth = 1;; nth++) {
			plan(nth, how & 1, how & 2);
			error = how & 1 ? ist_mapping_unregister(manager, 2, 51, 0)
			                : ist_owner_destroy(manager, 2);
			plan(0, false, how & 2);
			if (!error)
				break;
			failures++;
			assert_true(error == -ENOMEM || error == -EAGAIN);
		}
		printf("%d failures\n", failures);
		for (size_t i = 0; i < 20; i++)
			assert_int_equal(ist_mapping_unregister_one(manager, &other[i], 0), 0);
		assert_int_equal(ist_owner_destroy(manager, 2), 0);
		guest_drop(&guest);
	}
}

static void create_fails(void **state)
{
	(void)state;
	for (int heap = 0; heap < 2; heap++) {
		for (int nth = 1; nth < 20; nth++) {
			struct fixture fixture = fixture_make(64 * PAGE, 0);
			struct ist_owner_config owner = {.id = 3};
			int error;

			plan(nth, false, heap);
			error = ist_owner_create(fixture.manager, &owner);
			plan(0, false, heap);
			assert_true(error == 0 || error == -ENOMEM);
			if (error)
				assert_int_equal(ist_owner_create(fixture.manager, &owner), 0);
			assert_int_equal(ist_owner_destroy(fixture.manager, 3), 0);
			fixture_drop(&fixture);
		}
	}
}

static void random_faults(void **state)
{
	struct guest guest = guest_make(RAM);
	size_t maps = 0, fds = 0, heap = 0, kept = 0;
	uint64_t seed = 11, failed = 0, done = 0;
	long rounds = scaled(20000);

	(void)state;
	set_up(&guest);
	for (long round = -1000; round < rounds; round++) {
		const struct attempt *attempt = &attempts[random_below(&seed, 4)];
		struct ist_mapping mapping;
		int error;

		if (round == 0) {
			assert_int_equal(ist_mapping_drain(guest.fixture.manager), 0);
			maps = count_maps();
			kept = stats_of(guest.fixture.manager).bookkeeping;
			fds = count_fds();
			heap = mallinfo2().uordblks;
		}
		if (random_below(&seed, 3) == 0) {
			plan(1 + (int)random_below(&seed, 8), false, false);
			plan(1 + (int)random_below(&seed, 8), false, true);
		}
		error = attempt->run(&guest, &mapping);
		plan(0, false, false);
		plan(0, false, true);
		failed += error != 0;
		done += !error;
		if (!error)
			attempt->undo(&guest, &mapping);
	}
	assert_int_equal(ist_mapping_drain(guest.fixture.manager), 0);
	/* The maps keep nodes for reuse, in chunks of 8 KiB and more, between inaccessible pages. */
	kept = stats_of(guest.fixture.manager).bookkeeping - kept;
	assert_true(maps_settle(maps + 4 + 2 * kept / 8192));
	assert_int_equal(count_fds(), fds);
	printf("%llu done, %llu failed, heap %+ld bytes, %zu bytes more for reuse\n",
	       (unsigned long long)done, (unsigned long long)failed, (long)(mallinfo2().uordblks - heap),
	       kept);
	assert_true(failed > 0 && done > 0);
	assert_int_equal(ist_owner_destroy(guest.fixture.manager, 2), 0);
	guest_drop(&guest);
}

/* The system's limit of mappings: a clean error, and all works again afterwards. */
static void too_many_mappings(void **state)
{
	enum { FILL = 1 << 17 };
	static void *fill[FILL];
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping, mappings[64];
	size_t filled = 0, count = 0;
	int error = 0;

	(void)state;
	set_up(&guest);
	assert_int_equal(many_stretches(&guest, &mapping), 0);
	while (filled < FILL) { /* each of another kind than its neighbours, so that none are joined */
		void *at = mmap(NULL, PAGE, filled % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		                -1, 0);

		if (at == MAP_FAILED)
			break;
		fill[filled++] = at;
	}
	if (filled == FILL) {
		printf("no limit in reach\n");
	} else {
		for (size_t i = 0; i < 40 && filled > 0; i++)
			munmap(fill[--filled], PAGE);
		while (count < 64 && !(error = one_stretch(&guest, &mappings[count]))) {
			assert_int_equal(ist_mapping_unregister_one(manager, &mappings[count], 0), 0);
			error = ist_mapping_register(
			        manager,
			        &(struct ist_registration){.paddr = GUEST_PADDR + (400 + 2 * count) * PAGE,
			                                   .size = PAGE,
			                                   .flags = IST_MAPPING_READ_ONLY},
			        &mappings[count]);
			if (error)
				break;
			count++;
		}
		assert_int_equal(error, -ENOMEM);
		guest_check(mapping.vaddr, GUEST_PADDR, PAGE);
		printf("%zu mappings of others, %zu of ours, then -ENOMEM\n", filled, count + 1);
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ist_mapping_unregister_one(manager, &mappings[i], 0), 0);
	while (filled > 0)
		munmap(fill[--filled], PAGE);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	assert_int_equal(many_stretches(&guest, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	assert_int_equal(ist_owner_destroy(manager, 2), 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(create_fails),      cmocka_unit_test(everything_fails_in_turn),
	        cmocka_unit_test(removal_fails),     cmocka_unit_test(random_faults),
	        cmocka_unit_test(too_many_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
