/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pool_ops.h"

#include <stdbool.h>
#include <stdlib.h>

enum { OBJECTS = 64, CARVE_OUT_MAX = 4 * 1024 * 1024 };

/* Its ends are not page aligned: with a skew of up to a page, the pools lie anywhere in it. */
static _Alignas(IST_PAGE_SIZE) char memory[CARVE_OUT_MAX + 2 * IST_PAGE_SIZE];

static void in_bulk(struct model *model, struct input *in, bool allocate, uint64_t index)
{
	unsigned count = (unsigned)input_number(in, 1) % (OBJECTS + 1);

	if (allocate)
		model_alloc_bulk(model, index, (size_t)input_size(in, model->size), count);
	else
		model_free_bulk(model, index, count);
}

static void one_call(struct model *model, struct input *in)
{
	uint64_t op = input_number(in, 1), index = input_number(in, 1);

	if (op / 8 % 8 == 7 && op % 8 < 5) {
		in_bulk(model, in, op % 8 < 3, index);
		return;
	}
	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		model_alloc(model, index, (size_t)input_size(in, model->size));
		break;
	case 3:
	case 4:
		model_free(model, index);
		break;
	case 5:
		model_free_stale(model, index);
		break;
	case 6:
		model_free_altered(model, index, (unsigned)op / 8, (int64_t)input_size(in, model->size));
		break;
	default: {
		uint64_t from = input_size(in, 4096), to = input_size(in, 4096);

		model_slice(model, index, from, to);
		model_check_stats(model);
		break;
	}
	}
}

void pool_ops_run(enum model_kind kind, struct input *in)
{
	size_t skew = (size_t)input_number(in, 2) % IST_PAGE_SIZE;
	size_t pages = kind == MODEL_DRIVER ? 1 + input_number(in, 1) % 16 : 4 + input_number(in, 2) % 900;
	size_t driver_pages = kind == MODEL_DRIVER ? pages : 1;
	size_t first = (IST_PAGE_SIZE - skew) % IST_PAGE_SIZE;
	struct ist_manager_config config = {
	        .vaddr = memory + skew,
	        .paddr = (input_number(in, 3) << 12) + skew,
	        .size = first + (pages + driver_pages) * IST_PAGE_SIZE + (size_t)input_number(in, 1),
	        .driver_pool_size = driver_pages * IST_PAGE_SIZE,
	};
	struct ist_view carve_out = {memory + skew + first, config.paddr + first, config.size - first};
	struct ist_manager *manager;
	struct model *model;

	MODEL_REQUIRE(ist_manager_create(&config, &manager) == 0);
	model = model_make(manager, kind, &carve_out, OBJECTS);
	while (input_more(in))
		one_call(model, in);
	model_finish(model);
	model_drop(model);
	MODEL_REQUIRE(ist_manager_destroy(manager) == 0);
}
