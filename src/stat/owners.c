/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "mapping/owners.h"
#include "stat/survey.h"

#define OWNER_BATCH 256u /* owners that are read with the lock held once */

static bool make_rows(struct survey *survey, size_t more)
{
	size_t room = bits_max(survey->owner_count + more, 2 * survey->owner_room);
	struct ist_stat_owner *moved;

	if (survey->owner_room - survey->owner_count >= more)
		return true;
	moved = realloc(survey->owners, room * sizeof(*moved));
	if (!moved)
		return false;
	survey->owners = moved;
	survey->owner_room = room;
	return true;
}

static int rows_by_id(const void *a, const void *b)
{
	const struct ist_stat_owner *left = a, *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

static uint64_t row_pages(const struct ist_stat_owner *owner)
{
	return owner->pages + bits_ceil_div(owner->client_bytes, IST_PAGE_SIZE);
}

/* Those that have more come first. */
static int rows_by_pages(const void *a, const void *b)
{
	uint64_t left = row_pages(a), right = row_pages(b);

	return left != right ? (left < right) - (left > right) : rows_by_id(a, b);
}

static struct ist_stat_owner new_row(const struct space_owner *owner)
{
	return (struct ist_stat_owner){
	        .id = owner->id,
	        .state = owner->stats.dying ? IST_STAT_OWNER_DYING : IST_STAT_OWNER_LIVE,
	        .mappings = owner->stats.mappings,
	        .pages = owner->stats.pages,
	        .cached = owner->stats.cached,
	        .refused = owner->stats.refused,
	};
}

void survey_owners(struct survey *survey)
{
	struct space_owner batch[OWNER_BATCH];
	uint32_t number = 1, count;

	survey->owner_count = 0;
	survey->uncounted = 0;
	while ((count = space_next_owners(&survey->manager->space, &number, batch, OWNER_BATCH)) > 0) {
		if (!make_rows(survey, count)) {
			survey->uncounted += count;
			continue;
		}
		for (uint32_t i = 0; i < count; i++)
			survey->owners[survey->owner_count++] = new_row(&batch[i]);
	}
	if (survey->owner_count)
		qsort(survey->owners, survey->owner_count, sizeof(*survey->owners), rows_by_id);
}

/* The row of this id; tags that are no owner's get one where they belong. */
static struct ist_stat_owner *find_row(struct survey *survey, uint32_t id)
{
	size_t low = 0, high = survey->owner_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (survey->owners[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < survey->owner_count && survey->owners[low].id == id)
		return &survey->owners[low];
	/* Programs may use any number of tags; what is shown of them has a limit. */
	if (survey->owner_count >= SURVEY_OWNERS || !make_rows(survey, 1))
		return NULL;
	memmove(&survey->owners[low + 1], &survey->owners[low],
	        (survey->owner_count - low) * sizeof(*survey->owners));
	survey->owner_count++;
	survey->owners[low] =
	        (struct ist_stat_owner){.id = id, .state = id ? IST_STAT_OWNER_TAG : IST_STAT_OWNER_LIVE};
	return &survey->owners[low];
}

void survey_owner_has(struct survey *survey, uint32_t id, size_t bytes)
{
	struct ist_stat_owner *owner = find_row(survey, id);

	if (owner) {
		owner->client_bytes += bytes;
		owner->client_allocations++;
	}
}

void survey_owner_rows(struct survey *survey)
{
	struct ist_stat_body *body = survey_body(survey);
	size_t count = bits_min(survey->owner_count, survey->head.owner_room);

	if (survey->owner_count)
		qsort(survey->owners, survey->owner_count, sizeof(*survey->owners), rows_by_pages);
	if (count)
		memcpy(survey_table(survey, survey->head.owners_at), survey->owners,
		       count * sizeof(*survey->owners));
	body->owners = count;
	body->owners_left_out = survey->owner_count - count + survey->uncounted;
}
