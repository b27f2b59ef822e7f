/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Two counters: who has a reference to a mapping, and who has it mapped side by side. */
#include "support/guest.h"

#include <errno.h>
#include <string.h>

#include "support/crew.h"

#define PAGE IST_PAGE_SIZE
#define RAM (4 * MIB)
#define OFFSET 16

enum { COUNT = 5 };
static const uint64_t page[COUNT] = {GUEST_PADDR + 5 * PAGE, GUEST_PADDR + 6 * PAGE, GUEST_PADDR + 2 * PAGE,
                                     GUEST_PADDR + 100 * PAGE, GUEST_PADDR + 99 * PAGE};

static struct ist_mapping add(struct ist_manager *manager, uint32_t owner, uint32_t flags)
{
	struct ist_registration r = registration_of(page, COUNT);
	struct ist_mapping mapping;

	r.offset = OFFSET;
	r.size = COUNT * PAGE - 2 * OFFSET;
	r.flags = flags;
	r.owner = owner;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

/* Each page at its place, and found from there. */
static void check_pages(struct ist_manager *manager, char *vaddr)
{
	uint64_t paddr;

	for (size_t i = 0; i < COUNT; i++) {
		size_t lead = i == 0 ? OFFSET : 0;
		char *at = vaddr - OFFSET + i * PAGE + lead;

		guest_check(at, page[i] + lead, PAGE - lead);
		assert_int_equal(ist_virt_to_phys(manager, at, 8, &paddr), 0);
		assert_int_equal(paddr, page[i] + lead);
	}
	/* Two pages that lie side by side both ways, and two that do not. */
	assert_int_equal(ist_virt_to_phys(manager, vaddr, 2 * PAGE - OFFSET, &paddr), 0);
	assert_int_equal(ist_virt_to_phys(manager, vaddr, 2 * PAGE - OFFSET + 1, &paddr), -ENOENT);
}

static void mapped_as_long_as_somebody_wants_it(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping = add(manager, 0, IST_MAPPING_SEGMENTS);
	struct ist_mapping_stats stats;
	void *first, *second, *view, *again;
	uint64_t paddr;
	size_t maps;

	(void)state;
	assert_null(mapping.vaddr);
	assert_int_equal(ist_mapping_map(manager, &mapping, &first),
	                 0); /* what starts with the first one is there then */
	assert_int_equal(ist_mapping_unmap(manager, &mapping), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	maps = count_maps();
	assert_int_equal(ist_phys_to_virt(manager, page[2], PAGE, &view), 0);
	assert_int_equal(ist_mapping_map(manager, &mapping, &first), 0);
	assert_int_equal(ist_mapping_map(manager, &mapping, &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(ist_mapping_put(manager, &mapping), -EINVAL); /* they are no references */
	check_pages(manager, first);
	assert_int_equal(ist_phys_to_virt(manager, page[2], PAGE, &again), 0);
	assert_ptr_equal(view, again);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, IST_UNREGISTER_TRY), -EBUSY);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), 0);
	check_pages(manager, first);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(ist_virt_to_phys(manager, first, 8, &paddr), -ENOENT);
	assert_true(maps_settle(maps));
	/* A reference is none of these. */
	assert_int_equal(ist_mapping_get(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_put(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, IST_UNREGISTER_TRY), 0);
	assert_int_equal(ist_mapping_map(manager, &mapping, &first), -ENOENT);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), -EINVAL);
	ist_mapping_stats(manager, &stats);
	assert_int_equal(stats.mappings, 0);
	assert_int_equal(stats.referenced, 0);
	guest_drop(&guest);
}

static void what_is_contiguous_is_counted(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = GUEST_PADDR + 7, .size = 3 * PAGE};
	struct ist_mapping one, side_by_side = add(manager, 0, 0);
	const struct ist_mapping *mapping[2] = {&one, &side_by_side};
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &one), 0);
	for (int i = 0; i < 2; i++) {
		size_t maps = count_maps();

		assert_int_equal(ist_mapping_map(manager, mapping[i], &vaddr), 0);
		assert_ptr_equal(vaddr, mapping[i]->vaddr);
		assert_int_equal(count_maps(), maps);
		assert_int_equal(ist_mapping_unregister_one(manager, mapping[i], IST_UNREGISTER_TRY), -EBUSY);
		assert_int_equal(ist_mapping_unmap(manager, mapping[i]), 0);
		assert_int_equal(ist_mapping_unmap(manager, mapping[i]), -EINVAL);
		assert_int_equal(ist_mapping_unregister_one(manager, mapping[i], 0), 0);
	}
	guest_drop(&guest);
}

/* The end of the owner leaves it to who has it mapped; protection and removal know. */
static void an_owner_ends(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config config = {.id = 5, .max_pages = COUNT, .max_mappings = 1};
	struct ist_owner_stats stats;
	struct ist_mapping mapping, found;
	void *vaddr;
	uint64_t paddr;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &config), 0);
	mapping = add(manager, 5, IST_MAPPING_SEGMENTS);
	assert_int_equal(ist_mapping_map(manager, &mapping, &vaddr), 0); /* not on his quota */
	assert_int_equal(ist_owner_stats(manager, 5, &stats), 0);
	assert_int_equal(stats.mappings, 1);
	assert_int_equal(stats.pages, COUNT);
	assert_int_equal(ist_owner_destroy(manager, 5), -EBUSY);
	guest_check((char *)vaddr - OFFSET + 3 * PAGE, page[3], PAGE);
	assert_int_equal(ist_virt_to_phys(manager, vaddr, 8, &paddr), -ENOENT);
	assert_int_equal(ist_mapping_find_paddr(manager, page[3], 8, &found, NULL), -ENOENT);
	assert_int_equal(ist_protect(manager, page[3], PAGE), -EBUSY);
	assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), -EBUSY);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), 0);
	assert_int_equal(ist_owner_destroy(manager, 5), 0);
	assert_int_equal(ist_protect(manager, page[3], PAGE), 0);
	assert_int_equal(ist_unprotect(manager, page[3], PAGE), 0);
	guest_drop(&guest);
}

