/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Random traces against the reference model: no overlap, right place, right contents, right statistics. */
#include "support/model.h"
#include "support/support.h"

enum { OBJECTS = 200 };

static size_t random_size(uint64_t *random, const struct model *model)
{
	switch (random_below(random, 10)) {
	case 0:
		return 0;
	case 1:
		return model->size + 1 - random_below(random, 3);
	case 2:
		return SIZE_MAX - random_below(random, 2 * IST_PAGE_SIZE);
	case 3:
		return random_below(random, model->size);
	case 4:
		return model->granule * random_below(random, 20) + random_below(random, 3) - 1;
	default:
		return 1 + random_below(random, model->granule * 16);
	}
}

static void run(enum model_kind kind, size_t size, uint64_t seed, long steps)
{
	struct fixture f = fixture_make(size, kind == MODEL_DRIVER ? size / 2 : 0);
	struct ist_view carve_out = {f.carve_out.start, PADDR, size};
	struct model *model = model_make(f.manager, kind, &carve_out, OBJECTS);

	for (long i = 0; i < steps; i++) {
		size_t index = random_below(&seed, OBJECTS);

		switch (random_below(&seed, 16)) {
		case 0:
			model_free_stale(model, index);
			break;
		case 1:
			model_free_altered(model, index, random_next(&seed),
			                   (int64_t)random_below(&seed, 100000) - 50000);
			break;
		case 2:
			model_slice(model, index, random_below(&seed, 5000) - 100,
			            random_below(&seed, 5000) - 100);
			break;
		case 3:
			model_check_stats(model);
			break;
		case 4:
		case 5:
		case 6:
		case 7:
			model_free(model, index);
			break;
		case 8:
			model_free_bulk(model, index, (unsigned)random_below(&seed, 40));
			break;
		case 9:
			model_alloc_bulk(model, index, random_size(&seed, model),
			                 (unsigned)random_below(&seed, 40));
			break;
		default:
			model_alloc(model, index, random_size(&seed, model));
			break;
		}
	}
	model_finish(model);
	model_drop(model);
	fixture_drop(&f);
}

static void sweep(enum model_kind kind)
{
	/* One chunk of the allocator and less, then several, then a size that is no whole number of chunks. */
	const size_t sizes[] = {64 * KIB, 4 * MIB + 20 * KIB, 10 * MIB};

	for (size_t i = 0; i < 3; i++) {
		for (uint64_t seed = 1; seed <= 4; seed++)
			run(kind, sizes[i], seed, scaled(4000));
	}
}

static void driver_pool(void **state)
{
	(void)state;
	for (uint64_t seed = 10; seed < 30; seed++)
		run(MODEL_DRIVER, 32 * KIB, seed, scaled(4000));
	for (uint64_t seed = 10; seed < 12; seed++)
		run(MODEL_DRIVER, 256 * KIB, seed, scaled(4000));
}

static void client_pool(void **state)
{
	(void)state;
	sweep(MODEL_CLIENT);
}

static void client_pool_not_zeroed(void **state)
{
	(void)state;
	sweep(MODEL_CLIENT_NOZERO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(driver_pool),
	        cmocka_unit_test(client_pool),
	        cmocka_unit_test(client_pool_not_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
