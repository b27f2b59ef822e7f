/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What kind of memory an address is: against a plain array of regions, at every border. */
#include "support/guest.h"

#include <errno.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (1 * MIB)
#define CARVE_OUT (256 * KIB)
#define DRIVER (4 * PAGE)
#define TOP (UINT64_MAX - 4 * PAGE + 1)

static void add_backing(struct guest *guest, uint64_t paddr, uint64_t pages, uint32_t attributes)
{
	struct ist_backing backing = {
	        .paddr = paddr, .size = pages * PAGE, .fd = guest->fd, .attributes = attributes};

	assert_int_equal(ist_backing_add(guest->fixture.manager, &backing), 0);
}

/* In order; two side by side, one of registers, one at the top. The carve-out of guest_make is at PADDR. */
static struct ist_memory region[8];
static size_t regions;

static void expect(uint64_t paddr, uint64_t size, uint32_t type, uint32_t attributes)
{
	region[regions++] =
	        (struct ist_memory){.paddr = paddr, .size = size, .type = type, .attributes = attributes};
}

static struct guest make(void)
{
	struct guest guest = guest_make(RAM);
	struct ist_memory pool;

	regions = 0;
	add_backing(&guest, 0, 2, IST_READ_ONLY);
	expect(0, 2 * PAGE, IST_MEMORY_RAM, IST_READ_ONLY);
	assert_int_equal(ist_memory_find(guest.fixture.manager, PADDR, &pool), 0);
	expect(PADDR, pool.size, IST_MEMORY_DRIVER, 0);
	assert_int_equal(ist_memory_find(guest.fixture.manager, PADDR + pool.size, &pool), 0);
	expect(pool.paddr, pool.size, IST_MEMORY_CLIENT, 0);
	assert_int_equal(region[1].size + region[2].size, guest.fixture.carve_out.size);
	expect(GUEST_PADDR, RAM, IST_MEMORY_RAM, 0);
	add_backing(&guest, GUEST_PADDR + RAM, 3, IST_DEVICE | IST_UNCACHED);
	expect(GUEST_PADDR + RAM, 3 * PAGE, IST_MEMORY_DEVICE, IST_DEVICE | IST_UNCACHED);
	add_backing(&guest, TOP, 4, 0);
	expect(TOP, 4 * PAGE, IST_MEMORY_RAM, 0);
	return guest;
}

static void drop(struct guest *guest)
{
	assert_int_equal(ist_backing_remove(guest->fixture.manager, 0), 0);
	assert_int_equal(ist_backing_remove(guest->fixture.manager, GUEST_PADDR + RAM), 0);
	assert_int_equal(ist_backing_remove(guest->fixture.manager, TOP), 0);
	guest_drop(guest);
}

static void check_same(const struct ist_memory *a, const struct ist_memory *b)
{
	assert_int_equal(a->paddr, b->paddr);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->attributes, b->attributes);
}

static const struct ist_memory *holder(uint64_t at)
{
	for (size_t i = 0; i < regions; i++)
		if (at - region[i].paddr < region[i].size)
			return &region[i];
	return NULL;
}

static const struct ist_memory *holder_or_next(uint64_t at)
{
	for (size_t i = 0; i < regions; i++)
		if (region[i].paddr + (region[i].size - 1) >= at)
			return &region[i];
	return NULL;
}

/* Page by page. */
static bool model_is(uint32_t types, uint64_t at, uint64_t size)
{
	if (size == 0)
		return true;
	if (size - 1 > UINT64_MAX - at)
		return false;
	for (uint64_t left = size;;) {
		const struct ist_memory *memory = holder(at);
		uint64_t here;

		if (!memory || !(memory->type & types))
			return false;
		here = memory->size - (at - memory->paddr);
		if (here >= left)
			return true;
		left -= here;
		at += here;
	}
}

