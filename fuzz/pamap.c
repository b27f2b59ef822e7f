/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Target: the PA map against an array of its mappings. */
#include "input.h"
#include "support/pamap_model.h"

enum { ADD, ADD_MANY, REMOVE, REPLACE, LOOK_UP, HIDE, REAP, CHECK, OPS };

#define LAST_PAGE (UINT64_MAX >> PAMAP_PAGE_SHIFT)

/* A page near others: in the first pages, around a border of regions, or at the top. */
static uint64_t input_page(struct input *in)
{
	uint64_t kind = input_number(in, 1), near = input_number(in, 2);

	switch (kind % 8) {
	case 0:
		return LAST_PAGE - near % 1024;
	case 1:
		return (kind / 8 << 30) + near % 1024 - 512;
	case 2:
		return near;
	default:
		return near % 1200;
	}
}

static uint64_t input_pages(struct input *in)
{
	uint64_t kind = input_number(in, 1);

	switch (kind % 8) {
	case 0:
		return input_number(in, 5);
	case 1:
		return UINT64_C(1) << kind / 8;
	case 2:
		return kind / 8 * 40;
	case 3:
		return kind / 8;
	default:
		return 1;
	}
}

static struct pamap_entry input_entry(struct input *in)
{
	struct pamap_entry e = {.page = input_page(in), .pages = input_pages(in)};
	uint64_t kind = input_number(in, 1);

	e.to = kind % 4 == 0 ? input_number(in, 7) : kind;
	e.handle = (uint32_t)(kind % 16 == 1 ? input_number(in, 4) : kind);
	e.owner = (uint16_t)(kind % 32 == 2 ? input_number(in, 2) : kind % 5);
	e.attributes = (uint8_t)(kind / 64);
	return e;
}

/* Runs of single pages, so that blocks come about. */
static void add_many(struct pamap_model *model, struct input *in)
{
	struct pamap_entry e = input_entry(in);
	uint64_t count = input_number(in, 1) * 2, step = 1 + input_number(in, 1) % 3;

	e.pages = 1;
	for (uint64_t i = 0; i < count && model->count < PAMAP_MODEL_MAX; i++) {
		pamap_model_insert(model, &e, 0);
		e.page += step;
		e.to++;
	}
}

static void step(struct pamap_model *model, struct input *in)
{
	uint64_t op = input_number(in, 1), which = input_number(in, 2);
	struct pamap_entry e, with;

	if (model->count > 0)
		e = model->entry[which % model->count];
	switch (op % OPS) {
	case ADD:
		e = input_entry(in);
		if (model->count < PAMAP_MODEL_MAX)
			pamap_model_insert(model, &e, op / OPS % 4 == 1 ? PAMAP_EXCLUSIVE : 0);
		return;
	case ADD_MANY:
		add_many(model, in);
		return;
	case REMOVE:
		for (uint64_t i = 0; i <= op / OPS && model->count > 0; i++) {
			e = model->entry[which++ % model->count];
			pamap_model_remove(model, &e);
		}
		return;
	case REPLACE:
		with = input_entry(in);
		if (model->count == 0)
			return;
		if (op / OPS % 4 != 1) {
			with.page = e.page;
			with.pages = e.pages;
		}
		pamap_model_replace(model, &e, &with);
		return;
	case LOOK_UP:
		pamap_model_look_up(model, input_page(in) << PAMAP_PAGE_SHIFT | (which & (PAMAP_PAGE_SIZE - 1)),
				    input_size(in, input_pages(in) << PAMAP_PAGE_SHIFT), (uint16_t)(which % 5));
		return;
	case HIDE:
		pamap_model_hide(model, (uint16_t)(which % 5));
		return;
	case REAP:
		pamap_model_reap(model, (uint16_t)(which % 5), 1 + (unsigned)(op / OPS));
		return;
	default:
		pamap_model_check(model);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pamap_model model;
	struct input in = {data, size};

	pamap_model_make(&model);
	while (input_more(&in))
		step(&model, &in);
	pamap_model_check(&model);
	pamap_model_drop(&model);
	return 0;
}
