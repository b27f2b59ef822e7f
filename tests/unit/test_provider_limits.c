/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Each number that a caller or a provider gives, at its limits: 0, 1, the largest but one, the largest, one more. */
#include "support/guest.h"

#include <errno.h>
#include <string.h>

#define PAGE IST_PAGE_SIZE
#define RAM (8 * MIB)

/* A provider whose every word is chosen by the test: it has pages from GUEST_PADDR on, and one thing out at most. */
struct teller {
	struct ist_provided answer;
	uint64_t asked_for, out;
};

static int teller_alloc(void *context, uint64_t pages, unsigned flags, struct ist_provided *out)
{
	struct teller *teller = context;

	(void)flags;
	assert_int_equal(teller->out, 0);
	*out = teller->answer;
	if (out->page_count == 0)
		out->page_count = pages;
	teller->asked_for = pages;
	teller->out = out->cookie;
	return 0;
}

static int teller_free(void *context, uint64_t cookie)
{
	struct teller *teller = context;

	assert_int_equal(teller->out, cookie);
	teller->out = 0;
	return 0;
}

static struct ist_provider teller_provider(struct teller *teller)
{
	*teller = (struct teller){.answer = {.cookie = UINT64_MAX, .paddr = GUEST_PADDR}};
	return (struct ist_provider){.alloc = teller_alloc, .free = teller_free, .context = teller};
}

/* Grow once, free it, trim: how many regions are left. */
static uint64_t regions_after_trim(struct ist_manager *manager, int expected)
{
	struct ist_client_request request = {.size = 65 * PAGE}; /* more than the carve-out */
	struct ist_provider_stats stats;
	struct ist_shm shm;

	assert_int_equal(ist_provider_client_alloc(manager, &request, &shm), expected);
	if (expected == 0)
		assert_int_equal(ist_shm_free(&shm), 0);
	assert_int_equal(ist_provider_trim(manager), 0);
	ist_provider_stats(manager, &stats);
	return stats.regions;
}

