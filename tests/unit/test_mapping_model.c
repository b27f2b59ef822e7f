/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * All calls on dynamic memory in any order, beside a model (support/world.h): lists, ranges, registers, references, side by side,
 * owners, protection, backings. What each call answers is foretold, and contents are checked at every address found.
 */
#include "support/world.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void register_list(void)
{
	static const uint32_t some_flags[] = {0,
	                                      0,
	                                      IST_MAPPING_SEGMENTS,
	                                      IST_MAPPING_SEGMENTS,
	                                      IST_MAPPING_SEGMENTS | IST_MAPPING_STRICT,
	                                      IST_MAPPING_GUARD,
	                                      IST_MAPPING_READ_ONLY,
	                                      IST_MAPPING_STRICT,
	                                      IST_MAPPING_GUARDED | IST_MAPPING_SEGMENTS};
	size_t count = 1 + world_below(LIST);
	uint64_t address[LIST];
	int page[LIST], first = (int)world_below(PAGES), step = (int)world_below(4);
	struct ist_registration r = {.pages = address, .page_count = count, .offset = 8 * world_below(4)};
	struct ist_mapping mapping;

	for (size_t i = 0; i < count; i++) {
		page[i] = step ? (first + (int)i) % PAGES
		               : (int)world_below(world_below(8) ? RAM_PAGES : PAGES);
		address[i] = world_paddr(page[i]);
	}
	r.size = count * PAGE - r.offset - 8 * world_below(4);
	r.owner = (uint32_t)world_below(OWNERS);
	r.cookie = world_below(COOKIES);
	r.flags = some_flags[world_below(sizeof(some_flags) / sizeof(some_flags[0]))];
	world_against_owner(r.owner, r.cookie);
	world_against_pages(page, count, world.is_strict || (r.flags & IST_MAPPING_STRICT));
	if (world_foretold(ist_mapping_register(world.manager, &r, &mapping))) {
		struct entry *e = world_append(LISTED, r.owner, r.cookie, count);

		memcpy(e->page, page, sizeof(page));
		e->mapping = mapping;
		e->guarded = r.flags & IST_MAPPING_GUARDED;
		assert_int_equal(mapping.size, r.size);
		assert_true(mapping.vaddr || r.flags & IST_MAPPING_SEGMENTS);
	}
}

static void unregister(void)
{
	struct entry *e = world_some();
	uint32_t id;
	uint64_t cookie;

	if (world_below(3) == 0) {
		id = (uint32_t)world_below(OWNERS);
		cookie = 1 + world_below(COOKIES - 1);
		e = world_by_cookie(id, cookie);
		world_against(!e || e->kind != LISTED, -ENOENT);
		world_against(e && e->guarded, -EPERM);
		world_against(e && e->refs + e->maps > 0, -EBUSY);
		if (world_foretold(ist_mapping_unregister(world.manager, id, cookie, IST_UNREGISTER_TRY)))
			e->live = false;
		return;
	}
	if (!e || e->kind == REGISTERS)
		return;
	world_against(!e->live, -ENOENT);
	world_against(e->refs + e->maps > 0, -EBUSY);
	if (world_foretold(
	            e->kind == RANGE
	                    ? ist_range_release(world.manager, &e->mapping, IST_UNREGISTER_TRY)
	                    : ist_mapping_unregister_one(world.manager, &e->mapping, IST_UNREGISTER_TRY)))
		e->live = false;
}

static void refer(void)
{
	struct entry *e = world_some();

	if (!e || e->kind == REGISTERS)
		return;
	if (world_below(2) && e->refs) {
		assert_int_equal(ist_mapping_put(world.manager, &e->mapping), 0);
		e->refs--;
		return;
	}
	world_against(!e->live, -ENOENT);
	if (world_foretold(ist_mapping_get(world.manager, &e->mapping)))
		e->refs++;
}

static void put_side_by_side(void)
{
	struct entry *e = world_some();
	void *vaddr;

	if (!e || e->kind == REGISTERS)
		return;
	if (world_below(2)) {
		world_against(e->maps == 0, -EINVAL);
		if (world_foretold(ist_mapping_unmap(world.manager, &e->mapping)))
			e->maps--;
		return;
	}
	world_against(!e->live, -ENOENT);
	world_against(e->kind == RANGE, -EINVAL);
	if (world_foretold(ist_mapping_map(world.manager, &e->mapping, &vaddr))) {
		assert_true(e->maps == 0 || e->side_by_side == vaddr);
		e->side_by_side = vaddr;
		e->maps++;
	}
}

