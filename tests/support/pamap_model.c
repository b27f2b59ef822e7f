/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/pamap_model.h"

#include <errno.h>
#include <string.h>

#define LAST_PAGE (UINT64_MAX >> PAMAP_PAGE_SHIFT)

void pamap_model_make(struct pamap_model *model)
{
	model->count = 0;
	memset(model->hidden, 0, sizeof(model->hidden));
	MODEL_REQUIRE(pamap_create(&model->map) == 0);
}

void pamap_model_drop(struct pamap_model *model)
{
	pamap_destroy(model->map);
}

static bool same(const struct pamap_entry *a, const struct pamap_entry *b)
{
	return a->page == b->page && a->pages == b->pages && a->to == b->to && a->handle == b->handle &&
	       a->owner == b->owner && a->attributes == b->attributes;
}

/* Index of the oldest equal mapping, or count. */
static size_t position(const struct pamap_model *model, const struct pamap_entry *entry)
{
	size_t i = 0;

	while (i < model->count && !same(&model->entry[i], entry))
		i++;
	return i;
}

static int refusal(const struct pamap_entry *e)
{
	if (e->pages == 0 || e->page > LAST_PAGE || e->to > LAST_PAGE || e->pages - 1 > LAST_PAGE - e->page ||
	    e->pages - 1 > LAST_PAGE - e->to)
		return -EINVAL;
	return e->pages > PAMAP_PAGES_MAX ? -EFBIG : 0;
}

static bool overlaps_any(const struct pamap_model *model, const struct pamap_entry *entry, bool hidden)
{
	for (size_t i = 0; i < model->count; i++) {
		const struct pamap_entry *e = &model->entry[i];

		if (model->hidden[e->owner] == hidden && entry->page <= e->page + (e->pages - 1) && e->page <= entry->page + (entry->pages - 1))
			return true;
	}
	return false;
}

static bool out_of_memory(int result)
{
	return result == -ENOMEM || result == -EAGAIN;
}

int pamap_model_insert(struct pamap_model *model, const struct pamap_entry *entry, unsigned flags)
{
	int expected = refusal(entry), result;

	MODEL_REQUIRE(model->count < PAMAP_MODEL_MAX);
	if (!expected && model->hidden[entry->owner])
		expected = -EBUSY;
	if (!expected && (flags & PAMAP_EXCLUSIVE) && overlaps_any(model, entry, false))
		expected = -EEXIST;
	result = pamap_insert(model->map, entry, flags);
	if (out_of_memory(result))
		return result;
	/* Those of a hidden owner count until they are gone. */
	if (!expected && (flags & PAMAP_EXCLUSIVE) && result == -EEXIST && overlaps_any(model, entry, true))
		return result;
	MODEL_REQUIRE(result == expected);
	if (!result)
		model->entry[model->count++] = *entry;
	return result;
}

static void forget(struct pamap_model *model, size_t i)
{
	memmove(&model->entry[i], &model->entry[i + 1], (model->count - i - 1) * sizeof(model->entry[0]));
	model->count--;
}

int pamap_model_remove(struct pamap_model *model, const struct pamap_entry *entry)
{
	size_t i = position(model, entry);
	int expected = refusal(entry), result = pamap_remove(model->map, entry);

	if (!expected && i == model->count)
		expected = -ENOENT;
	if (out_of_memory(result))
		return result;
	/* A hidden owner's may be gone already. */
	if (model->hidden[entry->owner] && !expected && result == -ENOENT)
		return result;
	MODEL_REQUIRE(result == expected);
	if (!result)
		forget(model, i);
	return result;
}

int pamap_model_replace(struct pamap_model *model, const struct pamap_entry *entry, const struct pamap_entry *with)
{
	size_t i = position(model, entry);
	int expected = refusal(entry) ? -EINVAL : refusal(with), result = pamap_replace(model->map, entry, with);

	if (!expected && (entry->page != with->page || entry->pages != with->pages))
		expected = -EINVAL;
	if (!expected && model->hidden[with->owner])
		expected = -EBUSY;
	if (!expected && i == model->count)
		expected = -ENOENT;
	if (out_of_memory(result))
		return result;
	if (model->hidden[entry->owner] && !expected && result == -ENOENT)
		return result;
	MODEL_REQUIRE(result == expected);
	if (!result)
		model->entry[i] = *with;
	return result;
}

int pamap_model_hide(struct pamap_model *model, uint16_t owner)
{
	int result = pamap_owner_hide(model->map, owner, &model->reap[owner]);

	if (result == -ENOENT) /* nothing was ever written */
		return result;
	MODEL_REQUIRE(result == (model->hidden[owner] ? -EBUSY : 0));
	model->hidden[owner] = true;
	return result;
}

int pamap_model_reap(struct pamap_model *model, uint16_t owner, unsigned budget)
{
	struct pamap_reap none = {owner, 0};
	int result;

	if (!model->hidden[owner]) {
		result = pamap_owner_reap(model->map, &none, budget);
		MODEL_REQUIRE(result == -ENOENT);
		return result;
	}
	result = pamap_owner_reap(model->map, &model->reap[owner], budget);
	if (out_of_memory(result))
		return result;
	MODEL_REQUIRE(result == 0 || result == 1);
	if (result == 1)
		return result;
	for (size_t i = model->count; i-- > 0;)
		if (model->entry[i].owner == owner)
			forget(model, i);
	model->hidden[owner] = false;
	return 0;
}