static void limits_of_the_configuration(void **state)
{
	static const struct {
		uint64_t chunk, keep, most, pages, regions;
		int set, alloc;
	} cases[] = {
	        {0, 1, 0, 256, 1, 0, 0},
	        {1, 0, 0, 65, 1, 0, 0}, /* a reserve of one page, which only the whole region has */
	        {1, 1, 1, 0, 0, 0, -ENOSPC},
	        {1, UINT64_MAX - 1, UINT64_MAX - 1, 65, 1, 0, 0},
	        {1, UINT64_MAX, UINT64_MAX, 65, 1, 0, 0},
	        {UINT64_MAX / PAGE, 0, 0, 0, 0, -EINVAL, 0},
	        {IST_PROVIDER_CHUNK_MAX - 1, UINT64_MAX, 0, IST_PROVIDER_CHUNK_MAX - 1, 0, 0, -ENXIO},
	        {IST_PROVIDER_CHUNK_MAX, UINT64_MAX, 0, IST_PROVIDER_CHUNK_MAX, 0, 0, -ENXIO},
	        {IST_PROVIDER_CHUNK_MAX + 1, 0, 0, 0, 0, -EINVAL, 0},
	        {UINT64_MAX - 1, 1, 0, 0, 0, -EINVAL, 0},
	        {UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest guest = guest_make(RAM);
		struct ist_manager *manager = guest.fixture.manager;
		struct teller teller;
		struct ist_provider provider = teller_provider(&teller);

		provider.chunk_pages = cases[i].chunk;
		provider.keep_pages = cases[i].keep;
		provider.max_pages = cases[i].most;
		assert_int_equal(ist_provider_set(manager, &provider), cases[i].set);
		if (cases[i].set == 0) {
			assert_int_equal(regions_after_trim(manager, cases[i].alloc), cases[i].regions);
			assert_int_equal(teller.asked_for, cases[i].pages);
		}
		assert_int_equal(ist_provider_drain(manager), 0);
		assert_int_equal(teller.out, 0);
		guest_drop(&guest);
	}
}

static void limits_of_answers(void **state)
{
	static const uint64_t wrapping[] = {UINT64_MAX - (PAGE - 1), 0}, odd[] = {UINT64_MAX, UINT64_MAX - 1};
	static const struct {
		struct ist_provided answer;
		int error;
	} cases[] = {
	        {{0, 2, NULL, GUEST_PADDR}, -EIO},
	        {{1, 1, NULL, GUEST_PADDR}, -ENOMEM},
	        {{1, 2, NULL, GUEST_PADDR}, 0},
	        {{UINT64_MAX - 1, UINT64_MAX - 1, NULL, GUEST_PADDR}, 0},
	        {{UINT64_MAX, UINT64_MAX, NULL, GUEST_PADDR}, 0},
	        {{1, 2, NULL, 0}, -ENXIO},
	        {{1, 2, NULL, 1}, -EINVAL},
	        {{1, 2, NULL, UINT64_MAX - (2 * PAGE - 1)}, -ENXIO},
	        {{1, 2, NULL, UINT64_MAX - (PAGE - 1)}, -EINVAL}, /* the second page would be page 0 */
	        {{1, UINT64_MAX, NULL, UINT64_MAX - (PAGE - 1)}, -EINVAL},
	        {{1, 2, NULL, UINT64_MAX - 1}, -EINVAL},
	        {{1, 2, NULL, UINT64_MAX}, -EINVAL},
	        {{1, 2, wrapping, 0}, -ENXIO},
	        {{1, UINT64_MAX, odd, 0}, -EINVAL},
	};
	struct guest guest = guest_make(RAM);
	struct teller teller;
	struct ist_provider provider = teller_provider(&teller);
	struct ist_mapping mapping;

	(void)state;
	assert_int_equal(ist_provider_set(guest.fixture.manager, &provider), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		teller.answer = cases[i].answer;
		assert_int_equal(ist_provider_alloc(guest.fixture.manager, 2 * PAGE, 0, &mapping),
		                 cases[i].error);
		if (cases[i].error == 0)
			assert_int_equal(ist_provider_free(guest.fixture.manager, &mapping), 0);
		assert_int_equal(teller.out, 0);
	}
	guest_drop(&guest);
}

static void limits_of_sizes(struct ist_manager *manager)
{
	static const struct {
		size_t size;
		uint32_t owner;
		int alloc, cached;
	} cases[] = {
	        {0, 0, -EINVAL, 0},
	        {1, 0, 0, 0},
	        {PAGE, 0, 0, 0},
	        {1, 1, -ENOENT, -ENOENT},
	        {1, UINT32_MAX - 1, -ENOENT, -ENOENT},
	        {1, UINT32_MAX, -ENOENT, -ENOENT},
	        {(size_t)1 << 52, 0, -ENXIO, -ENXIO},
	        {((size_t)1 << 52) + 1, 0, -EINVAL, -EINVAL},
	        {SIZE_MAX - PAGE, 0, -EINVAL, -EINVAL},
	        {SIZE_MAX - (PAGE - 1), 0, -EINVAL, -EINVAL},
	        {SIZE_MAX - (PAGE - 2), 0, -EINVAL, -EINVAL},
	        {SIZE_MAX - 1, 0, -EINVAL, -EINVAL},
	        {SIZE_MAX, 0, -EINVAL, -EINVAL},
	};
	struct ist_mapping mapping;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_provider_cache cache = {.filled = 0};
		int error = ist_provider_alloc(manager, cases[i].size, cases[i].owner, &mapping);

		assert_int_equal(error, cases[i].alloc);
		if (!error)
			assert_int_equal(ist_provider_free(manager, &mapping), 0);
		assert_int_equal(ist_provider_cache_get(manager, &cache, UINT32_MAX, cases[i].size,
		                                        cases[i].owner, &mapping),
		                 cases[i].cached);
		assert_int_equal(ist_provider_cache_clear(manager, &cache), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		const uint32_t slots[] = {0, 1, UINT32_MAX - 1, UINT32_MAX};

		mapping = (struct ist_mapping){.slot = slots[i], .generation = UINT32_MAX};
		assert_int_equal(ist_provider_free(manager, &mapping), -ENOENT);
	}
}

static void limits_of_requests(void **state)
{
	static const struct {
		struct ist_client_request request;
		int error;
	} cases[] = {
	        {{.size = 0}, -EINVAL},
	        {{.size = 1}, 0},
	        {{.size = 65 * PAGE}, 0},
	        {{.size = 65 * PAGE, .align = 1, .owner = UINT32_MAX}, 0},
	        {{.size = 65 * PAGE, .align = 3}, -EINVAL},
	        {{.size = 65 * PAGE, .align = IST_CLIENT_ALIGN_MAX - 1}, -EINVAL},
	        {{.size = 65 * PAGE, .align = IST_CLIENT_ALIGN_MAX}, -ENXIO}, /* more than there is */
	        {{.size = 65 * PAGE, .align = 2 * IST_CLIENT_ALIGN_MAX}, -EINVAL},
	        {{.size = 65 * PAGE, .align = SIZE_MAX / 2 + 1}, -EINVAL},
	        {{.size = 65 * PAGE, .align = SIZE_MAX}, -EINVAL},
	        {{.size = 65 * PAGE, .flags = UINT32_MAX}, -EINVAL},
	        {{.size = (size_t)1 << 40}, -ENXIO},
	        {{.size = (size_t)1 << 40, .align = IST_CLIENT_ALIGN_MAX}, -ENXIO},
	        {{.size = ((size_t)1 << 40) + 1}, -ENOSPC},
	        {{.size = SIZE_MAX - PAGE}, -ENOSPC},
	        {{.size = SIZE_MAX - 1, .align = IST_CLIENT_ALIGN_MAX}, -ENOSPC},
	        {{.size = SIZE_MAX}, -ENOSPC},
	};
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct teller teller;
	struct ist_provider provider = teller_provider(&teller);
	struct ist_shm shm;

	(void)state;
	assert_int_equal(ist_provider_set(manager, &provider), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ist_provider_client_alloc(manager, &cases[i].request, &shm), cases[i].error);
		if (cases[i].error == 0)
			assert_int_equal(ist_shm_free(&shm), 0);
		assert_int_equal(ist_provider_drain(manager), 0);
	}
	limits_of_sizes(manager);
	assert_int_equal(teller.out, 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(limits_of_the_configuration),
	        cmocka_unit_test(limits_of_answers),
	        cmocka_unit_test(limits_of_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