static void reserve(void)
{
	uint32_t id = (uint32_t)world_below(OWNERS);
	uint64_t cookie = world_below(COOKIES);
	size_t pages = 1 + world_below(LIST);
	struct ist_mapping mapping;

	world_against_owner(id, cookie);
	if (world_foretold(ist_range_reserve(world.manager, pages, id, cookie,
	                                     world_below(2) ? IST_MAPPING_GUARD : 0, &mapping))) {
		struct entry *e = world_append(RANGE, id, cookie, pages);

		for (size_t i = 0; i < pages; i++)
			e->page[i] = NONE;
		e->mapping = mapping;
	}
}

static struct entry *some_range(void)
{
	struct entry *e = NULL;

	for (int tries = 0; tries < 10 && (!e || e->kind != RANGE); tries++)
		e = world_some();
	return e && e->kind == RANGE ? e : NULL;
}

static void fill_range(void)
{
	struct entry *e = some_range();
	size_t first = world_below(LIST), count = 1 + world_below(3);
	uint64_t address[3];
	int page[3], from = (int)world_below(RAM_PAGES - 3);

	if (!e)
		return;
	for (size_t i = 0; i < count; i++) {
		page[i] = world_below(2) ? from + (int)i : (int)world_below(PAGES);
		address[i] = world_paddr(page[i]);
	}
	world_against(!e->live, -ENOENT);
	world_against(first + count > e->pages, -ERANGE);
	for (size_t i = first; i < first + count && i < e->pages; i++)
		world_against(e->page[i] != NONE, -EEXIST);
	world_against_pages(page, count, world.is_strict);
	if (world_foretold(ist_range_map(world.manager, &e->mapping, first, address, count)))
		memcpy(&e->page[first], page, count * sizeof(page[0]));
}

static void empty_range(void)
{
	struct entry *e = some_range();
	size_t first = world_below(LIST), count = 1 + world_below(3);

	if (!e)
		return;
	world_against(!e->live, -ENOENT);
	world_against(first + count > e->pages, -ERANGE);
	world_against(e->refs > 0, -EBUSY);
	for (size_t i = first; i < first + count && i < e->pages; i++)
		world_against(e->page[i] == NONE, -ENXIO);
	if (world_foretold(ist_range_unmap(world.manager, &e->mapping, first, count)))
		for (size_t i = first; i < first + count; i++)
			e->page[i] = NONE;
}

static struct entry *registers_at(const char *vaddr, bool top)
{
	for (size_t i = 0; i < world.entries; i++) {
		struct entry *e = &world.entry[i];

		if (e->kind == REGISTERS && (!top || e->parent == NONE) &&
		    (uintptr_t)vaddr - ((uintptr_t)e->vaddr & ~(uintptr_t)(PAGE - 1)) < e->pages * PAGE)
			return e;
	}
	return NULL;
}

static void map_registers(void)
{
	int first = RAM_PAGES - 1 + (int)world_below(DEVICE_PAGES + 1), count = 1 + (int)world_below(3);
	size_t offset = 8 * world_below(3), len = (size_t)count * PAGE - offset;
	bool covered = false;
	void *vaddr;
	struct entry *e;

	for (size_t i = 0; i < world.entries; i++)
		covered |= world.entry[i].live && world.entry[i].kind == REGISTERS &&
		           world.entry[i].page[0] <= first &&
		           first + count <= world.entry[i].page[0] + (int)world.entry[i].pages;
	for (int page = first; page < first + count && !covered; page++) {
		world_against(page < RAM_PAGES || page >= PAGES || !world.backing[2], -ENXIO);
		world_against(world_is_protected(page), -EACCES);
	}
	if (!world_foretold(ist_mmio_map(world.manager, world_paddr(first) + offset, len, &vaddr)))
		return;
	for (size_t i = 0; i < world.entries; i++) {
		e = &world.entry[i];
		if (e->kind == REGISTERS && e->live && e->vaddr == vaddr && e->mapping.size == len) {
			e->count++;
			return;
		}
	}
	e = registers_at(vaddr, true);
	{
		int parent = e ? e->serial : NONE;

		e = world_append(REGISTERS, 0, 0, (size_t)count);
		e->parent = parent;
	}
	for (int i = 0; i < count; i++)
		e->page[i] = first + i;
	e->count = 1;
	e->vaddr = vaddr;
	e->mapping.size = len;
}

static void unmap_registers(void)
{
	struct entry *e = world_some();

	if (!e || e->kind != REGISTERS)
		return;
	assert_int_equal(ist_mmio_unmap(world.manager, e->vaddr + 1, e->mapping.size), -ENOENT);
	if (!e->live) {
		/* It may be the address and size of one inside it, but of no other. */
		for (size_t i = 0; i < world.entries; i++)
			if (world.entry[i].live && world.entry[i].vaddr == e->vaddr &&
			    world.entry[i].mapping.size == e->mapping.size)
				return;
	}
	world_against(!e->live, -ENOENT);
	if (world_foretold(ist_mmio_unmap(world.manager, e->vaddr, e->mapping.size)) && --e->count == 0)
		e->live = false;
}

