/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Registered without being mapped: where the pieces lie, what is found, and what overlaps cost. */
#include "support/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE IST_PAGE_SIZE
#define RAM (64 * MIB)

static uint64_t page_at(size_t number)
{
	return GUEST_PADDR + number * PAGE;
}

static struct ist_mapping_stats stats_of(struct ist_manager *manager)
{
	struct ist_mapping_stats stats;

	ist_mapping_stats(manager, &stats);
	return stats;
}

static struct ist_mapping add_stretch(struct ist_manager *manager, uint32_t owner, size_t page, size_t pages,
                                      uint32_t flags)
{
	struct ist_registration r = {
	        .paddr = page_at(page), .size = pages * PAGE, .owner = owner, .flags = flags};
	struct ist_mapping mapping;

	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

static void take_away(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	assert_int_equal(ist_mapping_unregister_one(manager, mapping, 0), 0);
}

static const uint64_t scattered[] = {GUEST_PADDR + 5 * PAGE, GUEST_PADDR + 6 * PAGE, GUEST_PADDR + 2 * PAGE,
                                     GUEST_PADDR + 100 * PAGE, GUEST_PADDR + 99 * PAGE};

static struct ist_mapping add_scattered(struct ist_manager *manager, size_t offset, size_t size)
{
	struct ist_registration r = registration_of(scattered, 5);
	struct ist_mapping mapping;

	r.offset = offset;
	r.size = size;
	r.flags = IST_MAPPING_SEGMENTS;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

/* Every byte of [offset, offset + len) once and in order, taken `room` pieces at a time. */
static void check_pieces(struct ist_manager *manager, const struct ist_mapping *mapping, size_t lead,
                         size_t offset, size_t len, size_t room)
{
	struct iovec piece[8];
	size_t end = offset + len, count, paddr_at;
	uint64_t paddr;

	while (offset < end) {
		assert_int_equal(
		        ist_mapping_segments(manager, mapping, offset, end - offset, piece, room, &count), 0);
		assert_true(count >= 1);
		for (size_t i = 0; i < (count < room ? count : room); i++) {
			for (size_t at = 0; at < piece[i].iov_len; at++) {
				paddr_at = lead + offset + at;
				if ((paddr_at & 7) == 0 && piece[i].iov_len - at >= 8)
					assert_int_equal(
					        *(uint64_t *)(void *)((char *)piece[i].iov_base + at),
					        scattered[paddr_at / PAGE] + paddr_at % PAGE);
			}
			assert_int_equal(ist_mapping_paddr(manager, mapping, offset, 0, &paddr), 0);
			assert_int_equal(paddr, scattered[(lead + offset) / PAGE] + (lead + offset) % PAGE);
			offset += piece[i].iov_len;
		}
	}
	assert_int_equal(offset, end);
}

static void pieces(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping = add_scattered(manager, 0x128, 4 * PAGE + 100);
	size_t lead = 0x128, count = 77;
	struct iovec piece[5];
	uint64_t paddr = 9;
	void *vaddr;

	(void)state;
	assert_null(mapping.vaddr);
	assert_int_equal(ist_mapping_segments(manager, &mapping, 0, mapping.size, NULL, 0, &count), 0);
	assert_int_equal(count, 4); /* 5 and 6, 2, 100, and 99: not behind each other in this order */
	for (size_t room = 1; room <= 5; room++) {
		check_pieces(manager, &mapping, lead, 0, mapping.size, room);
		check_pieces(manager, &mapping, lead, PAGE - lead - 1, 2, room);
		check_pieces(manager, &mapping, lead, PAGE, 2 * PAGE, room);
		check_pieces(manager, &mapping, lead, mapping.size - 1, 1, room);
	}
	assert_int_equal(ist_mapping_segments(manager, &mapping, 0, mapping.size, piece, 5, &count), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(ist_virt_to_phys(manager, piece[i].iov_base, piece[i].iov_len, &paddr), 0);
		assert_int_equal(ist_phys_to_virt(manager, paddr, piece[i].iov_len, &vaddr), 0);
		assert_ptr_equal(vaddr, piece[i].iov_base);
	}
	assert_int_equal(ist_virt_to_phys(manager, (char *)piece[0].iov_base - lead + 2 * PAGE, 1, &paddr),
	                 -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(5), 2 * PAGE, &vaddr), 0);
	assert_int_equal(ist_phys_to_virt(manager, page_at(5), 2 * PAGE + 1, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(99), 2 * PAGE, &vaddr), -ENOENT);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, PAGE, PAGE, &paddr), 0);
	assert_int_equal(paddr, page_at(6));
	/* What is refused, and leaves everything as it is. */
	count = 77;
	paddr = 9;
	assert_int_equal(ist_mapping_segments(NULL, &mapping, 0, 1, piece, 5, &count), -EINVAL);
	assert_int_equal(ist_mapping_segments(manager, NULL, 0, 1, piece, 5, &count), -EINVAL);
	assert_int_equal(ist_mapping_segments(manager, &mapping, 0, 1, NULL, 5, &count), -EINVAL);
	assert_int_equal(ist_mapping_segments(manager, &mapping, 0, 1, piece, 5, NULL), -EINVAL);
	assert_int_equal(ist_mapping_segments(manager, &mapping, 0, 0, piece, 5, &count), -EINVAL);
	assert_int_equal(ist_mapping_segments(manager, &mapping, mapping.size, 1, piece, 5, &count), -ERANGE);
	assert_int_equal(ist_mapping_segments(manager, &mapping, 1, mapping.size, piece, 5, &count), -ERANGE);
	assert_int_equal(ist_mapping_segments(manager, &mapping, UINT64_MAX, 2, piece, 5, &count), -ERANGE);
	assert_int_equal(ist_mapping_segments(manager, &mapping, 2, SIZE_MAX, piece, 5, &count), -ERANGE);
	assert_int_equal(ist_mapping_paddr(NULL, &mapping, 0, 0, &paddr), -EINVAL);
	assert_int_equal(ist_mapping_paddr(manager, NULL, 0, 0, &paddr), -EINVAL);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, 0, 0, NULL), -EINVAL);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, 0, 1, &paddr), -EINVAL);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, 0, UINT64_MAX, &paddr), -EINVAL);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, mapping.size, 0, &paddr), -ERANGE);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, UINT64_MAX, 0, &paddr), -ERANGE);
	/* A reference keeps the answers, though nobody finds it any more; then they are gone. */
	assert_int_equal(ist_mapping_get(manager, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, IST_UNREGISTER_TRY), -EBUSY);
	assert_int_equal(ist_owner_destroy(manager, 3), 0);
	check_pieces(manager, &mapping, lead, 0, mapping.size, 2);
	assert_int_equal(ist_mapping_put(manager, &mapping), 0);
	take_away(manager, &mapping);
	paddr = 9;
	assert_int_equal(ist_mapping_segments(manager, &mapping, 0, 1, piece, 5, &count), -ENOENT);
	assert_int_equal(ist_mapping_paddr(manager, &mapping, 0, 0, &paddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(5), 1, &vaddr), -ENOENT);
	assert_int_equal(ist_virt_to_phys(manager, piece[0].iov_base, 1, &paddr), -ENOENT);
	assert_int_equal(count, 77);
	assert_int_equal(paddr, 9);
	guest_drop(&guest);
}