static void check_at(struct ist_manager *manager, uint64_t at)
{
	struct ist_memory found = {.size = 77};
	const struct ist_memory *expected = holder(at);

	assert_int_equal(ist_memory_find(manager, at, &found), expected ? 0 : -ENOENT);
	if (expected)
		check_same(&found, expected);
	else
		assert_int_equal(found.size, 77);
	expected = holder_or_next(at);
	assert_int_equal(ist_memory_next(manager, at, &found), expected ? 0 : -ENOENT);
	if (expected)
		check_same(&found, expected);
}

static void at_every_border(void **state)
{
	struct guest guest = make();
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t border[32];
	size_t borders = 0;

	(void)state;
	for (size_t i = 0; i < regions; i++) {
		border[borders++] = region[i].paddr;
		border[borders++] = region[i].paddr + region[i].size;
	}
	for (size_t i = 0; i < borders; i++)
		for (int more = -1; more <= 1; more++)
			check_at(manager, border[i] + (uint64_t)(int64_t)more);
	for (size_t i = 0; i < borders; i++)
		for (size_t k = 0; k < borders; k++)
			for (uint32_t types = 0; types < 16; types++)
				for (int more = -1; more <= 1; more++) {
					uint64_t size = border[k] - border[i] + (uint64_t)(int64_t)more;

					assert_int_equal(ist_memory_is(manager, types, border[i], size),
					                 model_is(types, border[i], size));
				}
	drop(&guest);
}

static void the_only_one(void **state)
{
	struct guest guest = make();
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_memory found;

	(void)state;
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_DRIVER, 1, &found), 0);
	check_same(&found, &region[1]);
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_DEVICE, 3 * PAGE, &found), 0);
	check_same(&found, &region[4]);
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_DEVICE, 3 * PAGE + 1, &found), -ERANGE);
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_RAM, 1, &found), -EEXIST);
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_DRIVER | IST_MEMORY_CLIENT, 1, &found), -EEXIST);
	assert_int_equal(ist_memory_only(manager, 0, 1, &found), -EINVAL);
	assert_int_equal(ist_memory_only(manager, 16, 1, &found), -EINVAL);
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_DRIVER, 0, &found), -EINVAL);
	assert_int_equal(ist_memory_only(NULL, IST_MEMORY_DRIVER, 1, &found), -EINVAL);
	assert_int_equal(ist_memory_only(manager, IST_MEMORY_DRIVER, 1, NULL), -EINVAL);
	assert_int_equal(ist_memory_find(NULL, 0, &found), -EINVAL);
	assert_int_equal(ist_memory_find(manager, 0, NULL), -EINVAL);
	assert_int_equal(ist_memory_next(NULL, 0, &found), -EINVAL);
	assert_int_equal(ist_memory_next(manager, 0, NULL), -EINVAL);
	assert_false(ist_memory_is(NULL, 15, PADDR, 1));
	assert_true(ist_memory_is(NULL, 0, PADDR, 0));
	drop(&guest);
}

static void translated_by_type(void **state)
{
	struct guest guest = make();
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = GUEST_PADDR + RAM - PAGE, .size = PAGE};
	struct ist_mapping mapping;
	void *registers, *found = NULL;

	(void)state;
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_DRIVER, PADDR, 8, &found), 0);
	assert_ptr_equal(found, guest.fixture.carve_out.start);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_CLIENT, PADDR, 8, &found), -ENOENT);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_RAM, r.paddr, 8, &found), -ENOENT);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_RAM, r.paddr, 8, &found), 0);
	assert_ptr_equal(found, mapping.vaddr);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_DEVICE, r.paddr, 8, &found), -ENOENT);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_DEVICE, r.paddr + PAGE, 8, &found), -ENOENT);
	assert_int_equal(ist_mmio_map(manager, r.paddr + PAGE, 16, &registers), 0);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_DEVICE, r.paddr + PAGE, 8, &found), 0);
	assert_ptr_equal(found, registers);
	assert_int_equal(ist_memory_to_virt(manager, IST_MEMORY_RAM, r.paddr + PAGE, 8, &found), -ENOENT);
	assert_int_equal(ist_memory_to_virt(manager, 15, r.paddr + PAGE - 8, 16, &found), -ENOENT);
	assert_int_equal(ist_memory_to_virt(manager, 16, PADDR, 8, &found), -EINVAL);
	assert_int_equal(ist_memory_to_virt(manager, 15, PADDR, 0, &found), -EINVAL);
	assert_int_equal(ist_memory_to_virt(manager, 15, UINT64_MAX, 2, &found), -EINVAL);
	assert_int_equal(ist_memory_to_virt(NULL, 15, PADDR, 8, &found), -EINVAL);
	assert_int_equal(ist_memory_to_virt(manager, 15, PADDR, 8, NULL), -EINVAL);
	assert_int_equal(ist_mmio_unmap(manager, registers, 16), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	drop(&guest);
}

