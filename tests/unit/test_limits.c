/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Every count, size and address that a caller gives, at its limits: 0, 1, the last that is right, the first that is not, and
 * the ends of its type. What each function answers, and that it changes nothing when it refuses.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "platform/platform.h"
#include "support/support.h"

enum { CARVE_OUT = 2 * MIB, DRIVER_PAGES = 4 };
#define DRIVER ((size_t)DRIVER_PAGES * IST_PAGE_SIZE)
#define CLIENT (CARVE_OUT - DRIVER)
#define CLIENT_PADDR (PADDR + DRIVER)
#define TOP UINT64_MAX

static struct fixture f;

static int set_up(void **state)
{
	(void)state;
	f = fixture_make(CARVE_OUT, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_drop(&f);
	return 0;
}

static const struct {
	size_t size;
	int driver, client;
} sizes[] = {
        {0, -EINVAL, -EINVAL},
        {1, 0, 0},
        {7, 0, 0},
        {8, 0, 0},
        {9, 0, 0},
        {4096, 0, 0},
        {DRIVER - 1, 0, 0},
        {DRIVER, 0, 0},
        {DRIVER + 1, -ENOSPC, 0},
        {CLIENT - 1, -ENOSPC, 0},
        {CLIENT, -ENOSPC, 0},
        {CLIENT + 1, -ENOSPC, -ENOSPC},
        {(size_t)INT32_MAX + 1, -ENOSPC, -ENOSPC},
        {UINT32_MAX, -ENOSPC, -ENOSPC},
        {(size_t)UINT32_MAX + 2, -ENOSPC, -ENOSPC},
        {(size_t)1 << 42, -ENOSPC, -ENOSPC},
        {SIZE_MAX / 2, -ENOSPC, -ENOSPC},
        {SIZE_MAX - 4096, -ENOSPC, -ENOSPC},
        {SIZE_MAX - 4094, -ENOSPC, -ENOSPC},
        {SIZE_MAX - 8, -ENOSPC, -ENOSPC},
        {SIZE_MAX - 6, -ENOSPC, -ENOSPC},
        {SIZE_MAX - 1, -ENOSPC, -ENOSPC},
        {SIZE_MAX, -ENOSPC, -ENOSPC},
};

static void expect(int error, int wanted, struct ist_shm *shm, size_t size)
{
	const struct ist_shm untouched = {.generation = 77};

	if (error != wanted)
		print_message("size %zu: %d instead of %d\n", size, error, wanted);
	assert_int_equal(error, wanted);
	if (error) {
		assert_memory_equal(shm, &untouched, sizeof(untouched));
		return;
	}
	assert_int_equal(shm->view.size, size);
	assert_int_equal(ist_shm_free(shm), 0);
}

static void sizes_of_allocations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ist_client_request request = {.size = sizes[i].size};
		size_t size = sizes[i].size;
		struct ist_shm shm = {.generation = 77};
		int error = ist_driver_pool_alloc(f.driver, size, &shm);

		expect(error, sizes[i].driver, &shm, size);
		shm = (struct ist_shm){.generation = 77};
		error = ist_client_pool_alloc(f.client, size, &shm);
		expect(error, sizes[i].client, &shm, size);
		shm = (struct ist_shm){.generation = 77};
		error = ist_client_pool_alloc_nozero(f.client, size, &shm);
		expect(error, sizes[i].client, &shm, size);
		for (uint32_t flags = 0; flags < 4; flags++) {
			request.flags = flags;
			request.paddr = CLIENT_PADDR;
			shm = (struct ist_shm){.generation = 77};
			error = ist_client_pool_alloc_request(f.client, &request, &shm);
			/* At a place, what does not fit there is a mistake. */
			expect(error,
			       flags & IST_CLIENT_AT && sizes[i].client == -ENOSPC ? -EINVAL
			                                                           : sizes[i].client,
			       &shm, size);
		}
	}
}