/* The other kinds of mappings have one piece, where they are; a range has pages, or has none. */
static void pieces_of_others(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = registration_of(scattered, 5);
	struct ist_mapping mapping, range;
	struct iovec piece[2];
	size_t count;
	uint64_t paddr;

	(void)state;
	for (uint32_t flags = 0; flags < 4; flags++) { /* none, read-only, guard, both */
		r.flags = flags;
		r.offset = 8;
		r.size = 3 * PAGE;
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
		assert_non_null(mapping.vaddr);
		assert_int_equal(ist_mapping_segments(manager, &mapping, 7, 2 * PAGE, piece, 2, &count), 0);
		assert_int_equal(count, 1);
		assert_ptr_equal(piece[0].iov_base, (char *)mapping.vaddr + 7);
		assert_int_equal(piece[0].iov_len, 2 * PAGE);
		assert_int_equal(ist_mapping_paddr(manager, &mapping, 2 * PAGE, 0, &paddr), 0);
		assert_int_equal(paddr, scattered[2] + 8);
		take_away(manager, &mapping);
	}
	assert_int_equal(ist_range_reserve(manager, 4, 0, 0, 0, &range), 0);
	assert_int_equal(ist_mapping_paddr(manager, &range, PAGE + 9, 0, &paddr), -ENXIO);
	assert_int_equal(ist_range_map(manager, &range, 1, scattered, 2), 0);
	assert_int_equal(ist_mapping_paddr(manager, &range, PAGE + 9, 0, &paddr), 0);
	assert_int_equal(paddr, page_at(5) + 9);
	assert_int_equal(ist_mapping_segments(manager, &range, PAGE, 2 * PAGE, piece, 2, &count), 0);
	assert_int_equal(count, 1);
	guest_check(piece[0].iov_base, page_at(5), piece[0].iov_len);
	assert_int_equal(ist_range_unmap(manager, &range, 1, 2), 0);
	assert_int_equal(ist_mapping_paddr(manager, &range, PAGE + 9, 0, &paddr), -ENXIO);
	assert_int_equal(ist_range_release(manager, &range, 0), 0);
	guest_drop(&guest);
}

