/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/tsan.h"
#include "platform/platform.h"
#include "support/support.h"

static struct ist_manager *const untouched = (struct ist_manager *)(uintptr_t)0x5a5a;

static void check_refused(struct ist_manager_config config, int error)
{
	struct ist_manager *manager = untouched;

	assert_int_equal(ist_manager_create(&config, &manager), error);
	assert_ptr_equal(manager, untouched);
}

static void pool_sizes(struct ist_manager *manager, size_t *driver, size_t *client)
{
	struct ist_pool_stats stats;

	ist_driver_pool_stats(ist_manager_driver_pool(manager), &stats);
	*driver = stats.size;
	ist_client_pool_stats(ist_manager_client_pool(manager), &stats);
	*client = stats.size;
}

static void null_arguments(void **state)
{
	struct carve_out c = carve_out_make(64 * KIB, 0);
	struct ist_manager_config config = {.vaddr = c.start, .paddr = PADDR, .size = c.size};

	(void)state;
	assert_int_equal(ist_manager_create(&config, NULL), -EINVAL);
	assert_int_equal(ist_manager_create(NULL, &(struct ist_manager *){NULL}), -EINVAL);
	config.vaddr = NULL;
	check_refused(config, -EINVAL);
	assert_null(ist_manager_driver_pool(NULL));
	assert_null(ist_manager_client_pool(NULL));
	assert_int_equal(ist_manager_destroy(NULL), 0);
	carve_out_drop(&c);
}

static void sizes_that_are_zero_or_wrap(void **state)
{
	char *high = (char *)(UINTPTR_MAX - 0xffff); /* 64 KiB below the top */

	(void)state;
	check_refused((struct ist_manager_config){.vaddr = (void *)0x10000, .paddr = PADDR, .size = 0},
	              -EINVAL);
	check_refused((struct ist_manager_config){.vaddr = high, .paddr = PADDR, .size = 0x10001}, -EINVAL);
	check_refused((struct ist_manager_config){.vaddr = (void *)0x10000, .paddr = PADDR, .size = SIZE_MAX},
	              -EINVAL);
	check_refused((struct ist_manager_config){.vaddr = (void *)0x10000,
	                                          .paddr = UINT64_MAX - 0xffff,
	                                          .size = 0x10001},
	              -EINVAL);
}

static void offsets_in_the_page_that_differ(void **state)
{
	(void)state;
	check_refused((struct ist_manager_config){.vaddr = (void *)0x10008, .paddr = PADDR, .size = 0x100000},
	              -EINVAL);
	check_refused(
	        (struct ist_manager_config){.vaddr = (void *)0x10000, .paddr = PADDR + 1, .size = 0x100000},
	        -EINVAL);
}

static void carve_outs_that_end_at_the_top(void **state)
{
	/* Nothing is touched until something is allocated, so even these addresses will do. */
	char *high = (char *)(UINTPTR_MAX - 0xffff);
	struct ist_manager *manager;
	struct ist_manager_config config = {.vaddr = high, .paddr = UINT64_MAX - 0xffff, .size = 0x10000};
	struct ist_shm shm;
	void *vaddr;

	(void)state;
	assert_int_equal(ist_manager_create(&config, &manager), 0);
	assert_int_equal(ist_client_pool_alloc_nozero(ist_manager_client_pool(manager), 0xc000, &shm), 0);
	assert_ptr_equal(shm.view.vaddr, high + 0x4000);
	assert_true(ist_view_contains_paddr(&shm.view, UINT64_MAX));
	assert_int_equal(ist_phys_to_virt(manager, UINT64_MAX, 1, &vaddr), 0);
	assert_ptr_equal(vaddr, UINTPTR_MAX);
	assert_int_equal(ist_phys_to_virt(manager, UINT64_MAX, 2, &vaddr), -EINVAL);
	assert_int_equal(ist_shm_free(&shm), 0);
	assert_int_equal(ist_manager_destroy(manager), 0);
}

static void physical_address_zero_is_an_address(void **state)
{
	struct carve_out c = carve_out_make(64 * KIB, 0);
	struct ist_manager_config config = {.vaddr = c.start, .paddr = 0, .size = c.size};
	struct ist_manager *manager;
	struct ist_shm shm;
	void *vaddr = NULL;

	(void)state;
	assert_int_equal(ist_manager_create(&config, &manager), 0);
	assert_int_equal(ist_driver_pool_alloc(ist_manager_driver_pool(manager), 8, &shm), 0);
	assert_int_equal(shm.view.paddr, 0);
	assert_int_equal(ist_phys_to_virt(manager, 0, 8, &vaddr), 0);
	assert_ptr_equal(vaddr, c.start);
	assert_int_equal(ist_shm_free(&shm), 0);
	assert_int_equal(ist_manager_destroy(manager), 0);
	carve_out_drop(&c);
}

