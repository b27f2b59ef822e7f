/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Dynamic mappings, one thread: what register, lookups, references and unregister answer. */
#include "support/guest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (8 * MIB)

static uint64_t page_at(size_t number)
{
	return GUEST_PADDR + number * PAGE;
}

static void a_list_becomes_one_range(void **state)
{
	const uint64_t pages[] = {page_at(5), page_at(6), page_at(7), page_at(2), page_at(100), page_at(101)};
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = registration_of(pages, 6);
	struct ist_mapping mapping, found;
	uint64_t paddr;
	void *vaddr;

	(void)state;
	r.offset = 0x123 & ~7u;
	r.size = 5 * PAGE + 100;
	r.cookie = 77;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(mapping.size, r.size);
	assert_int_equal((uintptr_t)mapping.vaddr % PAGE, r.offset);
	for (size_t at = 0; at < r.size; at += 8) {
		size_t byte = r.offset + at;
		uint64_t expected = pages[byte / PAGE] + byte % PAGE;

		assert_int_equal(*(uint64_t *)(void *)((char *)mapping.vaddr + at), expected);
		assert_int_equal(ist_virt_to_phys(manager, (char *)mapping.vaddr + at, 1, &paddr), 0);
		assert_int_equal(paddr, expected);
		assert_int_equal(ist_phys_to_virt(manager, expected, 1, &vaddr), 0);
		assert_ptr_equal(vaddr, (char *)mapping.vaddr + at);
	}
	/* Contiguous here and there: found as one; contiguous only here or only there: not. */
	assert_int_equal(ist_phys_to_virt(manager, page_at(5), 3 * PAGE, &vaddr), 0);
	assert_int_equal(ist_phys_to_virt(manager, page_at(5), 3 * PAGE + 1, &vaddr), -ENOENT);
	assert_int_equal(
	        ist_virt_to_phys(manager, (char *)mapping.vaddr - r.offset + 2 * PAGE, 2 * PAGE, &paddr),
	        -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(4), 1, &vaddr), -ENOENT);
	assert_int_equal(ist_mapping_find(manager, 0, 77, &found), 0);
	assert_memory_equal(&found, &mapping, sizeof(found));
	assert_int_equal(ist_mapping_find_paddr(manager, page_at(2) + 9, 10, &found, &vaddr), 0);
	assert_ptr_equal(vaddr, (char *)mapping.vaddr - r.offset + 3 * PAGE + 9);
	assert_int_equal(found.cookie, 77);
	/* Writes go both ways. */
	*(char *)mapping.vaddr = 'x';
	assert_int_equal(guest.ram[5 * PAGE + r.offset], 'x');
	assert_int_equal(ist_mapping_unregister(manager, 0, 77, 0), 0);
	assert_int_equal(ist_mapping_unregister(manager, 0, 77, 0), -ENOENT);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), -ENOENT);
	assert_int_equal(ist_mapping_find(manager, 0, 77, &found), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(5), 1, &vaddr), -ENOENT);
	guest_drop(&guest);
}