/* No system call maps anything: thousands of them do not make one mapping of the process more. */
static void nothing_is_mapped(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping[500], first = add_scattered(manager, 0, 5 * PAGE);
	size_t maps;

	(void)state;
	for (int i = 0; i < 500; i++) /* what bookkeeping wants */
		mapping[i] = add_scattered(manager, 0, 5 * PAGE);
	maps = count_maps();
	for (int i = 0; i < 500; i++) {
		take_away(manager, &mapping[i]);
		assert_int_equal(ist_mapping_drain(manager), 0);
		mapping[i] = add_scattered(manager, 0, 5 * PAGE);
	}
	assert_true(maps_settle(maps));
	assert_int_equal(stats_of(manager).window_used, 0);
	for (int i = 0; i < 500; i++)
		take_away(manager, &mapping[i]);
	take_away(manager, &first);
	guest_drop(&guest);
}

/* Bytes of bookkeeping that one more stretch costs, whatever it lies over. */
static void a_stretch_over_anything(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	const size_t all = RAM / PAGE;
	struct ist_mapping *single = calloc(all, sizeof(*single)), stretch[64];

	(void)state;
	for (size_t below = 0; below < all; below = below ? 4 * below : 1024) {
		uint64_t before = 0;

		for (size_t i = below > 1024 ? below / 4 : 0; i < below; i++)
			single[i] = add_stretch(manager, 0, i, 1, 0);
		for (size_t n = 0; n < 64; n++) {
			if (n == 3) /* the first ones may make blocks of nodes */
				before = stats_of(manager).bookkeeping;
			stretch[n] = add_stretch(manager, 0, n % 3, all - 5, 0);
		}
		assert_true(stats_of(manager).bookkeeping - before <= 61 * 1024);
		for (size_t n = 0; n < 64; n++)
			take_away(manager, &stretch[n]);
		assert_int_equal(ist_mapping_drain(manager), 0);
	}
	for (size_t i = 0; i < all && single[i].size; i++)
		take_away(manager, &single[i]);
	free(single);
	guest_drop(&guest);
}

static size_t pick(uint64_t *random, size_t most)
{
	*random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (size_t)(*random >> 33) % most;
}

#define SAME 4000u

/* More of one page than there was ever a limit, of several owners, going in no order: the oldest that is there is found. */
static void duplicates(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping *mapping = calloc(SAME, sizeof(*mapping)), found;
	uint64_t random = 1;
	size_t oldest = 0, oldest_of_1 = 1, left = SAME;
	void *vaddr;

	(void)state;
	for (uint32_t id = 1; id < 4; id++)
		assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = id}), 0);
	for (size_t i = 0; i < SAME; i++) /* of one page, or with it in all sorts of stretches */
		mapping[i] = add_stretch(manager, (uint32_t)(i % 4), 64 - i % 5, 1 + i % 5 + i / 5 % 70,
		                         i % 7 == 0 ? IST_MAPPING_READ_ONLY : 0);
	while (left > 0) {
		size_t at = pick(&random, SAME);

		while (!mapping[at].size)
			at = (at + 1) % SAME;
		take_away(manager, &mapping[at]);
		mapping[at].size = 0;
		left--;
		while (oldest < SAME && !mapping[oldest].size)
			oldest++;
		while (oldest_of_1 < SAME && !mapping[oldest_of_1].size)
			oldest_of_1 += 4;
		assert_int_equal(ist_mapping_find_paddr(manager, page_at(64) + 8, 8, &found, &vaddr),
		                 left ? 0 : -ENOENT);
		if (left)
			assert_memory_equal(&found, &mapping[oldest], sizeof(found));
		if (left)
			assert_int_equal(*(uint64_t *)vaddr, page_at(64) + 8);
		assert_int_equal(ist_mapping_find_paddr_of(manager, 1, page_at(64), 8, &found, &vaddr),
		                 oldest_of_1 < SAME ? 0 : -ENOENT);
		if (oldest_of_1 < SAME)
			assert_memory_equal(&found, &mapping[oldest_of_1], sizeof(found));
	}
	free(mapping);
	guest_drop(&guest);
}