static void requests(void **state)
{
	static const struct {
		struct ist_client_request request;
		int result;
	} cases[] = {
	        {{.size = 1, .align = 1}, 0},
	        {{.size = 1, .align = 3}, -EINVAL},
	        {{.size = 1, .align = 4096}, 0},
	        {{.size = 1, .align = 1 << 20}, 0},
	        {{.size = 1, .align = (size_t)1 << 30}, -ENOSPC},
	        {{.size = 1, .align = (size_t)1 << 31}, -EINVAL},
	        {{.size = 1, .align = (size_t)1 << 63}, -EINVAL},
	        {{.size = 1, .align = SIZE_MAX}, -EINVAL},
	        {{.size = 1, .owner = UINT32_MAX}, 0},
	        {{.size = 1, .flags = 4}, -EINVAL},
	        {{.size = 1, .flags = UINT32_MAX}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = 0}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR - 4096}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR - 1}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR + CLIENT - 4096}, 0},
	        {{.size = 4096, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR + CLIENT - 4096}, 0},
	        {{.size = 4097, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR + CLIENT - 4096}, -EINVAL},
	        {{.size = SIZE_MAX, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR + CLIENT - 4096}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = CLIENT_PADDR + CLIENT}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = TOP - 4095}, -EINVAL},
	        {{.size = 8192, .flags = IST_CLIENT_AT, .paddr = TOP - 4095}, -EINVAL},
	        {{.size = 1, .flags = IST_CLIENT_AT, .paddr = TOP}, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_shm shm = {.generation = 77};
		int error = ist_client_pool_alloc_request(f.client, &cases[i].request, &shm), fd = -77;

		expect(error, cases[i].result, &shm, cases[i].request.size);
		shm = (struct ist_shm){.generation = 77};
		error = ist_client_pool_alloc_isolated(f.client, &cases[i].request, &shm, &fd);
		/* There is no file. */
		expect(error, cases[i].result == -EINVAL ? -EINVAL : -ENOTSUP, &shm, 0);
		assert_int_equal(fd, -77);
	}
}

/* Every member of a handle at the limits of its type: refused, and the allocation lives on. */
static void handles(void **state)
{
	static const uint64_t limits[] = {0,         1,       2,  INT32_MAX, UINT32_MAX, (uint64_t)1 << 42,
	                                  INT64_MAX, TOP - 1, TOP};
	struct ist_shm good[2], bad;

	(void)state;
	assert_int_equal(ist_driver_pool_alloc(f.driver, 100, &good[0]), 0);
	assert_int_equal(ist_client_pool_alloc(f.client, 5000, &good[1]), 0);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		for (int which = 0; which < 14; which++) {
			const struct ist_shm *from = &good[which % 2];
			struct ist_export out;

			bad = *from;
			switch (which / 2) {
			case 0:
				bad.view.vaddr = (void *)(uintptr_t)limits[i];
				break;
			case 1:
				bad.view.paddr = limits[i];
				break;
			case 2:
				bad.view.size = limits[i];
				break;
			case 3:
				bad.pool = limits[i];
				break;
			case 4:
				bad.generation = (uint32_t)limits[i];
				break;
			case 5:
				bad.index = (uint32_t)limits[i];
				break;
			case 6:
				bad.token = limits[i];
				break;
			}
			/* 0 is no token, which is as good as any (token.h). */
			if (memcmp(&bad, from, sizeof(bad)) == 0 || (which / 2 == 6 && limits[i] == 0))
				continue;
			assert_true(ist_client_export(&bad, &out) < 0);
			assert_true(ist_shm_free(&bad) < 0);
		}
	}
	assert_int_equal(ist_shm_free(&good[0]), 0);
	assert_int_equal(ist_shm_free(&good[1]), 0);
}

