/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Registers of devices, and reserved ranges with single pages. */
#include "support/guest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (2 * MIB)
#define DEVICE UINT64_C(0x40000000000)

/* The guest's RAM again, as a device would be. */
static void add_device(struct guest *guest)
{
	struct ist_backing backing = {
	        .paddr = DEVICE, .size = 16 * PAGE, .fd = guest->fd, .attributes = IST_DEVICE};

	assert_int_equal(ist_backing_add(guest->fixture.manager, &backing), 0);
}

static void map_and_unmap(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping found;
	void *a, *b, *c, *vaddr;

	(void)state;
	add_device(&guest);
	assert_int_equal(ist_mmio_map(manager, DEVICE + 0x1010, 0x2000, &a), 0);
	assert_int_equal((uintptr_t)a % PAGE, 0x10);
	assert_int_equal(*(uint64_t *)a, GUEST_PADDR + 0x1010);
	assert_int_equal(ist_mapping_find_paddr(manager, DEVICE + 0x1010, 4, &found, &vaddr), 0);
	assert_ptr_equal(vaddr, a);
	assert_int_equal(found.attributes, IST_DEVICE);
	/* The same again; and a part of it. */
	assert_int_equal(ist_mmio_map(manager, DEVICE + 0x1010, 0x2000, &b), 0);
	assert_ptr_equal(b, a);
	assert_int_equal(ist_mmio_map(manager, DEVICE + 0x2000, 16, &b), 0);
	assert_ptr_equal(b, (char *)a + 0xff0);
	/* Exact, or not at all. */
	assert_int_equal(ist_mmio_unmap(manager, a, 0x1fff), -ENOENT);
	assert_int_equal(ist_mmio_unmap(manager, (char *)a + 1, 0x2000), -ENOENT);
	assert_int_equal(ist_mmio_unmap(manager, a, 0), -EINVAL);
	assert_int_equal(ist_mmio_unmap(manager, a, 0x2000), 0);
	assert_int_equal(ist_phys_to_virt(manager, DEVICE + 0x1010, 0x2000, &vaddr), 0);
	assert_int_equal(ist_mmio_unmap(manager, a, 0x2000), 0);
	assert_int_equal(ist_mmio_unmap(manager, a, 0x2000), -ENOENT);
	/* The part is still there, and its pages with it; also for a part of the part. */
	assert_int_equal(ist_phys_to_virt(manager, DEVICE + 0x1010, 1, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, DEVICE + 0x2000, 1, &vaddr), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(*(uint64_t *)b, GUEST_PADDR + 0x2000);
	assert_int_equal(ist_mmio_map(manager, DEVICE + 0x2008, 8, &c), 0);
	assert_ptr_equal(c, (char *)b + 8);
	assert_int_equal(ist_mmio_unmap(manager, b, 16), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(*(uint64_t *)c, GUEST_PADDR + 0x2008);
	assert_int_equal(ist_mmio_unmap(manager, c, 8), 0);
	guest_drop(&guest);
}

/* A part outlives the range it lies in, beside an older range of the same page elsewhere; and leaves nothing at once. */
static void a_part_that_stays(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	void *elsewhere, *whole, *part;
	uint64_t paddr;

	(void)state;
	add_device(&guest);
	assert_int_equal(ist_mmio_map(manager, DEVICE + PAGE, 2 * PAGE, &elsewhere), 0);
	assert_int_equal(ist_mmio_map(manager, DEVICE + 2 * PAGE, 2 * PAGE, &whole), 0);
	assert_int_equal(ist_mmio_map(manager, DEVICE + 2 * PAGE, PAGE, &part), 0);
	if (part != (char *)elsewhere + PAGE) { /* it may lie in either */
		assert_ptr_equal(part, whole);
		assert_int_equal(ist_mmio_unmap(manager, whole, 2 * PAGE), 0);
	} else {
		assert_int_equal(ist_mmio_unmap(manager, elsewhere, 2 * PAGE), 0);
	}
	assert_int_equal(ist_virt_to_phys(manager, part, 8, &paddr), 0);
	assert_int_equal(paddr, DEVICE + 2 * PAGE);
	assert_int_equal(ist_mmio_unmap(manager, part, PAGE), 0);
	if (part == whole)
		assert_int_equal(ist_mmio_unmap(manager, elsewhere, 2 * PAGE), 0);
	else
		assert_int_equal(ist_mmio_unmap(manager, whole, 2 * PAGE), 0);
	/* Nobody has any of it now. */
	assert_int_equal(ist_protect(manager, DEVICE, 8 * PAGE), 0);
	assert_int_equal(ist_unprotect(manager, DEVICE, 8 * PAGE), 0);
	guest_drop(&guest);
}

static void memory_and_registers_stay_apart(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = DEVICE, .size = 8};
	struct ist_mapping mapping;
	void *vaddr = &guest;

	(void)state;
	add_device(&guest);
	assert_int_equal(ist_mmio_map(manager, GUEST_PADDR, 8, &vaddr), -ENXIO);
	assert_int_equal(ist_mmio_map(manager, DEVICE + 16 * PAGE - 4, 8, &vaddr), -ENXIO);
	assert_int_equal(ist_mmio_map(manager, DEVICE - 1, 8, &vaddr), -ENXIO);
	assert_int_equal(ist_mmio_map(manager, PADDR, 8, &vaddr), -EACCES);
	assert_int_equal(ist_mmio_map(manager, PADDR - 4, 8, &vaddr), -EACCES);
	assert_int_equal(ist_mmio_map(manager, DEVICE, 0, &vaddr), -EINVAL);
	assert_int_equal(ist_mmio_map(manager, UINT64_MAX, 2, &vaddr), -EINVAL);
	assert_int_equal(ist_mmio_map(manager, DEVICE, 8, NULL), -EINVAL);
	assert_ptr_equal(vaddr, &guest);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -ENXIO);
	assert_int_equal(ist_mmio_map(manager, DEVICE, 8, &vaddr), 0);
	assert_int_equal(ist_backing_remove(manager, DEVICE), -EBUSY);
	assert_int_equal(ist_mmio_unmap(manager, vaddr, 8), 0);
	assert_int_equal(ist_backing_remove(manager, DEVICE), 0);
	guest_drop(&guest);
}

