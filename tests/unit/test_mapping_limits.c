/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Every number that a caller gives to the calls of dynamic mappings, at its limits: 0, 1, the last but one, the last. */
#include "support/guest.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (1 * MIB)
#define LAST UINT64_MAX
#define LAST_PAGE (UINT64_MAX - PAGE + 1) /* the address of the last page */

static struct guest guest;
static struct ist_manager *manager;

static int open_guest(void **state)
{
	(void)state;
	guest = guest_make(RAM);
	manager = guest.fixture.manager;
	return 0;
}

static int drop_guest(void **state)
{
	(void)state;
	guest_drop(&guest);
	return 0;
}

static void register_stretches(void **state)
{
	static const struct {
		uint64_t paddr;
		size_t size;
		int error;
	} cases[] = {
	        {0, 0, -EINVAL},
	        {0, 1, -ENXIO},
	        {GUEST_PADDR, 0, -EINVAL},
	        {GUEST_PADDR, 1, 0},
	        {GUEST_PADDR, RAM - 1, 0},
	        {GUEST_PADDR, RAM, 0},
	        {GUEST_PADDR, RAM + 1, -ENXIO},
	        {GUEST_PADDR, SIZE_MAX - 1, -EINVAL},
	        {GUEST_PADDR, SIZE_MAX, -EINVAL},
	        {GUEST_PADDR - 1, 1, -ENXIO},
	        {GUEST_PADDR + RAM - 1, 1, 0},
	        {GUEST_PADDR + RAM - 1, 2, -ENXIO},
	        {GUEST_PADDR + RAM, 1, -ENXIO},
	        {LAST, 1, -ENXIO},
	        {LAST, 2, -EINVAL},
	        {LAST - 1, 2, -ENXIO},
	        {LAST - 1, 3, -EINVAL},
	        {1, SIZE_MAX, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_registration r = {.paddr = cases[i].paddr, .size = cases[i].size};
		struct ist_mapping mapping;

		assert_int_equal(ist_mapping_register(manager, &r, &mapping), cases[i].error);
		if (!cases[i].error)
			assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	}
}

static void register_arrays(void **state)
{
	const uint64_t pages[] = {GUEST_PADDR, GUEST_PADDR + PAGE}, last[] = {LAST_PAGE}, odd[] = {LAST};
	static const struct {
		size_t count;
		uint64_t offset;
		size_t size;
		int error;
	} cases[] = {
	        {0, 0, 1, -EINVAL},
	        {0, 0, 0, -EINVAL},
	        {1, 0, 0, -EINVAL},
	        {1, 0, PAGE, 0},
	        {1, 0, PAGE + 1, -EINVAL},
	        {1, PAGE - 1, 1, 0},
	        {1, PAGE - 1, 2, -EINVAL},
	        {2, PAGE - 1, 2, 0},
	        {2, PAGE, 1, -EINVAL},
	        {2, LAST, 1, -EINVAL},
	        {2, LAST - 1, SIZE_MAX, -EINVAL},
	        {SIZE_MAX, 0, 1, 0}, /* more than are needed are ignored */
	        {SIZE_MAX, 0, SIZE_MAX, -EINVAL},
	        {SIZE_MAX, 1, SIZE_MAX - 1, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_registration r = {.pages = pages,
		                             .page_count = cases[i].count,
		                             .offset = cases[i].offset,
		                             .size = cases[i].size};
		struct ist_mapping mapping;

		assert_int_equal(ist_mapping_register(manager, &r, &mapping), cases[i].error);
		if (!cases[i].error)
			assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	}
	for (int i = 0; i < 2; i++) {
		struct ist_registration r = {.pages = i ? odd : last, .page_count = 1, .size = 1};
		struct ist_mapping mapping;

		assert_int_equal(ist_mapping_register(manager, &r, &mapping), i ? -EINVAL : -ENXIO);
	}
}

static void lists_flags_owners_cookies(void **state)
{
	struct ist_registration r = {.size = 1, .cookie = LAST};
	struct ist_mapping mapping, found;
	static const uint64_t lists[] = {0, 1, LAST - 1, LAST, LAST_PAGE};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		assert_int_equal(ist_mapping_register_list(manager, lists[i], &r, &mapping), -ENXIO);
	r.size = SIZE_MAX;
	assert_int_equal(ist_mapping_register_list(manager, GUEST_PADDR, &r, &mapping), -EINVAL);
	r = (struct ist_registration){.paddr = GUEST_PADDR, .size = 1, .cookie = LAST};
	for (unsigned bit = 5; bit < 32; bit++) {
		r.flags = 1u << bit;
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), -EINVAL);
	}
	r.flags = UINT32_MAX;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -EINVAL);
	r.flags = 0;
	r.owner = UINT32_MAX;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -ENOENT);
	r.owner = 0;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_find(manager, 0, LAST, &found), 0);
	assert_int_equal(ist_mapping_find(manager, 0, LAST - 1, &found), -ENOENT);
	assert_int_equal(ist_mapping_find(manager, UINT32_MAX, LAST, &found), -ENOENT);
	assert_int_equal(ist_mapping_find(manager, 0, 0, &found), -EINVAL);
	assert_int_equal(ist_mapping_unregister(manager, 0, LAST, UINT32_MAX), -EINVAL);
	assert_int_equal(ist_mapping_unregister(manager, UINT32_MAX, LAST, 0), -ENOENT);
	assert_true(ist_mapping_holds(&mapping, 0, 1) && !ist_mapping_holds(&mapping, 0, LAST));
	assert_true(ist_mapping_holds(&mapping, 1, 0) && !ist_mapping_holds(&mapping, LAST, 1));
	found = mapping;
	found.slot = UINT32_MAX;
	assert_int_equal(ist_mapping_get(manager, &found), -ENOENT);
	assert_int_equal(ist_mapping_put(manager, &found), -EINVAL);
	assert_int_equal(ist_mapping_unregister_one(manager, &found, 0), -ENOENT);
	found = mapping;
	found.generation = UINT32_MAX;
	assert_int_equal(ist_mapping_get(manager, &found), -ENOENT);
	assert_int_equal(ist_mapping_unguard(manager, &found), -ENOENT);
	assert_int_equal(ist_mapping_unregister(manager, 0, LAST, 0), 0);
}