static void the_split(void **state)
{
	struct carve_out c = carve_out_make(64 * KIB, 0);
	struct ist_manager_config config = {.vaddr = c.start, .paddr = PADDR};
	struct ist_manager *manager;
	size_t driver, client;

	(void)state;
	config.size = 8 * IST_PAGE_SIZE - 1;
	check_refused(config, -ENOSPC);
	config.size = 1;
	check_refused(config, -ENOSPC);
	config.size = 8 * IST_PAGE_SIZE;
	assert_int_equal(ist_manager_create(&config, &manager), 0);
	pool_sizes(manager, &driver, &client);
	assert_int_equal(driver, 4 * IST_PAGE_SIZE);
	assert_int_equal(client, 4 * IST_PAGE_SIZE);
	assert_int_equal(ist_manager_destroy(manager), 0);

	config.driver_pool_size = 4 * IST_PAGE_SIZE + 1; /* rounded up to 5 pages */
	check_refused(config, -ENOSPC);
	config.driver_pool_size = SIZE_MAX;
	check_refused(config, -ENOSPC);
	config.driver_pool_size = 1;
	assert_int_equal(ist_manager_create(&config, &manager), 0);
	pool_sizes(manager, &driver, &client);
	assert_int_equal(driver, IST_PAGE_SIZE);
	assert_int_equal(client, 7 * IST_PAGE_SIZE);
	assert_int_equal(ist_manager_destroy(manager), 0);
	carve_out_drop(&c);
}

/* Every byte of both pools is allocated and written; guard pages and canaries say if anything lies outside. */
static void check_unaligned(size_t skew, size_t size, size_t pages)
{
	struct carve_out c = carve_out_make(size, skew);
	struct ist_manager_config config = {.vaddr = c.start, .paddr = PADDR + skew, .size = size};
	struct ist_manager *manager;
	struct ist_shm driver, client;
	size_t driver_size, client_size, first = (IST_PAGE_SIZE - skew % IST_PAGE_SIZE) % IST_PAGE_SIZE;

	assert_int_equal(ist_manager_create(&config, &manager), 0);
	pool_sizes(manager, &driver_size, &client_size);
	assert_int_equal(driver_size + client_size, pages * IST_PAGE_SIZE);
	assert_int_equal(ist_driver_pool_alloc(ist_manager_driver_pool(manager), driver_size, &driver), 0);
	assert_int_equal(ist_client_pool_alloc(ist_manager_client_pool(manager), client_size, &client), 0);
	memset(driver.view.vaddr, 0x11, driver.view.size);
	memset(client.view.vaddr, 0x22, client.view.size);
	assert_ptr_equal(driver.view.vaddr, c.start + first);
	assert_int_equal(driver.view.paddr, PADDR + skew + first);
	for (size_t i = 0; i < size; i++) {
		bool inside = i >= first && i < first + pages * IST_PAGE_SIZE;

		assert_int_equal((unsigned char)c.start[i] == 0xa5, !inside);
	}
	assert_int_equal(ist_shm_free(&driver), 0);
	assert_int_equal(ist_shm_free(&client), 0);
	assert_int_equal(ist_manager_destroy(manager), 0);
	carve_out_drop(&c);
}

static void unaligned_ends(void **state)
{
	(void)state;
	check_unaligned(0, 10 * IST_PAGE_SIZE, 10);
	check_unaligned(0, 10 * IST_PAGE_SIZE + 4095, 10);
	check_unaligned(1, 10 * IST_PAGE_SIZE, 9);
	check_unaligned(1, 11 * IST_PAGE_SIZE - 1, 10);
	check_unaligned(4095, 10 * IST_PAGE_SIZE + 1, 10);
	check_unaligned(4095, 10 * IST_PAGE_SIZE + 4096, 10);
	check_unaligned(4088, 10 * IST_PAGE_SIZE + 7, 9);
	check_unaligned(8, 10 * IST_PAGE_SIZE + 100, 9);
}

