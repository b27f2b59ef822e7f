/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Dynamic mappings where somebody does his worst: files that refuse, shrink or lie side by side, owners that die while their
 * pages are in use, arrays that change. Each of these failed once.
 */
#include "support/guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/platform.h"

#define PAGE IST_PAGE_SIZE
#define RAM (1 * MIB)
#define DEVICE UINT64_C(0x80000000)

static uint64_t page_at(size_t number)
{
	return GUEST_PADDR + number * PAGE;
}

static struct ist_mapping registered(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                                     size_t page)
{
	struct ist_registration r = {.paddr = page_at(page), .size = PAGE, .owner = owner, .cookie = cookie};
	struct ist_mapping mapping;

	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

static void make_owner(struct ist_manager *manager, uint32_t id)
{
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = id}), 0);
}

static void start(pthread_t *thread, void *(*run)(void *), void *argument)
{
	assert_int_equal(pthread_create(thread, NULL, run, argument), 0);
}

static bool is_all_mapped(char *from, size_t pages)
{
	unsigned char unused[64];

	return mincore(from, pages * PAGE, unused) == 0;
}

/* A file whose own mmap refuses: nothing of the reserved address space is left open for others to fall into. */
static void a_file_that_refuses(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping = registered(manager, 0, 1, 0), other;
	struct ist_backing device = {.paddr = DEVICE, .size = RAM, .attributes = IST_DEVICE},
	                   memory = {.paddr = DEVICE / 2, .size = RAM};
	struct ist_registration r = {.size = PAGE};
	char *window = mapping.vaddr;
	void *vaddr = &vaddr;

	(void)state;
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	device.fd = memory.fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (device.fd >= 0) {
		assert_int_equal(ist_backing_add(manager, &device), 0);
		assert_int_equal(ist_backing_add(manager, &memory), 0);
		for (size_t pages = 1; pages < 16; pages++)
			assert_int_equal(ist_mmio_map(manager, DEVICE, pages * PAGE, &vaddr), -EINVAL);
		assert_ptr_equal(vaddr, &vaddr);
		assert_int_equal(ist_mapping_register_list(manager, memory.paddr, &r, &other), -EINVAL);
		r.paddr = memory.paddr;
		assert_int_equal(ist_mapping_register(manager, &r, &other), -EINVAL);
		assert_true(is_all_mapped(window, 64));
		assert_int_equal(ist_mapping_drain(manager), 0);
		assert_true(is_all_mapped(window, 64));
		assert_int_equal(ist_backing_remove(manager, DEVICE), 0);
		close(device.fd);
	}
	guest_drop(&guest);
}

static void a_file_that_ends(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_backing backing = {.paddr = DEVICE, .size = RAM};
	struct ist_registration r = {.size = PAGE, .cookie = 1};
	struct ist_mapping mapping;

	(void)state;
	backing.fd = memfd_create("short", MFD_CLOEXEC);
	assert_int_equal(ist_backing_add(manager, &backing), -EINVAL); /* empty */
	assert_int_equal(ftruncate(backing.fd, RAM - 1), 0);
	assert_int_equal(ist_backing_add(manager, &backing), -EINVAL);
	assert_int_equal(ftruncate(backing.fd, RAM), 0);
	assert_int_equal(ist_backing_add(manager, &backing), 0);
	assert_int_equal(ftruncate(backing.fd, 0), 0);
	assert_int_equal(ist_mapping_register_list(manager, DEVICE, &r, &mapping), -EFAULT);
	assert_int_equal(ist_backing_remove(manager, DEVICE), 0); /* nothing keeps it */
	close(backing.fd);
	guest_drop(&guest);
}

/* Memory of two files side by side: a stretch over the seam shows both. */
static void files_side_by_side(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	char *both = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t pages[] = {DEVICE, DEVICE + 3 * PAGE, DEVICE + 4 * PAGE, DEVICE + 5 * PAGE};
	struct ist_backing backing = {.paddr = DEVICE, .size = 8 * PAGE, .vaddr = both};
	struct ist_registration r = registration_of(pages, 4);
	struct ist_mapping mapping;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = memfd_create("half", MFD_CLOEXEC);

		assert_int_equal(ftruncate(fd, 16 * PAGE), 0); /* longer than what is mapped of it */
		assert_ptr_not_equal(mmap(both + (size_t)i * 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		                          MAP_SHARED | MAP_FIXED, fd, 0),
		                     MAP_FAILED);
		close(fd);
	}
	for (size_t i = 0; i < 8; i++)
		both[i * PAGE] = (char)('a' + i);
	assert_int_equal(ist_backing_add(manager, &backing), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(((char *)mapping.vaddr)[i * PAGE], both[pages[i] - DEVICE]);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	guest_drop(&guest);
	munmap(both, 8 * PAGE);
}