static void bad_arguments(void **state)
{
	uint64_t pages[] = {page_at(5), page_at(6)};
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration good = registration_of(pages, 2), r;
	struct ist_mapping mapping, untouched;

	(void)state;
	memset(&mapping, 0x5a, sizeof(mapping));
	untouched = mapping;
#define REFUSED(change, error)                                                                               \
	do {                                                                                                 \
		r = good;                                                                                    \
		change;                                                                                      \
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), error);                        \
		assert_memory_equal(&mapping, &untouched, sizeof(mapping));                                  \
	} while (0)
	assert_int_equal(ist_mapping_register(NULL, &good, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_register(manager, NULL, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_register(manager, &good, NULL), -EINVAL);
	REFUSED(r.size = 0, -EINVAL);
	REFUSED(r.size = SIZE_MAX, -EINVAL);
	REFUSED(r.size++, -EINVAL); /* a page more than there are */
	REFUSED(r.offset = PAGE, -EINVAL);
	REFUSED(r.offset = 1, -EINVAL);
	REFUSED(r.flags = 1u << 31, -EINVAL);
	REFUSED(r.owner = 5, -ENOENT);
	REFUSED((r.pages = NULL, r.paddr = UINT64_MAX - PAGE + 2, r.size = 2 * PAGE), -EINVAL);
	REFUSED((r.pages = NULL, r.paddr = page_at(RAM / PAGE) - 1, r.size = 2), -ENXIO);
	REFUSED((r.pages = NULL, r.paddr = GUEST_PADDR - 1, r.size = 2), -ENXIO);
	REFUSED((r.pages = NULL, r.paddr = 0, r.size = (size_t)1 << 51), -ENXIO);
	REFUSED((r.pages = NULL, r.paddr = 0, r.size = (size_t)1 << 60), -EINVAL);
	pages[1]++;
	REFUSED((void)0, -EINVAL);
	pages[1] = GUEST_PADDR - PAGE;
	REFUSED((void)0, -ENXIO);
	pages[1] = UINT64_MAX - PAGE + 1;
	REFUSED((void)0, -ENXIO);
	assert_int_equal(ist_mapping_unregister(manager, 0, 0, 0), -EINVAL);
	assert_int_equal(ist_mapping_unregister(manager, 0, 1, 2), -EINVAL);
	assert_int_equal(ist_mapping_unregister(manager, 0, 1, 0), -ENOENT);
	assert_int_equal(ist_mapping_find(manager, 0, 0, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_get(manager, &untouched), -ENOENT);
	assert_int_equal(ist_mapping_put(manager, &untouched), -EINVAL);
	guest_drop(&guest);
}

static void sizes_and_offsets(void **state)
{
	static const size_t sizes[] = {1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 100000};
	struct guest guest = guest_make(RAM);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (uint64_t offset = 0; offset < PAGE; offset += 455) {
			struct ist_registration r = {.paddr = page_at(9) + offset, .size = sizes[i]};
			struct ist_mapping mapping;
			struct ist_mapping_stats stats;

			assert_int_equal(ist_mapping_register(guest.fixture.manager, &r, &mapping), 0);
			assert_int_equal((uintptr_t)mapping.vaddr % PAGE, offset);
			assert_int_equal(mapping.size, sizes[i]);
			ist_mapping_stats(guest.fixture.manager, &stats);
			assert_int_equal(stats.pages, (offset + sizes[i] - 1) / PAGE + 1);
			assert_int_equal(((char *)mapping.vaddr)[sizes[i] - 1],
			                 guest.ram[9 * PAGE + offset + sizes[i] - 1]);
			assert_true(ist_mapping_holds(&mapping, 0, sizes[i]));
			assert_true(ist_mapping_holds(&mapping, sizes[i], 0));
			assert_false(ist_mapping_holds(&mapping, 1, sizes[i]));
			assert_false(ist_mapping_holds(&mapping, 1, SIZE_MAX));
			assert_int_equal(ist_mapping_unregister_one(guest.fixture.manager, &mapping, 0), 0);
		}
	}
	guest_drop(&guest);
}

static void duplicates(void **state)
{
	const uint64_t twice[] = {page_at(3), page_at(3)};
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = registration_of(twice, 2);
	struct ist_mapping first, second, third;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &first), 0);
	((char *)first.vaddr)[5] = 42;
	assert_int_equal(((char *)first.vaddr)[PAGE + 5], 42);
	r.page_count = 1;
	r.size = PAGE;
	assert_int_equal(ist_mapping_register(manager, &r, &second), 0);
	assert_int_equal(ist_phys_to_virt(manager, page_at(3), 1, &vaddr), 0);
	assert_ptr_equal(vaddr, first.vaddr); /* the oldest */
	r.flags = IST_MAPPING_STRICT;
	assert_int_equal(ist_mapping_register(manager, &r, &third), -EEXIST);
	assert_int_equal(ist_mapping_unregister_one(manager, &first, 0), 0);
	assert_int_equal(ist_phys_to_virt(manager, page_at(3), 1, &vaddr), 0);
	assert_ptr_equal(vaddr, second.vaddr);
	assert_int_equal(ist_mapping_unregister_one(manager, &second, 0), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &third), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &third, 0), 0);
	r = registration_of(twice, 2);
	r.flags = IST_MAPPING_STRICT;
	assert_int_equal(ist_mapping_register(manager, &r, &third), -EEXIST);
	assert_int_equal(ist_phys_to_virt(manager, page_at(3), 1, &vaddr), -ENOENT);
	guest_drop(&guest);
}