static void lookups(void **state)
{
	struct ist_registration r = {.paddr = GUEST_PADDR, .size = RAM};
	struct ist_mapping mapping, found;
	uint64_t paddr;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR, RAM, &vaddr), 0);
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR, RAM + 1, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR, SIZE_MAX, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR, SIZE_MAX - GUEST_PADDR, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, LAST, 1, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, LAST, 2, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(manager, 0, SIZE_MAX, &vaddr), -ENOENT);
	assert_int_equal(ist_virt_to_phys(manager, mapping.vaddr, SIZE_MAX, &paddr), -EINVAL);
	assert_int_equal(ist_virt_to_phys(manager, (void *)UINTPTR_MAX, 1, &paddr), -ENOENT);
	assert_int_equal(ist_mapping_find_paddr(manager, GUEST_PADDR, 0, &found, NULL), -EINVAL);
	assert_int_equal(ist_mapping_find_paddr(manager, GUEST_PADDR, RAM, &found, NULL), 0);
	assert_int_equal(ist_mapping_find_paddr(manager, LAST, 1, &found, NULL), -ENOENT);
	assert_int_equal(ist_mapping_find_paddr(manager, LAST, SIZE_MAX, &found, NULL), -EINVAL);
	assert_int_equal(ist_mapping_find_paddr_of(manager, UINT32_MAX, GUEST_PADDR, 1, &found, NULL),
	                 -ENOENT);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
}