/* Pages of 2 MiB: nothing around what is registered is touched. */
static void large_pages(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_backing backing = {.paddr = DEVICE, .size = 4 * MIB};
	struct ist_registration r = {.paddr = DEVICE + PAGE, .size = 2 * PAGE};
	uint64_t pages[] = {DEVICE, DEVICE + 2 * PAGE};
	struct ist_mapping mapping, before = registered(manager, 0, 1, 3);
	char *own = MAP_FAILED;

	(void)state;
	backing.fd = memfd_create("large", MFD_CLOEXEC | MFD_HUGETLB);
	if (backing.fd >= 0 && ftruncate(backing.fd, 4 * MIB) == 0)
		own = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, backing.fd, 0);
	if (own != MAP_FAILED) { /* the machine has some to give */
		memset(own, 7, 4 * MIB);
		backing.size = MIB;
		assert_int_equal(ist_backing_add(manager, &backing), -ENOTSUP);
		backing.size = 4 * MIB;
		assert_int_equal(ist_backing_add(manager, &backing), 0);
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
		assert_int_equal(*(char *)mapping.vaddr, 7);
		assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
		r = registration_of(pages, 2);
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), -ENOTSUP);
		assert_int_equal(ist_mapping_drain(manager), 0);
		assert_int_equal(ist_backing_remove(manager, DEVICE), 0);
		munmap(own, 4 * MIB);
	}
	if (backing.fd >= 0)
		close(backing.fd);
	guest_check(before.vaddr, page_at(3), PAGE);
	assert_int_equal(ist_mapping_unregister_one(manager, &before, 0), 0);
	guest_drop(&guest);
}

/* Hidden with its owner, and accessible: a translation must not outlive the backing that it leads to. */
static void hidden_with_its_owner(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_backing backing = {
	        .paddr = DEVICE, .size = 16 * PAGE, .fd = guest.fd, .attributes = IST_UNCACHED};
	const uint64_t pages[] = {DEVICE + 3 * PAGE, DEVICE + 9 * PAGE};
	struct ist_mapping range, found;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_backing_add(manager, &backing), 0);
	make_owner(manager, 7);
	assert_int_equal(ist_range_reserve(manager, 8, 7, 5, 0, &range), 0);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 2), 0);
	assert_int_equal(ist_mapping_find_get(manager, 7, 5, &found), 0);
	assert_int_equal(ist_owner_destroy_begin(manager, 7), 0);
	assert_int_equal(ist_phys_to_virt(manager, pages[0], 8, &vaddr), -ENOENT);
	assert_int_equal(ist_protect(manager, DEVICE, 16 * PAGE), -EBUSY);
	assert_int_equal(ist_backing_remove(manager, DEVICE), -EBUSY);
	assert_int_equal(ist_mapping_put(manager, &found), 0);
	assert_int_equal(ist_owner_destroy(manager, 7), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	for (uint32_t id = 100; id < 103; id++) /* the owner's number is used again */
		make_owner(manager, id);
	assert_int_equal(ist_phys_to_virt(manager, pages[0], 8, &vaddr), -ENOENT);
	assert_int_equal(ist_backing_remove(manager, DEVICE), 0);
	for (uint32_t id = 100; id < 103; id++)
		assert_int_equal(ist_owner_destroy(manager, id), 0);
	guest_drop(&guest);
}