static void destroy_with_live_objects(void **state)
{
	struct fixture f = fixture_make(64 * KIB, 0);
	struct ist_shm driver, client;
	struct ist_pool_stats before, after;

	(void)state;
	assert_int_equal(ist_driver_pool_alloc(f.driver, 1, &driver), 0);
	ist_driver_pool_stats(f.driver, &before);
	assert_int_equal(ist_manager_destroy(f.manager), -EBUSY);
	ist_driver_pool_stats(f.driver, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(ist_client_pool_alloc(f.client, 1, &client), 0);
	assert_int_equal(ist_shm_free(&driver), 0);
	assert_int_equal(ist_manager_destroy(f.manager), -EBUSY);
	assert_int_equal(ist_shm_free(&client), 0);
	fixture_drop(&f);
}

static void handles_that_outlive_their_manager(void **state)
{
	struct fixture f = fixture_make(64 * KIB, 0);
	struct ist_shm driver, client, driver_copy, client_copy, kept;

	(void)state;
	assert_int_equal(ist_driver_pool_alloc(f.driver, 100, &driver), 0);
	assert_int_equal(ist_client_pool_alloc(f.client, 100, &client), 0);
	driver_copy = driver;
	client_copy = client;
	kept = driver;
	assert_int_equal(ist_shm_free(&driver), 0);
	assert_int_equal(ist_shm_free(&client), 0);
	fixture_drop(&f);
	assert_int_equal(ist_shm_free(&driver_copy), -EINVAL);
	assert_int_equal(ist_shm_free(&client_copy), -EINVAL);
	assert_memory_equal(&driver_copy, &kept, sizeof(kept));

	/* A new manager may get the same slots, and the same place: the old handles still mean nothing. */
	for (int i = 0; i < 200; i++) {
		struct ist_pool_stats stats;

		f = fixture_make(64 * KIB, 0);
		assert_int_equal(ist_driver_pool_alloc(f.driver, 100, &driver), 0);
		assert_int_equal(ist_shm_free(&driver_copy), -EINVAL);
		assert_int_equal(ist_shm_free(&client_copy), -EINVAL);
		ist_driver_pool_stats(f.driver, &stats);
		assert_int_equal(stats.used, 100);
		assert_int_equal(ist_shm_free(&driver), 0);
		fixture_drop(&f);
	}
}

/* More than the registry's first block holds, all at once. */
static void many_managers(void **state)
{
	enum { COUNT = 1000 };
	static struct fixture f[COUNT];
	static struct ist_shm shm[COUNT];
	struct ist_pool_stats stats;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		f[i] = fixture_make(64 * KIB, 0);
		assert_int_equal(ist_client_pool_alloc(f[i].client, 5000, &shm[i]), 0);
		assert_ptr_equal(shm[i].view.vaddr, f[i].carve_out.start + 4 * IST_PAGE_SIZE);
	}
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(ist_shm_free(&shm[i]), 0);
		fixture_drop(&f[i]);
		if (i + 1 < COUNT) { /* its neighbour is untouched */
			ist_client_pool_stats(f[i + 1].client, &stats);
			assert_int_equal(stats.used, 5000);
		}
	}
}

static long resident_kib(void *from, size_t bytes)
{
	static unsigned char pages[1 << 20];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), count = bytes / page;
	long resident = 0;

	assert_true(count <= sizeof(pages));
	assert_int_equal(mincore(from, count * page, pages), 0);
	for (size_t i = 0; i < count; i++)
		resident += pages[i] & 1;
	return resident * (long)(page / 1024);
}

/* The whole address space of the process cannot be asked, so: resident set before and after. */
static long process_resident_kib(void)
{
	long pages = 0, ignored;
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%ld %ld", &ignored, &pages), 2);
	fclose(statm);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#ifdef TSAN_BUILD
#define RESIDENT_KIB 2048 /* with what its runtime keeps beside: six times the 150 that there are without */
#else
#define RESIDENT_KIB 1024
#endif

static void a_large_carve_out_costs_little(void **state)
{
	struct carve_out c = carve_out_make((size_t)1024 * MIB, 0);
	struct ist_manager_config config = {.vaddr = c.start, .paddr = PADDR, .size = c.size};
	struct ist_manager *manager;
	struct ist_shm shm;
	long before = process_resident_kib(), after;

	(void)state;
	assert_int_equal(ist_manager_create(&config, &manager), 0);
	assert_int_equal(ist_client_pool_alloc_nozero(ist_manager_client_pool(manager), 100 * MIB, &shm), 0);
	assert_int_equal(ist_shm_free(&shm), 0);
	after = process_resident_kib();
	assert_true(after - before < RESIDENT_KIB);
	assert_int_equal(resident_kib(c.start, c.size), 0); /* not a page of the pool is touched */
	assert_int_equal(ist_manager_destroy(manager), 0);
	carve_out_drop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(null_arguments),
	        cmocka_unit_test(sizes_that_are_zero_or_wrap),
	        cmocka_unit_test(offsets_in_the_page_that_differ),
	        cmocka_unit_test(carve_outs_that_end_at_the_top),
	        cmocka_unit_test(physical_address_zero_is_an_address),
	        cmocka_unit_test(the_split),
	        cmocka_unit_test(unaligned_ends),
	        cmocka_unit_test(destroy_with_live_objects),
	        cmocka_unit_test(handles_that_outlive_their_manager),
	        cmocka_unit_test(many_managers),
	        cmocka_unit_test(a_large_carve_out_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