static void cookies_belong_to_owners(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_owner_config one = {.id = 1}, two = {.id = UINT32_MAX};
	struct ist_registration r = {.paddr = page_at(1), .size = PAGE, .cookie = 9, .owner = 1};
	struct ist_mapping a, b, found;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &one), 0);
	assert_int_equal(ist_owner_create(manager, &two), 0);
	assert_int_equal(ist_owner_create(manager, &two), -EEXIST);
	assert_int_equal(ist_mapping_register(manager, &r, &a), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &b), -EEXIST);
	assert_int_equal(ist_mapping_find(manager, 0, 9, &found), -ENOENT);
	assert_int_equal(ist_mapping_find(manager, UINT32_MAX, 9, &found), -ENOENT);
	assert_int_equal(ist_mapping_unregister(manager, UINT32_MAX, 9, 0), -ENOENT);
	r.owner = UINT32_MAX;
	assert_int_equal(ist_mapping_register(manager, &r, &b), 0);
	assert_int_equal(ist_mapping_find(manager, UINT32_MAX, 9, &found), 0);
	assert_ptr_equal(found.vaddr, b.vaddr);
	assert_int_equal(found.owner, UINT32_MAX);
	assert_int_equal(ist_mapping_find_paddr_of(manager, UINT32_MAX, page_at(1), 1, &found, &vaddr), 0);
	assert_ptr_equal(vaddr, b.vaddr);
	assert_int_equal(ist_mapping_find_paddr_of(manager, 1, page_at(1), 1, &found, NULL), 0);
	assert_ptr_equal(found.vaddr, a.vaddr);
	assert_int_equal(ist_mapping_find_paddr_of(manager, 0, page_at(1), 1, &found, NULL), -ENOENT);
	assert_int_equal(ist_mapping_unregister(manager, 1, 9, 0), 0);
	assert_int_equal(ist_owner_destroy(manager, UINT32_MAX), 0);
	assert_int_equal(ist_mapping_find(manager, UINT32_MAX, 9, &found), -ENOENT);
	assert_int_equal(ist_owner_destroy(manager, 1), 0);
	guest_drop(&guest);
}

static void references(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = page_at(1), .size = 3 * PAGE, .cookie = 9};
	struct ist_mapping mapping, found;
	struct ist_mapping_stats stats;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_put(manager, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_find_get(manager, 0, 9, &found), 0);
	assert_int_equal(ist_mapping_get(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, IST_UNREGISTER_TRY), -EBUSY);
	assert_int_equal(ist_mapping_find(manager, 0, 9, &found), 0);
	assert_int_equal(ist_mapping_put(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, IST_UNREGISTER_TRY), -EBUSY);
	assert_int_equal(ist_mapping_put(manager, &mapping), 0);
	assert_int_equal(ist_mapping_put(manager, &mapping), -EINVAL);
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, IST_UNREGISTER_TRY), 0);
	assert_int_equal(ist_mapping_get(manager, &mapping), -ENOENT);
	assert_int_equal(ist_mapping_find_get(manager, 0, 9, &found), -ENOENT);
	ist_mapping_stats(manager, &stats);
	assert_int_equal(stats.mappings, 0);
	guest_drop(&guest);
}