/* What the library holds is not the caller's to put; and a manager goes after ranges inside ranges. */
static void ranges_inside_ranges(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_backing device = {
	        .paddr = DEVICE, .size = 16 * PAGE, .fd = guest.fd, .attributes = IST_DEVICE};
	void *outer, *inner, *vaddr;
	struct ist_mapping found;

	(void)state;
	assert_int_equal(ist_backing_add(manager, &device), 0);
	assert_int_equal(ist_mmio_map(manager, DEVICE, 4 * PAGE, &outer), 0);
	assert_int_equal(ist_mmio_map(manager, DEVICE + PAGE, PAGE, &inner), 0);
	assert_int_equal(ist_mapping_find_paddr(manager, DEVICE, 4 * PAGE, &found, &vaddr), 0);
	assert_int_equal(ist_mapping_put(manager, &found), -EINVAL);
	assert_int_equal(ist_mmio_unmap(manager, outer, 4 * PAGE), 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(ist_phys_to_virt(manager, DEVICE + PAGE, 8, &vaddr), 0);
	assert_int_equal(*(uint64_t *)vaddr, GUEST_PADDR + PAGE);
	assert_int_equal(ist_protect(manager, DEVICE + 3 * PAGE, PAGE),
	                 -EBUSY); /* the pages are one mapping's */
	assert_int_equal(ist_mmio_unmap(manager, inner, PAGE), 0);
	fixture_drop(&guest.fixture); /* without anybody having waited */
	munmap(guest.ram, guest.size);
	close(guest.fd);
}

static void pages_of_a_range(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping_config config = {.flags = IST_MAPPING_STRICT};
	const uint64_t pages[] = {page_at(4), page_at(5), page_at(6), page_at(9)};
	const uint64_t twice[] = {page_at(20), page_at(20)};
	struct ist_mapping range, found, other;
	uint64_t paddr;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_mapping_configure(manager, &config), 0);
	other = registered(manager, 0, 1, 9);
	assert_int_equal(ist_range_reserve(manager, (UINT64_C(64) << 30) / PAGE + 1, 0, 0, 0, &range),
	                 -EINVAL);
	assert_int_equal(ist_range_reserve(manager, 8, 0, 2, 0, &range), 0);
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 4), -EEXIST);
	assert_int_equal(ist_range_map(manager, &range, 0, twice, 2), -EEXIST);
	assert_int_equal(ist_phys_to_virt(manager, page_at(4), 1, &vaddr), -ENOENT); /* all or none */
	assert_int_equal(ist_range_map(manager, &range, 0, pages, 3), 0);
	assert_int_equal(ist_phys_to_virt(manager, page_at(4) + 10, 2 * PAGE, &vaddr), 0);
	assert_ptr_equal(vaddr, (char *)range.vaddr + 10);
	assert_int_equal(ist_virt_to_phys(manager, (char *)range.vaddr + 10, 2 * PAGE, &paddr), 0);
	assert_int_equal(paddr, page_at(4) + 10);
	assert_int_equal(ist_mapping_find_paddr(manager, page_at(4), 3 * PAGE, &found, &vaddr), 0);
	assert_int_equal(found.cookie, 2);
	assert_int_equal(ist_phys_to_virt(manager, page_at(4), 3 * PAGE + 1, &vaddr), -ENOENT);
	assert_int_equal(ist_virt_to_phys(manager, range.vaddr, 3 * PAGE + 1, &paddr), -ENOENT);
	assert_int_equal(ist_range_unmap(manager, &range, 1, 1), 0);
	assert_int_equal(ist_phys_to_virt(manager, page_at(4), 2 * PAGE, &vaddr), -ENOENT);
	assert_int_equal(ist_range_release(manager, &range, 0), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &other, 0), 0);
	guest_drop(&guest);
}

struct flipping {
	_Atomic uint64_t pages[16];
	uint64_t good, bad;
	atomic_bool stop;
};

static void *flip(void *context)
{
	struct flipping *flipping = context;

	while (!atomic_load_explicit(&flipping->stop, memory_order_relaxed)) {
		atomic_store_explicit(&flipping->pages[15], flipping->bad, memory_order_relaxed);
		atomic_store_explicit(&flipping->pages[15], flipping->good, memory_order_relaxed);
	}
	return NULL;
}