static void protect(void)
{
	struct protection p = {(int)world_below(PAGES - 4), 1 + (int)world_below(4)};

	if (world_below(2) && world.protections) {
		size_t at = world_below(world.protections);

		assert_int_equal(ist_unprotect(world.manager, world_paddr(world.protection[at].first),
		                               (uint64_t)world.protection[at].count * PAGE),
		                 0);
		world.protection[at] = world.protection[--world.protections];
		return;
	}
	for (int page = p.first; page < p.first + p.count; page++) {
		world_against(world_is_protected(page), -EEXIST);
		world_against(world_is_used(page), -EBUSY);
	}
	if (world.protections == PROTECTIONS) {
		world.reasons = 0;
		return;
	}
	if (world_foretold(ist_protect(world.manager, world_paddr(p.first) + world_below(8),
	                               (uint64_t)p.count * PAGE - 8)))
		world.protection[world.protections++] = p;
}

static const int backing_first[] = {0, HALF, RAM_PAGES, PAGES};

static void change_backings(void)
{
	size_t at = world_below(3);
	struct ist_backing b = {
	        .paddr = world_paddr(backing_first[at]),
	        .size = (uint64_t)(backing_first[at + 1] - backing_first[at]) * PAGE,
	        .fd = world.memory_fd,
	        .offset = (uint64_t)backing_first[at] * PAGE,
	        .attributes = at == 2 ? IST_DEVICE : 0,
	};

	if (world_below(2)) {
		world_against(world.backing[at], -EEXIST);
		if (world_foretold(ist_backing_add(world.manager, &b)))
			world.backing[at] = true;
		return;
	}
	world_against(!world.backing[at], -ENOENT);
	for (int page = backing_first[at]; page < backing_first[at + 1] && world.reasons == 0; page++)
		world_against(world_is_used(page), -EBUSY);
	if (world_foretold(ist_backing_remove(world.manager, b.paddr)))
		world.backing[at] = false;
}

static void come_and_go(void)
{
	uint32_t id = 1 + (uint32_t)world_below(OWNERS - 1);
	struct ist_owner_config config = {.id = id};
	bool left = false;

	if (world_below(2)) {
		world_against(world.owner[id] == LIVE, -EEXIST);
		world_against(world.owner[id] == DYING, -EBUSY);
		if (world_foretold(ist_owner_create(world.manager, &config)))
			world.owner[id] = LIVE;
		return;
	}
	for (size_t i = 0; i < world.entries; i++) {
		if (world.entry[i].owner != id)
			continue;
		world.entry[i].live = false;
		left |= world_is_kept(&world.entry[i]);
	}
	world_against(left, -EBUSY);
	world_foretold(ist_owner_destroy(world.manager, id));
	if (world.owner[id] == LIVE)
		world.owner[id] = DYING;
}

static void check_word(const char *at, int page, size_t into)
{
	assert_int_equal(*(const uint64_t *)(const void *)(at + into), world_paddr(page) + into);
}

/* The page found is of somebody who is there, and the oldest of them says where. */
static void check_page(int page)
{
	const struct entry *oldest = NULL;
	struct ist_mapping found;
	void *vaddr, *other;
	int error = ist_mapping_find_paddr(world.manager, world_paddr(page) + 16, 8, &found, &vaddr);

	for (size_t i = world.entries; i-- > 0;)
		if (world.entry[i].live && world_has(&world.entry[i], page))
			oldest = &world.entry[i];
	assert_int_equal(error, oldest ? 0 : -ENOENT);
	assert_int_equal(ist_phys_to_virt(world.manager, world_paddr(page), 8, &other), error);
	if (error)
		return;
	check_word((char *)vaddr - 16, page, 16);
	check_word(other, page, 0);
	assert_int_equal(found.size, oldest->mapping.size);
	if (oldest->kind != REGISTERS)
		assert_int_equal(found.slot, oldest->mapping.slot);
	assert_int_equal(found.owner, oldest->owner);
}

static void check_address(const struct entry *e, const char *at, int page, size_t into)
{
	uint64_t paddr;

	check_word(at - into, page, into);
	if (!e->live)
		return;
	assert_int_equal(ist_virt_to_phys(world.manager, at, 8, &paddr), 0);
	assert_int_equal(paddr, world_paddr(page) + into);
}