/* A backing around the carve-out: what of it is not in the pools lies below and above. */
static void around_the_carve_out(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t size = guest.fixture.carve_out.size;
	struct ist_memory found;

	(void)state;
	add_backing(&guest, PADDR - 2 * PAGE, size / PAGE + 5, 0);
	assert_int_equal(ist_memory_next(manager, 0, &found), 0);
	assert_int_equal(found.paddr, PADDR - 2 * PAGE);
	assert_int_equal(found.size, 2 * PAGE);
	assert_int_equal(ist_memory_find(manager, PADDR + size, &found), 0);
	assert_int_equal(found.paddr, PADDR + size);
	assert_int_equal(found.size, 3 * PAGE);
	assert_int_equal(ist_memory_find(manager, PADDR, &found), 0);
	assert_int_equal(found.type, IST_MEMORY_DRIVER);
	assert_true(ist_memory_is(manager, 7, PADDR - 2 * PAGE, size + 5 * PAGE));
	assert_false(ist_memory_is(manager, IST_MEMORY_RAM, PADDR - 2 * PAGE, size + 5 * PAGE));
	assert_int_equal(ist_backing_remove(manager, PADDR - 2 * PAGE), 0);
	/* One that begins inside it. */
	add_backing(&guest, PADDR + size - PAGE, 3, 0);
	assert_int_equal(ist_memory_next(manager, 0, &found), 0);
	assert_int_equal(found.type, IST_MEMORY_DRIVER);
	assert_int_equal(ist_memory_next(manager, PADDR + size, &found), 0);
	assert_int_equal(found.paddr, PADDR + size);
	assert_int_equal(found.size, 2 * PAGE);
	assert_int_equal(ist_backing_remove(manager, PADDR + size - PAGE), 0);
	guest_drop(&guest);
}

static void how_ranges_lie(void **state)
{
	(void)state;
	assert_true(ist_range_is_inside(10, 5, 10, 5));
	assert_true(ist_range_is_inside(11, 4, 10, 5));
	assert_false(ist_range_is_inside(11, 5, 10, 5));
	assert_false(ist_range_is_inside(9, 2, 10, 5));
	assert_true(ist_range_intersects(9, 2, 10, 5));
	assert_true(ist_range_intersects(14, 9, 10, 5));
	assert_false(ist_range_intersects(15, 9, 10, 5));
	assert_true(ist_range_is_outside(15, 9, 10, 5));
	assert_true(ist_range_is_outside(5, 5, 10, 5));
	assert_false(ist_range_is_outside(5, 6, 10, 5));
	assert_true(ist_range_is_inside(UINT64_MAX, 1, UINT64_MAX - 7, 8));
	assert_true(ist_range_intersects(0, UINT64_MAX, UINT64_MAX - 7, 8));
	{
		assert_false(ist_range_is_inside(10, 0, 10, 5) || ist_range_is_inside(10, 5, 10, 0));
		assert_false(ist_range_intersects(12, 0, 10, 5) || ist_range_is_outside(90, 0, 10, 5));
		assert_false(ist_range_is_outside(UINT64_MAX, 2, 10, 5) ||
		             ist_range_intersects(UINT64_MAX, 2, UINT64_MAX, 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(at_every_border),    cmocka_unit_test(the_only_one),
	        cmocka_unit_test(translated_by_type), cmocka_unit_test(around_the_carve_out),
	        cmocka_unit_test(how_ranges_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