/* What was checked is what is mapped, whatever the caller's array says by then. */
static void an_array_that_changes(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct flipping flipping = {.good = page_at(20), .bad = page_at(40)};
	struct ist_mapping range;
	pthread_t thread;
	void *vaddr;

	(void)state;
	for (size_t i = 0; i < 16; i++)
		flipping.pages[i] = page_at(i);
	flipping.pages[15] = flipping.good;
	assert_int_equal(ist_protect(manager, flipping.bad, PAGE), 0);
	assert_int_equal(ist_range_reserve(manager, 16, 0, 0, 0, &range), 0);
	start(&thread, flip, &flipping);
	for (long i = scaled(20000); i > 0; i--) {
		int error =
		        ist_range_map(manager, &range, 0, (const uint64_t *)(uintptr_t)flipping.pages, 16);

		assert_int_equal(ist_phys_to_virt(manager, flipping.bad, 1, &vaddr), -ENOENT);
		if (error)
			assert_int_equal(error, -EACCES);
		else
			assert_int_equal(ist_range_unmap(manager, &range, 0, 16), 0);
	}
	atomic_store(&flipping.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(ist_range_release(manager, &range, 0), 0);
	guest_drop(&guest);
}

/* The system refuses what an isolated buffer's end needs: told, and done when it gives in. */
static void the_end_of_an_owner_with_isolated_buffers(void **state)
{
	int fd = memfd_create("pool", MFD_CLOEXEC), own[3];
	struct ist_manager_config config = {.paddr = PADDR, .size = MIB};
	struct ist_client_request request = {.size = PAGE, .owner = 7};
	struct ist_client_owner_use use;
	struct ist_manager *manager;
	struct ist_shm shm;

	(void)state;
	assert_int_equal(ftruncate(fd, MIB), 0);
	config.vaddr = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(ist_manager_create(&config, &manager), 0);
	assert_int_equal(ist_manager_set_file(manager, fd, 0), 0);
	make_owner(manager, 7);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ist_client_pool_alloc_isolated(ist_manager_client_pool(manager), &request,
		                                                &shm, &own[i]),
		                 0);
	platform_fail_map(1, true);
	assert_int_equal(ist_owner_destroy(manager, 7), -ENOMEM);
	platform_fail_map(0, false);
	ist_client_pool_owner_use(ist_manager_client_pool(manager), 7, &use);
	assert_int_equal(use.allocations, 3);
	assert_int_equal(ist_owner_destroy(manager, 7), 0);
	ist_client_pool_owner_use(ist_manager_client_pool(manager), 7, &use);
	assert_int_equal(use.allocations, 0);
	assert_int_equal(ist_manager_destroy(manager), 0);
	for (int i = 0; i < 3; i++)
		close(own[i]);
	munmap(config.vaddr, MIB);
	close(fd);
}

#define LISTS 4u
#define STRETCHES 100u

static void steps_count_stretches(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t pages[STRETCHES];
	struct ist_registration r = registration_of(pages, STRETCHES);
	struct ist_mapping mapping;
	unsigned steps = 0;

	(void)state;
	make_owner(manager, 7);
	for (size_t i = 0; i < STRETCHES; i++)
		pages[i] = page_at(2 * i);
	for (unsigned i = 0; i < LISTS; i++) {
		r.owner = 7;
		assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	}
	assert_int_equal(ist_owner_destroy_begin(manager, 7), 0);
	while (ist_owner_destroy_step(manager, 7, 16) == 1)
		steps++;
	assert_true(steps >= LISTS * STRETCHES / (16 + 64)); /* the last stretches of a list go together */
	guest_drop(&guest);
}

/* The first call is refused: it has fixed nothing. */
static void a_window_that_was_refused(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.paddr = page_at(0), .size = PAGE};
	struct ist_mapping_config config = {.window_size = 16 * PAGE};
	struct ist_mapping mapping;

	(void)state;
	platform_fail_map(1, true);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), -ENOMEM);
	platform_fail_map(0, false);
	assert_int_equal(ist_mapping_configure(manager, &config), 0);
	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_configure(manager, &config), -EBUSY);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_file_that_refuses),
	        cmocka_unit_test(a_file_that_ends),
	        cmocka_unit_test(files_side_by_side),
	        cmocka_unit_test(large_pages),
	        cmocka_unit_test(hidden_with_its_owner),
	        cmocka_unit_test(ranges_inside_ranges),
	        cmocka_unit_test(pages_of_a_range),
	        cmocka_unit_test(an_array_that_changes),
	        cmocka_unit_test(the_end_of_an_owner_with_isolated_buffers),
	        cmocka_unit_test(steps_count_stretches),
	        cmocka_unit_test(a_window_that_was_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