/* Whatever overlaps, several pages are found if one mapping has them all; and never if none does. */
static void several_pages(void **state)
{
	enum { LIVE = 60, PAGES = 40 };
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct {
		struct ist_mapping mapping;
		size_t first, pages;
	} live[LIVE] = {0};
	uint64_t random = 7;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t at = pick(&random, LIVE), first = pick(&random, PAGES), pages = 1 + pick(&random, 8);
		struct ist_mapping found;
		bool expected = false;
		void *vaddr;

		if (live[at].pages)
			take_away(manager, &live[at].mapping);
		live[at].pages = live[at].pages ? 0 : 1 + pick(&random, PAGES);
		live[at].first = pick(&random, PAGES);
		if (live[at].pages)
			live[at].mapping = add_stretch(manager, 0, live[at].first, live[at].pages,
			                               (uint32_t)pick(&random, 2));
		for (size_t i = 0; i < LIVE; i++)
			expected |= live[i].pages > 0 && live[i].first <= first &&
			            first + pages <= live[i].first + live[i].pages;
		assert_int_equal(
		        ist_mapping_find_paddr(manager, page_at(first), pages * PAGE, &found, &vaddr),
		        expected ? 0 : -ENOENT);
		assert_int_equal(ist_phys_to_virt(manager, page_at(first), pages * PAGE, &vaddr),
		                 expected ? 0 : -ENOENT);
		if (expected)
			guest_check(vaddr, page_at(first), pages * PAGE);
	}
	for (size_t i = 0; i < LIVE; i++)
		if (live[i].pages)
			take_away(manager, &live[i].mapping);
	guest_drop(&guest);
}

/* Where a page is registered for writing and for reading, and one of the two goes. */
static void in_two_places(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping plain = add_stretch(manager, 0, 9, 2, 0), read_only;
	uint64_t paddr;
	void *vaddr;

	(void)state;
	read_only = add_stretch(manager, 0, 9, 2, IST_MAPPING_READ_ONLY);
	assert_ptr_not_equal(plain.vaddr, read_only.vaddr);
	assert_int_equal(ist_virt_to_phys(manager, plain.vaddr, 2 * PAGE, &paddr), 0);
	assert_int_equal(ist_virt_to_phys(manager, read_only.vaddr, 2 * PAGE, &paddr), 0);
	take_away(manager, &plain);
	assert_int_equal(ist_virt_to_phys(manager, plain.vaddr, 1, &paddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(9), 2 * PAGE, &vaddr), 0);
	assert_ptr_equal(vaddr, read_only.vaddr);
	plain = add_stretch(manager, 0, 10, 1, 0);
	take_away(manager, &read_only);
	assert_int_equal(ist_virt_to_phys(manager, read_only.vaddr, 1, &paddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(manager, page_at(10), 1, &vaddr), 0);
	assert_ptr_equal(vaddr, plain.vaddr);
	assert_int_equal(ist_phys_to_virt(manager, page_at(9), 1, &vaddr), -ENOENT);
	take_away(manager, &plain);
	guest_drop(&guest);
}

/* Unregistered, but referenced by somebody: not found, and in use. Alone in its nodes, and among others; of two owners. */
static void held_by_a_reference(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration strict = {.paddr = page_at(20), .size = PAGE, .flags = IST_MAPPING_STRICT};
	struct ist_mapping held[4], other[4], found;
	void *vaddr;

	(void)state;
	for (int others = 0; others < 3; others++) { /* none, later ones, ones before */
		assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 1}), 0);
		for (int i = 0; others == 2 && i < 4; i++)
			other[i] = add_stretch(manager, 0, 18, 1 + (size_t)i, 0);
		for (int i = 0; i < (others ? 4 : 1); i++) {
			held[i] = add_stretch(manager, 1, 18, 4, i % 2 ? IST_MAPPING_READ_ONLY : 0);
			assert_int_equal(ist_mapping_get(manager, &held[i]), 0);
		}
		for (int i = 0; others == 1 && i < 4; i++)
			other[i] = add_stretch(manager, 0, 18, 1 + (size_t)i, 0);
		assert_int_equal(ist_owner_destroy(manager, 1), -EBUSY);
		assert_int_equal(ist_mapping_find_paddr(manager, page_at(20), 1, &found, &vaddr),
		                 others ? 0 : -ENOENT);
		if (others)
			assert_int_equal(found.owner, 0);
		for (int i = 0; others && i < 4; i++)
			take_away(manager, &other[i]);
		for (int i = 0; i < (others ? 4 : 1); i++) {
			assert_int_equal(ist_mapping_find_paddr(manager, page_at(20), 1, &found, &vaddr),
			                 -ENOENT);
			assert_int_equal(ist_protect(manager, page_at(21), PAGE), -EBUSY);
			assert_int_equal(ist_mapping_register(manager, &strict, &found), -EEXIST);
			assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), -EBUSY);
			guest_check(held[i].vaddr, page_at(18), 4 * PAGE);
			assert_int_equal(ist_mapping_put(manager, &held[i]), 0);
		}
		assert_int_equal(ist_mapping_drain(manager), 0);
		assert_int_equal(ist_mapping_register(manager, &strict, &found), 0);
		take_away(manager, &found);
		assert_int_equal(ist_protect(manager, page_at(21), PAGE), 0);
		assert_int_equal(ist_unprotect(manager, page_at(21), PAGE), 0);
	}
	guest_drop(&guest);
}