static void in_a_read_section(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = page_at(1), .size = PAGE, .cookie = 9};
	struct ist_owner_config owner = {.id = 3};
	struct ist_backing backing = {.paddr = 0, .size = PAGE, .vaddr = guest.ram};
	struct ist_mapping mapping, found;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	ist_read_enter();
	assert_true(ist_read_inside());
	assert_int_equal(ist_phys_to_virt(manager, page_at(1), PAGE, &vaddr), 0);
	assert_int_equal(ist_mapping_find(manager, 0, 9, &found), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &found), -EDEADLK);
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, 0), -EDEADLK);
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, IST_UNREGISTER_TRY), -EDEADLK);
	assert_int_equal(ist_mapping_drain(manager), -EDEADLK);
	assert_int_equal(ist_mapping_flush(manager), -EDEADLK);
	assert_int_equal(ist_owner_create(manager, &owner), -EDEADLK);
	assert_int_equal(ist_owner_destroy(manager, 3), -EDEADLK);
	assert_int_equal(ist_backing_add(manager, &backing), -EDEADLK);
	assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), -EDEADLK);
	guest_check(vaddr, page_at(1), PAGE);
	ist_read_leave();
	assert_false(ist_read_inside());
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, 0), 0);
	guest_drop(&guest);
}

static void guarded(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {
	        .paddr = page_at(1), .size = PAGE, .cookie = 9, .flags = IST_MAPPING_GUARDED};
	struct ist_mapping mapping;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, 0), -EPERM);
	assert_int_equal(ist_mapping_unguard(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister(manager, 0, 9, 0), 0);
	assert_int_equal(ist_mapping_unguard(manager, &mapping), -ENOENT);
	guest_drop(&guest);
}

static void backings(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_backing memory = {.paddr = 0x7000, .size = 4 * PAGE, .attributes = IST_UNCACHED}, found,
	                   bad;
	struct ist_backing read_only = {
	        .paddr = 0x20000, .size = 4 * PAGE, .fd = guest.fd, .attributes = IST_READ_ONLY};
	uint64_t pages[] = {0x8000, 0x7000, 0xa000};
	struct ist_registration r = {.paddr = 0x8010, .size = PAGE};
	struct ist_mapping mapping;
	uint64_t paddr;

	(void)state;
	memory.vaddr = guest.ram + 16 * PAGE;
	assert_int_equal(ist_backing_add(manager, &memory), 0);
	assert_int_equal(ist_backing_add(manager, &memory), -EEXIST);
	assert_int_equal(ist_backing_add(manager, &read_only), 0);
	bad = memory;
	bad.paddr = 0x6000;
	assert_int_equal(ist_backing_add(manager, &bad), -EEXIST);
	bad = (struct ist_backing){.paddr = 0, .size = PAGE, .fd = -1};
	assert_int_equal(ist_backing_add(manager, &bad), -EBADF);
	bad = (struct ist_backing){.paddr = 0, .size = PAGE, .fd = guest.fd, .offset = RAM};
	assert_int_equal(ist_backing_add(manager, &bad), -EINVAL); /* behind the file's end */
	bad = (struct ist_backing){.paddr = UINT64_MAX - PAGE + 1, .size = 2 * PAGE, .fd = guest.fd};
	assert_int_equal(ist_backing_add(manager, &bad), -EINVAL);
	bad = (struct ist_backing){.paddr = 1, .size = PAGE, .fd = guest.fd};
	assert_int_equal(ist_backing_add(manager, &bad), -EINVAL);
	assert_int_equal(ist_backing_find(manager, 0x7fff, &found), 0);
	assert_ptr_equal(found.vaddr, memory.vaddr);
	assert_int_equal(found.attributes, IST_UNCACHED);
	assert_int_equal(ist_backing_find(manager, 0xb000, &found), -ENOENT);

	/* One stretch: where the caller has it. Several: mapped again. */
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_ptr_equal(mapping.vaddr, guest.ram + 17 * PAGE + 0x10);
	assert_int_equal(mapping.attributes, IST_UNCACHED);
	assert_int_equal(ist_virt_to_phys(manager, mapping.vaddr, PAGE, &paddr), 0);
	assert_int_equal(paddr, 0x8010);
	assert_int_equal(ist_backing_remove(manager, 0x7000), -EBUSY);
	assert_int_equal(ist_mapping_get(manager, &mapping), 0);
	assert_int_equal(ist_mapping_put(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	r = registration_of(pages, 3);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	guest_check((char *)mapping.vaddr, GUEST_PADDR + 17 * PAGE, PAGE);
	guest_check((char *)mapping.vaddr + PAGE, GUEST_PADDR + 16 * PAGE, PAGE);
	guest_check((char *)mapping.vaddr + 2 * PAGE, GUEST_PADDR + 19 * PAGE, PAGE);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);

	/* A list over two backings is as restricted as the stricter one. */
	pages[1] = 0x20000;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(mapping.attributes, IST_UNCACHED | IST_READ_ONLY);
	guest_check((char *)mapping.vaddr + PAGE, GUEST_PADDR, PAGE);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	assert_int_equal(ist_backing_remove(manager, 0x8000), -ENOENT);
	assert_int_equal(ist_backing_remove(manager, 0x7000), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -ENXIO);
	guest_drop(&guest);
}

static void protected_ranges(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = page_at(10), .size = 3 * PAGE};
	struct ist_mapping mapping;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_protect(manager, page_at(12) + 4095, 1), -EBUSY);
	assert_int_equal(ist_protect(manager, page_at(9), PAGE + 1), -EBUSY);
	assert_int_equal(ist_protect(manager, page_at(13), PAGE), 0);
	assert_int_equal(ist_protect(manager, page_at(13) + 7, 1), -EEXIST);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	r.paddr++; /* now its last byte is in the protected page */
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -EACCES);
	assert_int_equal(ist_unprotect(manager, page_at(13), 2 * PAGE), -ENOENT);
	assert_int_equal(ist_unprotect(manager, page_at(13), PAGE), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	assert_int_equal(ist_protect(manager, page_at(13), 0), -EINVAL);
	assert_int_equal(ist_protect(manager, UINT64_MAX, 2), -EINVAL);
	guest_drop(&guest);
}