/* No fixed number of them, and address space comes back. */
static void many(void **state)
{
	enum { COUNT = 2000 };
	static void *vaddr[COUNT];
	struct guest guest = guest_make(RAM);
	struct ist_backing backing = {
	        .paddr = DEVICE, .size = COUNT * 2 * PAGE, .vaddr = guest.ram, .attributes = IST_DEVICE};

	(void)state;
	backing.size = RAM / 2; /* mapped by the caller, and used where it is */
	assert_int_equal(ist_backing_add(guest.fixture.manager, &backing), 0);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(ist_mmio_map(guest.fixture.manager, DEVICE + i * 64, 64, &vaddr[i]),
			                 0);
		for (size_t i = 0; i < COUNT; i++) {
			assert_ptr_equal(vaddr[i], guest.ram + i * 64);
			assert_int_equal(ist_mmio_unmap(guest.fixture.manager, vaddr[i], 64), 0);
		}
	}
	guest_drop(&guest);
}

static void single_pages(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t pages[] = {GUEST_PADDR + 9 * PAGE, GUEST_PADDR + 3 * PAGE, GUEST_PADDR + 3 * PAGE}, paddr;
	struct ist_mapping range, found;
	struct ist_mapping_stats stats;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_range_reserve(manager, 0, 0, 0, 0, &range), -EINVAL);
	assert_int_equal(ist_range_reserve(manager, 10, 0, 5, IST_MAPPING_GUARD, &range), 0);
	assert_int_equal(ist_mapping_find(manager, 0, 5, &found), 0);
	assert_int_equal(ist_range_map(manager, &range, 4, pages, 3), 0);
	guest_check((char *)range.vaddr + 4 * PAGE, pages[0], PAGE);
	guest_check((char *)range.vaddr + 5 * PAGE, pages[1], PAGE);
	guest_check((char *)range.vaddr + 6 * PAGE, pages[2], PAGE);
	assert_int_equal(ist_phys_to_virt(manager, pages[0] + 5, 1, &vaddr), 0);
	assert_ptr_equal(vaddr, (char *)range.vaddr + 4 * PAGE + 5);
	assert_int_equal(ist_virt_to_phys(manager, (char *)range.vaddr + 6 * PAGE, 1, &paddr), 0);
	assert_int_equal(paddr, pages[2]);
	assert_int_equal(ist_virt_to_phys(manager, (char *)range.vaddr + 3 * PAGE, 1, &paddr), -ENOENT);
	/* All or none. */
	assert_int_equal(ist_range_map(manager, &range, 3, pages, 2), -EEXIST);
	assert_int_equal(ist_virt_to_phys(manager, (char *)range.vaddr + 3 * PAGE, 1, &paddr), -ENOENT);
	assert_int_equal(ist_range_map(manager, &range, 8, pages, 3), -ERANGE);
	assert_int_equal(ist_range_map(manager, &range, UINT64_MAX, pages, 2), -ERANGE);
	pages[1]++;
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 2), -EINVAL);
	pages[1] = 0x5000;
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 2), -ENXIO);
	assert_int_equal(ist_range_unmap(manager, &range, 3, 2), -ENXIO);
	assert_int_equal(ist_mapping_get(manager, &range), 0);
	assert_int_equal(ist_range_unmap(manager, &range, 4, 1), -EBUSY);
	assert_int_equal(ist_range_release(manager, &range, IST_UNREGISTER_TRY), -EBUSY);
	assert_int_equal(ist_mapping_put(manager, &range), 0);
	assert_int_equal(ist_range_unmap(manager, &range, 5, 1), 0);
	assert_int_equal(ist_phys_to_virt(manager, GUEST_PADDR + 3 * PAGE, 1, &vaddr), 0);
	assert_ptr_equal(vaddr, (char *)range.vaddr + 6 * PAGE); /* the other one */
	assert_int_equal(ist_range_map(manager, &range, 5, pages, 1), 0);
	guest_check((char *)range.vaddr + 5 * PAGE, pages[0], PAGE);
	assert_int_equal(ist_mapping_unregister(manager, 0, 5, 0), -ENOENT);
	assert_int_equal(ist_mapping_unregister_one(manager, &range, 0), -EINVAL);
	assert_int_equal(ist_range_release(manager, &range, 0), 0);
	assert_int_equal(ist_range_release(manager, &range, 0), -ENOENT);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 1), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, pages[0], 1, &vaddr), -ENOENT);
	ist_mapping_stats(manager, &stats);
	assert_int_equal(stats.pages, 0);
	guest_drop(&guest);
}

static void ranges_go_with_their_owner(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config owner = {.id = 4, .max_pages = 20};
	uint64_t page = GUEST_PADDR;
	struct ist_mapping range;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &owner), 0);
	assert_int_equal(ist_range_reserve(manager, 21, 4, 0, 0, &range), -EDQUOT);
	assert_int_equal(ist_range_reserve(manager, 20, 4, 0, 0, &range), 0);
	assert_int_equal(ist_range_map(manager, &range, 19, &page, 1), 0);
	assert_int_equal(ist_owner_destroy(manager, 4), 0);
	assert_int_equal(ist_phys_to_virt(manager, page, 1, &vaddr), -ENOENT);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(map_and_unmap),
	        cmocka_unit_test(a_part_that_stays),
	        cmocka_unit_test(memory_and_registers_stay_apart),
	        cmocka_unit_test(many),
	        cmocka_unit_test(single_pages),
	        cmocka_unit_test(ranges_go_with_their_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
