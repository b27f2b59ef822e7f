/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Every allocation of an update fails in turn, once and for good: -ENOMEM, nothing has changed, and it works again. */
#include <errno.h>
#include <stdlib.h>

#include "pamap/map.h"
#include "platform/platform.h"
#include "support/failing_heap.h"
#include "support/pamap_model.h"
#include "support/support.h"

static struct pamap_model model;
static uint64_t seed = 3;

static void plan(int nth, bool for_good, bool heap)
{
	if (heap)
		heap_fail(nth, for_good);
	else
		platform_fail_map((unsigned)nth, for_good);
}

/* An update of a kind, the same for the same number. */
static int update(uint64_t number)
{
	uint64_t random = number * 77 + 5;
	struct pamap_entry e = {random_below(&random, 1500), 1 + random_below(&random, number % 3 == 0 ? 1 : 400),
				random_below(&random, 999), (uint32_t)number, (uint16_t)random_below(&random, 20), 0};
	struct pamap_entry with;

	if (number % 13 == 0)
		e.page += UINT64_C(1) << (30 + number % 9); /* a region of its own */
	if (model.count > 300 || (model.count > 20 && number % 4 == 1)) {
		e = model.entry[number % model.count];
		return pamap_model_remove(&model, &e);
	}
	if (model.count > 20 && number % 7 == 2) {
		e = with = model.entry[number % model.count];
		with.to++;
		return pamap_model_replace(&model, &e, &with);
	}
	return pamap_model_insert(&model, &e, 0);
}

static void sweep(uint64_t number, bool for_good, bool heap, int *failed)
{
	for (int nth = 1;; nth++) {
		int error;

		plan(nth, for_good, heap);
		error = update(number);
		plan(0, false, heap);
		if (error != -ENOMEM)
			return;
		(*failed)++;
		if (random_below(&seed, 20) == 0)
			pamap_model_check(&model);
	}
}

static void updates_fail(void **state)
{
	int failed = 0;

	(void)state;
	pamap_model_make(&model);
	for (uint64_t number = 0; number < 1200; number++)
		sweep(number, number / 2 % 2, number % 2, &failed);
	pamap_model_check(&model);
	printf("%d failures, %zu mappings at the end\n", failed, model.count);
	assert_true(failed > 500);
	pamap_model_drop(&model);
}

static void create_fails(void **state)
{
	struct pamap *map;

	(void)state;
	plan(1, false, true);
	assert_int_equal(pamap_create(&map), -ENOMEM);
	assert_int_equal(pamap_create(&map), 0);
	pamap_destroy(map);
}

/* Were a plan to reserve too little there would still be a node. */
static void a_node_that_was_not_reserved(void **state)
{
	struct store store = {0};

	(void)state;
	store_init(&store);
	assert_non_null(store_inner(&store));
	assert_int_equal(store_reserve(&store, 0, 1, 0), 0);
	assert_non_null(store_inner(&store));
	assert_non_null(store_inner(&store));
	store_drop(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(create_fails), cmocka_unit_test(updates_fail),
	                                   cmocka_unit_test(a_node_that_was_not_reserved)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