/* Address space is used again, and told when there is none. */
static void window_is_exhausted(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping_config config = {.window_size = 64 * PAGE};
	/* Not as the backing is mapped, so it takes address space. */
	struct ist_registration r = {.paddr = page_at(0), .size = 16 * PAGE, .flags = IST_MAPPING_READ_ONLY};
	struct ist_mapping mapping[5];

	(void)state;
	assert_int_equal(ist_mapping_configure(manager, &config), 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 4; i++)
			assert_int_equal(ist_mapping_register(manager, &r, &mapping[i]), 0);
		assert_int_equal(ist_mapping_register(manager, &r, &mapping[4]), -ENOSPC);
		for (int i = 0; i < 4; i++)
			assert_int_equal(ist_mapping_unregister_one(manager, &mapping[i], 0), 0);
	}
	assert_int_equal(ist_mapping_configure(manager, &config), -EBUSY);
	r.flags = IST_MAPPING_GUARD;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping[0]), 0);
	guest_check(mapping[0].vaddr, page_at(0), r.size);
	for (int i = 1; i < 3; i++)
		assert_int_equal(ist_mapping_register(manager, &r, &mapping[i]), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ist_mapping_unregister_one(manager, &mapping[i], 0), 0);
	guest_drop(&guest);
}

static void manager_is_busy(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = page_at(0), .size = 16 * PAGE};
	struct ist_mapping mapping;

	(void)state;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_manager_destroy(manager), -EBUSY);
	guest_check(mapping.vaddr, page_at(0), r.size);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	guest_drop(&guest);
}

static void nothing_leaks(void **state)
{
	size_t maps = 0, fds = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		if (round == 1) { /* the first one starts the reclaimer */
			maps = count_maps();
			fds = count_fds();
		}
		a_list_becomes_one_range(state);
		duplicates(state);
		backings(state);
		cookies_belong_to_owners(state);
	}
	assert_true(maps_settle(maps));
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_list_becomes_one_range),
	        cmocka_unit_test(bad_arguments),
	        cmocka_unit_test(sizes_and_offsets),
	        cmocka_unit_test(duplicates),
	        cmocka_unit_test(cookies_belong_to_owners),
	        cmocka_unit_test(references),
	        cmocka_unit_test(in_a_read_section),
	        cmocka_unit_test(guarded),
	        cmocka_unit_test(backings),
	        cmocka_unit_test(protected_ranges),
	        cmocka_unit_test(window_is_exhausted),
	        cmocka_unit_test(manager_is_busy),
	        cmocka_unit_test(nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