static bool answer(const struct pamap_model *model, uint64_t at, uint64_t len, int owner, struct pamap_value *out)
{
	uint64_t first = at >> PAMAP_PAGE_SHIFT, last = (at + (len - 1)) >> PAMAP_PAGE_SHIFT;

	for (size_t i = 0; i < model->count; i++) {
		const struct pamap_entry *e = &model->entry[i];

		if (first < e->page || last - e->page >= e->pages || model->hidden[e->owner] ||
		    (owner >= 0 && owner != e->owner))
			continue;
		out->to = (e->to + (first - e->page)) << PAMAP_PAGE_SHIFT | (at & (PAMAP_PAGE_SIZE - 1));
		out->handle = e->handle;
		out->owner = e->owner;
		out->attributes = e->attributes;
		return true;
	}
	return false;
}

static void compare(bool expected, const struct pamap_value *right, bool found, const struct pamap_value *value)
{
	MODEL_REQUIRE(found == expected);
	if (!found)
		return;
	MODEL_REQUIRE(value->to == right->to);
	MODEL_REQUIRE(value->handle == right->handle);
	MODEL_REQUIRE(value->owner == right->owner);
	MODEL_REQUIRE(value->attributes == right->attributes);
}

void pamap_model_look_up(struct pamap_model *model, uint64_t at, uint64_t len, uint16_t owner)
{
	struct pamap_value right, value, batch[3];
	const uint64_t many[3] = {at, at ^ PAMAP_PAGE_SIZE, at + len - 1};
	bool expected;

	if (len == 0 || len - 1 > UINT64_MAX - at)
		return;
	expected = answer(model, at, len, -1, &right);
	compare(expected, &right, pamap_lookup(model->map, at, len, &value), &value);
	MODEL_REQUIRE(pamap_translate(model->map, at, len, &value.to) == expected);
	MODEL_REQUIRE(!expected || value.to == right.to);
	expected = answer(model, at, len, owner, &right);
	compare(expected, &right, pamap_lookup_owner(model->map, owner, at, len, &value), &value);
	pamap_lookup_many(model->map, many, 3, batch);
	for (int i = 0; i < 3; i++) {
		expected = answer(model, many[i], 1, -1, &right);
		compare(expected, &right, batch[i].found, &batch[i]);
	}
}

struct tally {
	const struct pamap_model *model;
	bool seen[PAMAP_MODEL_MAX];
	size_t count;
	uint64_t page;
	size_t age; /* of the last one at this page */
};

static bool tally_one(void *context, const struct pamap_entry *entry)
{
	struct tally *tally = context;
	size_t i = 0;

	while (i < tally->model->count && (tally->seen[i] || !same(&tally->model->entry[i], entry)))
		i++;
	MODEL_REQUIRE(i < tally->model->count);
	MODEL_REQUIRE(!tally->model->hidden[entry->owner]);
	MODEL_REQUIRE(tally->count == 0 || entry->page > tally->page || (entry->page == tally->page && i > tally->age));
	tally->seen[i] = true;
	tally->page = entry->page;
	tally->age = i;
	tally->count++;
	return true;
}

static void check_iteration(struct pamap_model *model)
{
	static struct tally tally;
	struct pamap_stats stats;
	size_t visible = 0, hidden = 0;
	struct pamap_entry next;

	memset(&tally, 0, sizeof(tally));
	tally.model = model;
	pamap_for_each(model->map, 0, LAST_PAGE, tally_one, &tally);
	for (size_t i = 0; i < model->count; i++) {
		visible += !model->hidden[model->entry[i].owner];
		hidden += model->hidden[model->entry[i].owner];
	}
	MODEL_REQUIRE(tally.count == visible);
	pamap_get_stats(model->map, &stats);
	MODEL_REQUIRE(stats.mappings >= visible && stats.mappings <= visible + hidden);
	MODEL_REQUIRE(pamap_next(model->map, 0, &next) == (visible > 0));
	if (visible > 0)
		MODEL_REQUIRE(!pamap_next(model->map, tally.page + 1, &next) || tally.page == LAST_PAGE);
}

void pamap_model_check(struct pamap_model *model)
{
	size_t stride = model->count / 150 + 1; /* each look-up costs the model a walk through all */

	for (size_t i = model->checks++ % stride; i < model->count; i += stride) {
		const struct pamap_entry *e = &model->entry[i];
		uint64_t at = e->page << PAMAP_PAGE_SHIFT, size = e->pages << PAMAP_PAGE_SHIFT;

		pamap_model_look_up(model, at, size, e->owner);
		pamap_model_look_up(model, at, size + 1, e->owner);
		pamap_model_look_up(model, at - 1, 1, e->owner);
		pamap_model_look_up(model, at - 1, 2, (uint16_t)(e->owner + 1));
		pamap_model_look_up(model, at + size - 1, 1, e->owner);
		pamap_model_look_up(model, at + size - 1, 2, e->owner);
		pamap_model_look_up(model, at + size, 1, (uint16_t)(e->owner + 1));
		pamap_model_look_up(model, at + size / 2, 1, e->owner);
	}
	check_iteration(model);
}