static void backings(void **state)
{
	static const struct {
		uint64_t paddr, size, offset;
		uint32_t attributes;
		int error;
	} cases[] = {
	        {0, 0, 0, 0, -EINVAL},
	        {0, 1, 0, 0, -EINVAL},
	        {0, LAST, 0, 0, -EINVAL},
	        {0, LAST_PAGE, 0, 0, -EINVAL}, /* longer than any file */
	        {1, PAGE, 0, 0, -EINVAL},
	        {LAST_PAGE, PAGE, 0, 0, 0},
	        {LAST_PAGE, 2 * PAGE, 0, 0, -EINVAL},
	        {0, PAGE, LAST, 0, -EINVAL},
	        {0, PAGE, LAST_PAGE, 0, -EINVAL},
	        {0, PAGE, RAM - PAGE, 0, 0},
	        {0, PAGE, RAM, 0, -EINVAL},
	        {0, 2 * PAGE, RAM - PAGE, 0, -EINVAL},
	        {0, PAGE, 0, 8, -EINVAL},
	        {0, PAGE, 0, UINT32_MAX, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_backing backing = {.paddr = cases[i].paddr,
		                              .size = cases[i].size,
		                              .fd = guest.fd,
		                              .offset = cases[i].offset,
		                              .attributes = cases[i].attributes};

		assert_int_equal(ist_backing_add(manager, &backing), cases[i].error);
		if (!cases[i].error) {
			struct ist_registration r = {.paddr = cases[i].paddr, .size = PAGE};
			struct ist_mapping mapping;

			assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
			assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
			assert_int_equal(ist_backing_remove(manager, cases[i].paddr), 0);
		}
	}
	assert_int_equal(ist_backing_remove(manager, LAST), -ENOENT);
	assert_int_equal(ist_backing_find(manager, LAST, &(struct ist_backing){0}), -ENOENT);
}

static void protections(void **state)
{
	static const struct {
		uint64_t paddr, size;
		int error;
	} cases[] = {
	        {0, 0, -EINVAL},    {0, 1, 0},    {0, LAST, 0},       {1, LAST, 0},
	        {2, LAST, -EINVAL}, {LAST, 1, 0}, {LAST, 2, -EINVAL}, {LAST, LAST, -EINVAL},
	        {LAST - 1, 2, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ist_protect(manager, cases[i].paddr, cases[i].size), cases[i].error);
		assert_int_equal(ist_unprotect(manager, cases[i].paddr, cases[i].size), cases[i].error);
	}
}

/* Quotas and budgets, with what has been used added to what is asked for. */
static void owners(void **state)
{
	static const uint64_t limits[] = {1, 2, LAST - 1, LAST};

	(void)state;
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 0}), -EINVAL);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct ist_owner_config config = {.id = UINT32_MAX,
		                                  .max_pages = limits[i],
		                                  .max_buffer_pages = limits[i],
		                                  .max_mappings = limits[i],
		                                  .max_stretches = limits[i]};
		struct ist_registration r = {.paddr = GUEST_PADDR, .size = PAGE, .owner = UINT32_MAX};
		struct ist_mapping mapping;

		assert_int_equal(ist_owner_create(manager, &config), 0);
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), limits[i] == 1 ? -EDQUOT : 0);
		assert_int_equal(ist_owner_destroy_step(manager, UINT32_MAX, 1), -EINVAL); /* not begun */
		assert_int_equal(ist_owner_destroy_begin(manager, UINT32_MAX), 0);
		while (ist_owner_destroy_step(manager, UINT32_MAX, i % 2 ? UINT32_MAX : 0) == 1)
			continue;
	}
	assert_int_equal(ist_owner_destroy(manager, 0), -EINVAL);
	assert_int_equal(ist_owner_destroy(manager, UINT32_MAX), 0); /* not there: no error */
}

static void devices(void **state)
{
	struct ist_backing device = {
	        .paddr = LAST_PAGE, .size = PAGE, .fd = guest.fd, .attributes = IST_DEVICE};
	void *vaddr;

	(void)state;
	assert_int_equal(ist_backing_add(manager, &device), 0);
	assert_int_equal(ist_mmio_map(manager, LAST, 0, &vaddr), -EINVAL);
	assert_int_equal(ist_mmio_map(manager, LAST, 2, &vaddr), -EINVAL);
	assert_int_equal(ist_mmio_map(manager, 0, SIZE_MAX, &vaddr), -EINVAL); /* more than 2^40 pages */
	assert_int_equal(ist_mmio_map(manager, 0, 1, &vaddr), -ENXIO);
	assert_int_equal(ist_mmio_map(manager, LAST, 1, &vaddr), 0);
	assert_int_equal(ist_mmio_unmap(manager, vaddr, 0), -EINVAL);
	assert_int_equal(ist_mmio_unmap(manager, vaddr, SIZE_MAX), -ENOENT);
	assert_int_equal(ist_mmio_unmap(manager, (void *)UINTPTR_MAX, 1), -ENOENT);
	assert_int_equal(ist_mmio_unmap(manager, vaddr, 1), 0);
}