static void read_only_and_strict(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping_config config = {.flags = IST_MAPPING_STRICT};
	struct ist_registration r = registration_of(&page[4], 1);
	struct ist_mapping mapping, other;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_configure(manager, &config), 0);
	mapping = add(manager, 0, IST_MAPPING_SEGMENTS);
	assert_int_equal(ist_mapping_map(manager, &mapping, &vaddr), 0);
	check_pages(manager, vaddr);
	memset(vaddr, 1, 8);
	assert_int_equal(*(uint64_t *)(void *)(guest.ram + 5 * PAGE + OFFSET), 0x0101010101010101);
	assert_int_equal(ist_mapping_register(manager, &r, &other), -EEXIST);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &other), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &other, 0), 0);
	guest_drop(&guest);
}

/* A window of eight pages: when there is no room nothing is counted, and it works when there is. */
static void no_room(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping_config config = {.window_size = 8 * PAGE};
	struct ist_mapping mapping, range;
	void *vaddr = &config;

	(void)state;
	assert_int_equal(ist_mapping_configure(manager, &config), 0);
	mapping = add(manager, 0, IST_MAPPING_SEGMENTS);
	assert_int_equal(ist_range_reserve(manager, 4, 0, 0, 0, &range), 0);
	assert_int_equal(ist_mapping_map(manager, &mapping, &vaddr), -ENOSPC);
	assert_ptr_equal(vaddr, &config);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), -EINVAL);
	assert_int_equal(ist_range_release(manager, &range, 0), 0);
	assert_int_equal(ist_mapping_map(manager, &mapping, &vaddr), 0);
	check_pages(manager, vaddr);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, IST_UNREGISTER_TRY), 0);
	guest_drop(&guest);
}

static void bad_inputs(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping = add(manager, 0, IST_MAPPING_SEGMENTS), range, stale = mapping;
	void *vaddr = &mapping;

	(void)state;
	stale.generation++;
	assert_int_equal(ist_mapping_map(NULL, &mapping, &vaddr), -EINVAL);
	assert_int_equal(ist_mapping_map(manager, NULL, &vaddr), -EINVAL);
	assert_int_equal(ist_mapping_map(manager, &mapping, NULL), -EINVAL);
	assert_int_equal(ist_mapping_map(manager, &stale, &vaddr), -ENOENT);
	assert_int_equal(ist_mapping_unmap(NULL, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_unmap(manager, NULL), -EINVAL);
	assert_int_equal(ist_mapping_unmap(manager, &stale), -EINVAL);
	ist_read_enter();
	assert_int_equal(ist_mapping_map(manager, &mapping, &vaddr), -EDEADLK);
	assert_int_equal(ist_mapping_unmap(manager, &mapping), -EDEADLK);
	ist_read_leave();
	assert_int_equal(ist_range_reserve(manager, 1, 0, 0, 0, &range), 0);
	assert_int_equal(ist_mapping_map(manager, &range, &vaddr), -EINVAL);
	assert_int_equal(ist_mapping_unmap(manager, &range), -EINVAL);
	assert_ptr_equal(vaddr, &mapping);
	assert_int_equal(ist_range_release(manager, &range, IST_UNREGISTER_TRY), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, IST_UNREGISTER_TRY), 0);
	guest_drop(&guest);
}

static struct guest shared;
static struct ist_mapping shared_mapping;

static void *map_and_unmap(void *seed)
{
	struct ist_manager *manager = shared.fixture.manager;
	void *vaddr[3];

	for (long i = 0; i < scaled(3000); i++) {
		size_t depth = 1 + random_below(seed, 3);

		for (size_t k = 0; k < depth; k++)
			assert_int_equal(ist_mapping_map(manager, &shared_mapping, &vaddr[k]), 0);
		for (size_t k = 0; k < depth; k++) {
			assert_ptr_equal(vaddr[k], vaddr[0]);
			assert_int_equal(*(uint64_t *)(void *)((char *)vaddr[0] - OFFSET + 4 * PAGE),
			                 page[4]);
			assert_int_equal(ist_mapping_unmap(manager, &shared_mapping), 0);
		}
	}
	return NULL;
}

static void from_several_threads(void **state)
{
	uint64_t seed[3] = {1, 2, 3};
	struct crew crew;

	(void)state;
	shared = guest_make(RAM);
	shared_mapping = add(shared.fixture.manager, 0, IST_MAPPING_SEGMENTS);
	crew_start(&crew, 3, map_and_unmap, seed, sizeof(seed[0]));
	crew_join(&crew);
	assert_int_equal(
	        ist_mapping_unregister_one(shared.fixture.manager, &shared_mapping, IST_UNREGISTER_TRY), 0);
	guest_drop(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(mapped_as_long_as_somebody_wants_it),
	        cmocka_unit_test(what_is_contiguous_is_counted),
	        cmocka_unit_test(an_owner_ends),
	        cmocka_unit_test(read_only_and_strict),
	        cmocka_unit_test(no_room),
	        cmocka_unit_test(bad_inputs),
	        cmocka_unit_test(from_several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