/* All bytes of it, by one word in each page, wherever it lies. */
static void check_entry(const struct entry *e)
{
	for (size_t i = 0; i < e->pages && (e->kind != RANGE || e->live || e->refs); i++) {
		struct iovec piece;
		size_t count, offset = i * PAGE;
		uint64_t paddr, into;

		if (e->kind == REGISTERS) {
			char *base = (char *)((uintptr_t)e->vaddr & ~(uintptr_t)(PAGE - 1));

			check_address(e, base + i * PAGE, e->page[i], 0);
			continue;
		}
		if (e->page[i] == NONE)
			continue;
		if (offset >= e->mapping.size)
			offset = e->mapping.size - 8;
		assert_int_equal(ist_mapping_paddr(world.manager, &e->mapping, offset, 0, &paddr), 0);
		into = paddr % PAGE;
		assert_int_equal(
		        ist_mapping_segments(world.manager, &e->mapping, offset, 8, &piece, 1, &count), 0);
		assert_true(count == 1);
		if (into <= PAGE - 8)
			check_address(e, piece.iov_base, (int)((paddr - BASE) / PAGE), into);
		if (e->maps && into <= PAGE - 8)
			check_address(e, e->side_by_side + offset, (int)((paddr - BASE) / PAGE), into);
		assert_true(world_has(e, (int)((paddr - BASE) / PAGE)));
	}
}

static void check_cookie(void)
{
	uint32_t id = (uint32_t)world_below(OWNERS);
	uint64_t cookie = 1 + world_below(COOKIES - 1);
	const struct entry *e = world_by_cookie(id, cookie);
	struct ist_mapping found;

	assert_int_equal(ist_mapping_find(world.manager, id, cookie, &found), e ? 0 : -ENOENT);
	if (e)
		assert_int_equal(found.slot, e->mapping.slot);
}

static void check_all(void)
{
	for (int page = 0; page < PAGES; page++)
		check_page(page);
	for (size_t i = 0; i < world.entries; i++)
		check_entry(&world.entry[i]);
}

static void open_world(uint64_t number)
{
	struct ist_mapping_config config = {.flags = number % 5 == 4 ? IST_MAPPING_STRICT : 0,
	                                    .cache_size = number % 3 * 8 * PAGE};

	world.seed = number;
	world.fixture = fixture_make(256 * KIB, 0);
	world.manager = world.fixture.manager;
	world.entries = world.protections = 0;
	world.serial = 0;
	memset(world.owner, 0, sizeof(world.owner));
	memset(world.backing, 0, sizeof(world.backing));
	world.owner[0] = LIVE;
	world.is_strict = config.flags != 0;
	assert_int_equal(ist_mapping_configure(world.manager, &config), 0);
}

static void close_world(void)
{
	for (size_t i = 0; i < world.entries; i++) {
		for (; world.entry[i].refs; world.entry[i].refs--)
			assert_int_equal(ist_mapping_put(world.manager, &world.entry[i].mapping), 0);
		for (; world.entry[i].maps; world.entry[i].maps--)
			assert_int_equal(ist_mapping_unmap(world.manager, &world.entry[i].mapping), 0);
	}
	for (size_t i = 0; i < world.entries; i++) {
		if (!world.entry[i].live)
			continue;
		if (world.entry[i].kind == REGISTERS)
			for (; world.entry[i].count; world.entry[i].count--)
				assert_int_equal(ist_mmio_unmap(world.manager, world.entry[i].vaddr,
				                                world.entry[i].mapping.size),
				                 0);
		else if (world.entry[i].kind == RANGE)
			assert_int_equal(ist_range_release(world.manager, &world.entry[i].mapping, 0), 0);
		else
			assert_int_equal(
			        ist_mapping_unregister_one(world.manager, &world.entry[i].mapping, 0), 0);
	}
	fixture_drop(&world.fixture);
}

static void any_sequence(void **state)
{
	static void (*const call[])(void) = {
	        register_list, register_list,    register_list, unregister,      unregister,  refer,
	        refer,         put_side_by_side, reserve,       fill_range,      fill_range,  empty_range,
	        map_registers, unmap_registers,  protect,       change_backings, come_and_go, check_cookie};
	size_t fds = count_fds();

	(void)state;
	for (uint64_t number = 1; number <= (uint64_t)scaled(120); number++) {
		open_world(number);
		for (int step = 0; step < 400; step++) {
			if (world.entries < MOST)
				call[world_below(sizeof(call) / sizeof(call[0]))]();
			else
				unregister();
			world_sweep();
			if (step % 8 == 0)
				check_all();
			else
				check_page((int)world_below(PAGES));
		}
		close_world();
	}
	assert_int_equal(count_fds(), fds);
}

static int make_memory(void **state)
{
	uint64_t *words;

	(void)state;
	world.memory_fd = memfd_create("memory", MFD_CLOEXEC);
	assert_true(world.memory_fd >= 0 && ftruncate(world.memory_fd, PAGES * PAGE) == 0);
	words = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, world.memory_fd, 0);
	assert_true(words != MAP_FAILED);
	for (uint64_t at = 0; at < PAGES * PAGE; at += 8)
		words[at / 8] = BASE + at;
	munmap(words, PAGES * PAGE);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(any_sequence, make_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