/* Pages on both sides of the border of two backings: one stretch physically, two pieces; side by side if they are asked for so. */
static void across_backings(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_backing backing = {.paddr = GUEST_PADDR + RAM, .size = 4 * PAGE, .fd = guest.fd};
	struct ist_registration r = {.paddr = GUEST_PADDR + RAM - 2 * PAGE, .size = 4 * PAGE};
	struct ist_mapping mapping;
	struct iovec piece[3];
	size_t count;
	void *vaddr;
	uint64_t paddr;

	(void)state;
	assert_int_equal(ist_backing_add(manager, &backing), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_phys_to_virt(manager, r.paddr, r.size, &vaddr), 0);
	assert_ptr_equal(vaddr, mapping.vaddr);
	assert_int_equal(ist_virt_to_phys(manager, mapping.vaddr, r.size, &paddr), 0);
	assert_int_equal(paddr, r.paddr);
	guest_check(mapping.vaddr, r.paddr, 2 * PAGE);
	guest_check((char *)mapping.vaddr + 2 * PAGE, GUEST_PADDR,
	            2 * PAGE); /* its bytes: the file's first */
	take_away(manager, &mapping);
	r.flags = IST_MAPPING_SEGMENTS;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_segments(manager, &mapping, PAGE, 2 * PAGE, piece, 3, &count), 0);
	assert_int_equal(count, 2);
	guest_check(piece[0].iov_base, r.paddr + PAGE, PAGE);
	guest_check(piece[1].iov_base, GUEST_PADDR, PAGE);
	assert_int_equal(ist_phys_to_virt(manager, r.paddr, 2 * PAGE, &vaddr), 0);
	assert_int_equal(ist_phys_to_virt(manager, r.paddr + 2 * PAGE, 2 * PAGE, &vaddr), 0);
	assert_int_equal(ist_backing_remove(manager, backing.paddr), -EBUSY);
	take_away(manager, &mapping);
	assert_int_equal(ist_backing_remove(manager, backing.paddr), 0);
	assert_int_equal(ist_backing_remove(manager, GUEST_PADDR), 0);
	guest_drop(&guest);
}

/* A file that cannot be mapped as the backing wants it is no worse off than before: its pages are mapped when registered. */
static void without_a_view(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	char path[64];
	struct ist_backing backing = {.paddr = GUEST_PADDR + RAM, .size = 8 * PAGE};
	struct ist_registration r = {.paddr = backing.paddr, .size = 3 * PAGE, .flags = IST_MAPPING_SEGMENTS};
	struct ist_mapping mapping;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", guest.fd);
	backing.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(backing.fd >= 0);
	assert_int_equal(ist_backing_add(manager, &backing), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -EACCES); /* for writing */
	r.flags |= IST_MAPPING_READ_ONLY;
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_non_null(mapping.vaddr);
	guest_check(mapping.vaddr, GUEST_PADDR, 3 * PAGE);
	take_away(manager, &mapping);
	assert_int_equal(ist_backing_remove(manager, backing.paddr), 0);
	close(backing.fd);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pieces),
	        cmocka_unit_test(pieces_of_others),
	        cmocka_unit_test(nothing_is_mapped),
	        cmocka_unit_test(a_stretch_over_anything),
	        cmocka_unit_test(duplicates),
	        cmocka_unit_test(several_pages),
	        cmocka_unit_test(in_two_places),
	        cmocka_unit_test(held_by_a_reference),
	        cmocka_unit_test(across_backings),
	        cmocka_unit_test(without_a_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