static void questions(void **state)
{
	static const uint64_t nowhere[] = {0,       1,  CLIENT_PADDR - 1, CLIENT_PADDR + CLIENT, TOP - 4095,
	                                   TOP - 1, TOP};
	struct ist_client_owner_use use;
	struct ist_client_allocation found;
	struct ist_shm shm;

	(void)state;
	assert_int_equal(
	        ist_client_pool_alloc_request(
	                f.client, &(struct ist_client_request){.size = CLIENT, .owner = UINT32_MAX}, &shm),
	        0);
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
		assert_int_equal(ist_client_pool_find(f.client, nowhere[i], &found), -ENOENT);
	assert_int_equal(ist_client_pool_find(f.client, CLIENT_PADDR, &found), 0);
	assert_int_equal(ist_client_pool_find(f.client, CLIENT_PADDR + CLIENT - 1, &found), 0);
	assert_int_equal(found.owner, UINT32_MAX);
	assert_int_equal(ist_client_pool_next(f.client, 0, &found), 0);
	assert_int_equal(ist_client_pool_next(f.client, CLIENT_PADDR, &found), 0);
	assert_int_equal(ist_client_pool_next(f.client, CLIENT_PADDR + 1, &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(f.client, CLIENT_PADDR + CLIENT - 4096, &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(f.client, CLIENT_PADDR + CLIENT - 1, &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(f.client, CLIENT_PADDR + CLIENT, &found), -ENOENT);
	assert_int_equal(ist_client_pool_next(f.client, TOP, &found), -ENOENT);
	ist_client_pool_owner_use(f.client, UINT32_MAX, &use);
	assert_int_equal(use.bytes, CLIENT);
	ist_client_pool_owner_use(f.client, 0, &use);
	assert_int_equal(use.bytes, 0);
	assert_int_equal(ist_shm_free(&shm), 0);
}

static void translations(void **state)
{
	static const struct {
		uint64_t offset; /* of the carve-out's first byte; wraps */
		size_t length;
		int result;
	} cases[] = {
	        {0, 0, -EINVAL},
	        {0, 1, 0},
	        {0, CARVE_OUT, 0},
	        {0, CARVE_OUT + 1, -ENOENT},
	        {CARVE_OUT - 1, 1, 0},
	        {CARVE_OUT - 1, 2, -ENOENT},
	        {CARVE_OUT, 1, -ENOENT},
	        {0, SIZE_MAX, -EINVAL},
	        {1, SIZE_MAX, -EINVAL},
	        {(uint64_t)-1, 1, -ENOENT},
	        {(uint64_t)-1, SIZE_MAX, -EINVAL},
	};
	uint64_t paddr = 77;
	void *vaddr = &paddr;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const void *at = (void *)((uintptr_t)f.carve_out.start + cases[i].offset);
		int error = ist_phys_to_virt(f.manager, PADDR + cases[i].offset, cases[i].length, &vaddr);

		assert_int_equal(error, cases[i].result);
		error = ist_virt_to_phys(f.manager, at, cases[i].length, &paddr);
		assert_int_equal(error, cases[i].result);
	}
	assert_int_equal(ist_phys_to_virt(f.manager, TOP, 1, &vaddr), -ENOENT);
	assert_int_equal(ist_phys_to_virt(f.manager, TOP, 2, &vaddr), -EINVAL);
	assert_int_equal(ist_phys_to_virt(f.manager, 1, SIZE_MAX, &vaddr), -ENOENT);
}

static void views(void **state)
{
	const struct ist_view view = {(void *)0x10000, TOP - 4095, 4096};
	struct ist_view out;

	(void)state;
	assert_true(ist_view_contains_paddr(&view, TOP));
	assert_false(ist_view_contains_paddr(&view, 0));
	assert_false(ist_view_contains_paddr(&view, TOP - 4096));
	assert_int_equal(ist_view_slice_by_paddr(&view, TOP - 4095, TOP, &out), 0);
	assert_int_equal(out.size, 4095);
	assert_int_equal(ist_view_slice_by_paddr(&view, TOP - 4095, 0, &out), -ERANGE);
	assert_int_equal(ist_view_slice_by_paddr(&view, TOP, TOP, &out), -ERANGE);
	assert_int_equal(ist_view_slice_by_paddr(&view, 0, TOP, &out), -ERANGE);
	assert_int_equal(ist_view_slice_by_vaddr(&view, (void *)0x10000, (void *)0x11000, &out), 0);
	assert_int_equal(ist_view_slice_by_vaddr(&view, (void *)0x10000, (void *)0x11001, &out), -ERANGE);
	assert_int_equal(ist_view_slice_by_vaddr(&view, NULL, (void *)UINTPTR_MAX, &out), -ERANGE);
	assert_false(ist_view_contains_vaddr(&(struct ist_view){(void *)0x10000, 0, 0}, (void *)0x10000));
}

static void configurations(void **state)
{
	static const struct {
		size_t size, driver_pool_size;
		uint64_t paddr;
		uint32_t flags;
		int result;
	} cases[] = {
	        {0, 0, PADDR, 0, -EINVAL},
	        {1, 0, PADDR, 0, -ENOSPC},
	        {SIZE_MAX, 0, 0, 0, -EINVAL}, /* the end wraps: the address is not 0 */
	        {CARVE_OUT, 1, PADDR, 0, 0},
	        {CARVE_OUT, CARVE_OUT / 2, PADDR, 0, 0},
	        {CARVE_OUT, CARVE_OUT / 2 + 1, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, CARVE_OUT, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, SIZE_MAX - 4096, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, SIZE_MAX - 4095, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, SIZE_MAX - 4094, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, SIZE_MAX - 1, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, SIZE_MAX, PADDR, 0, -ENOSPC},
	        {CARVE_OUT, 0, 0, 0, 0},
	        {CARVE_OUT, 0, TOP - CARVE_OUT + 1, 0, 0},
	        {CARVE_OUT, 0, TOP - CARVE_OUT + 1 + 4096, 0, -EINVAL},
	        {CARVE_OUT, 0, PADDR + 1, 0, -EINVAL},
	        {CARVE_OUT, 0, PADDR, 2, -EINVAL},
	        {CARVE_OUT, 0, PADDR, UINT32_MAX, -EINVAL},
	};
	struct carve_out carve_out = carve_out_make(CARVE_OUT, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_manager_config config = {.vaddr = carve_out.start,
		                                    .paddr = cases[i].paddr,
		                                    .size = cases[i].size,
		                                    .driver_pool_size = cases[i].driver_pool_size,
		                                    .flags = cases[i].flags};
		struct ist_manager *manager = NULL;
		int error = ist_manager_create(&config, &manager);

		if (error != cases[i].result)
			print_message("configuration %zu: %d\n", i, error);
		assert_int_equal(error, cases[i].result);
		assert_int_equal(manager == NULL, error != 0);
		assert_int_equal(ist_manager_destroy(manager), 0);
	}
	carve_out_drop(&carve_out);
}

/* The longest quarantine is memory or the lack of it. */
static void quarantines(void **state)
{
	static const uint32_t counts[] = {1, 2, UINT32_MAX - 1, UINT32_MAX};
	struct carve_out carve_out = carve_out_make(CARVE_OUT, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct ist_manager_config config = {
		        .vaddr = carve_out.start, .paddr = PADDR, .size = CARVE_OUT, .quarantine = counts[i]};
		struct ist_manager *manager = NULL;
		int error = ist_manager_create(&config, &manager);
		struct ist_shm shm;

		if (counts[i] <= 2)
			assert_int_equal(error, 0);
		if (error) {
			assert_int_equal(error, -ENOMEM);
			continue;
		}
		assert_int_equal(ist_driver_pool_alloc(ist_manager_driver_pool(manager), 100, &shm), 0);
		assert_int_equal(ist_shm_free(&shm), 0);
		assert_int_equal(ist_manager_destroy(manager), 0);
	}
	carve_out_drop(&carve_out);
}

static void files(void **state)
{
	static const struct {
		uint64_t offset;
		int result;
	} cases[] = {
	        {1, -EINVAL}, {4096, -EINVAL}, {TOP - 4095, -EINVAL}, {TOP, -EINVAL}, {0, 0}, {0, -EEXIST},
	};
	int fd = platform_sealed_file(CARVE_OUT);

	(void)state;
	assert_true(fd >= 0);
	assert_true(ist_manager_set_file(f.manager, -1, 0) < 0);
	assert_true(ist_manager_set_file(f.manager, INT32_MAX, 0) < 0);
	assert_true(ist_manager_set_file(f.manager, INT32_MIN, 0) < 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ist_manager_set_file(f.manager, fd, cases[i].offset), cases[i].result);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(sizes_of_allocations, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(requests, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(handles, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(questions, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(translations, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(files, set_up, tear_down),
	        cmocka_unit_test(views),
	        cmocka_unit_test(configurations),
	        cmocka_unit_test(quarantines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