static void ranges(void **state)
{
	const uint64_t pages[] = {GUEST_PADDR}, odd[] = {LAST}, last[] = {LAST_PAGE};
	static const uint64_t many[] = {0, UINT32_MAX, (uint64_t)UINT32_MAX + 1, LAST - 1, LAST};
	struct ist_mapping range, other;

	(void)state;
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		assert_int_equal(ist_range_reserve(manager, many[i], 0, 0, 0, &range), -EINVAL);
	assert_int_equal(ist_range_reserve(manager, 1, 0, 0, UINT32_MAX, &range), -EINVAL);
	assert_int_equal(ist_range_reserve(manager, 1, UINT32_MAX, 0, 0, &range), -ENOENT);
	assert_int_equal(ist_range_reserve(manager, 1, 0, 0, 0, &range), 0);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 0), -EINVAL);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 2), -ERANGE);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, LAST), -ERANGE);
	assert_int_equal(ist_range_map(manager, &range, 1, pages, 1), -ERANGE);
	assert_int_equal(ist_range_map(manager, &range, LAST, pages, 1), -ERANGE);
	assert_int_equal(ist_range_map(manager, &range, LAST, pages, LAST), -ERANGE);
	assert_int_equal(ist_range_map(manager, &range, 0, odd, 1), -EINVAL);
	assert_int_equal(ist_range_map(manager, &range, 0, last, 1), -ENXIO);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 1), 0);
	assert_int_equal(ist_range_unmap(manager, &range, 0, 0), -EINVAL);
	assert_int_equal(ist_range_unmap(manager, &range, 0, LAST), -ERANGE);
	assert_int_equal(ist_range_unmap(manager, &range, LAST, LAST), -ERANGE);
	assert_int_equal(ist_range_unmap(manager, &range, 0, 1), 0);
	other = range;
	other.slot = UINT32_MAX;
	assert_int_equal(ist_range_map(manager, &other, 0, pages, 1), -ENOENT);
	assert_int_equal(ist_range_release(manager, &range, UINT32_MAX), -EINVAL);
	assert_int_equal(ist_range_release(manager, &range, 0), 0);
}

static void windows(void **state)
{
	static const struct {
		uint64_t window, cache;
		uint32_t flags;
		int error;
	} cases[] = {
	        {1, 0, 0, -EINVAL},   {LAST, 0, 0, -EINVAL}, {0, 0, UINT32_MAX, -EINVAL},
	        {LAST_PAGE, 0, 0, 0}, /* told when it is wanted */
	        {0, LAST, 0, 0},      {PAGE, LAST, 0, 0},
	};
	struct ist_registration r = {.paddr = GUEST_PADDR, .size = PAGE};
	struct ist_mapping mapping;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_mapping_config config = {.window_size = cases[i].window,
		                                    .cache_size = cases[i].cache,
		                                    .flags = cases[i].flags};

		assert_int_equal(ist_mapping_configure(manager, &config), cases[i].error);
		if (cases[i].window == LAST_PAGE)
			assert_int_equal(ist_mapping_register(manager, &r, &mapping), -ENOMEM);
	}
	for (int round = 0; round < 3; round++) { /* in a window of one page, all of which stays cached */
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
		assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
		r.paddr += PAGE;
	}
}

#define LIMITS(test) cmocka_unit_test_setup_teardown(test, open_guest, drop_guest)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        LIMITS(register_stretches),
	        LIMITS(register_arrays),
	        LIMITS(lists_flags_owners_cookies),
	        LIMITS(lookups),
	        LIMITS(backings),
	        LIMITS(protections),
	        LIMITS(owners),
	        LIMITS(devices),
	        LIMITS(ranges),
	        LIMITS(windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
