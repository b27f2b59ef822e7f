/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The map from addresses to addresses, against a plain list. */
#include <errno.h>

#include "pamap/pamap.h"
#include "support/support.h"

struct expected {
	uint64_t from, size, to;
	bool present;
};

static bool expected_lookup(const struct expected *e, size_t count, uint64_t at, uint64_t len, uint64_t *to)
{
	for (size_t i = 0; i < count; i++) {
		if (e[i].present && at >= e[i].from && at - e[i].from < e[i].size && len <= e[i].size - (at - e[i].from)) {
			*to = e[i].to + (at - e[i].from);
			return true;
		}
	}
	return false;
}

static void edges(void **state)
{
	struct pamap *map;
	struct pamap_value value;

	(void)state;
	assert_int_equal(pamap_create(&map), 0);
	assert_false(pamap_lookup(map, 0, 1, &value));
	assert_int_equal(pamap_insert(map, 0x1000, 0, 0x5000), -EINVAL);
	assert_int_equal(pamap_insert(map, UINT64_MAX - 0xfff, 0x1001, 0), -EINVAL);
	assert_int_equal(pamap_insert(map, 0x1000, 0x1001, UINT64_MAX - 0xfff), -EINVAL);
	assert_int_equal(pamap_remove(map, 0x1000), -ENOENT);
	assert_int_equal(pamap_insert(map, UINT64_MAX - 0xfff, 0x1000, 0x5000), 0);
	assert_int_equal(pamap_insert(map, 0, 0x1000, 0x6000), 0);
	assert_true(pamap_lookup(map, UINT64_MAX, 1, &value));
	assert_int_equal(value.to, 0x5fff);
	assert_true(pamap_lookup(map, 0, 0x1000, &value));
	assert_int_equal(value.to, 0x6000);
	assert_false(pamap_lookup(map, 0, 0x1001, &value));
	assert_false(pamap_lookup(map, 0x1000, 1, &value));
	assert_int_equal(pamap_insert(map, 0xfff, 2, 0), -EEXIST);
	assert_int_equal(pamap_remove(map, 1), -ENOENT);
	assert_int_equal(pamap_remove(map, 0), 0);
	assert_false(pamap_lookup(map, 0, 1, &value));
	assert_true(pamap_lookup(map, UINT64_MAX, 1, &value));
	pamap_destroy(map);
}

static void random_ranges(void **state)
{
	enum { SLOTS = 64, SPACE = 200 };
	static struct expected e[SLOTS];
	struct pamap *map;
	uint64_t seed = 7;

	(void)state;
	assert_int_equal(pamap_create(&map), 0);
	for (long i = 0; i < scaled(2000); i++) {
		struct expected *slot = &e[random_below(&seed, SLOTS)];

		if (slot->present) {
			assert_int_equal(pamap_remove(map, slot->from), 0);
			slot->present = false;
		} else {
			uint64_t from = random_below(&seed, SPACE), size = 1 + random_below(&seed, 9);
			bool clash = false;

			for (int k = 0; k < SLOTS; k++)
				clash = clash || (e[k].present && from < e[k].from + e[k].size && e[k].from < from + size);
			assert_int_equal(pamap_insert(map, from, size, 1000 * from), clash ? -EEXIST : 0);
			if (!clash)
				*slot = (struct expected){from, size, 1000 * from, true};
		}
		for (int k = 0; k < 20; k++) {
			uint64_t at = random_below(&seed, SPACE + 10), len = 1 + random_below(&seed, 10), to = 0;
			struct pamap_value value = {0};

			assert_int_equal(pamap_lookup(map, at, len, &value), expected_lookup(e, SLOTS, at, len, &to));
			assert_int_equal(value.to, to);
		}
	}
	pamap_destroy(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(random_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
