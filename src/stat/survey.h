/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A snapshot of a manager in private memory, laid out as in the file. It is put together by walks over what lives, with the
 * pools' own bookkeeping read as any thread may; owners are read in batches, so that nobody waits long for their lock.
 */
#ifndef STAT_SURVEY_H
#define STAT_SURVEY_H

#include <isthmus/stat_page.h>

#include "manager/manager.h"

#define SURVEY_OWNERS                                                                                        \
	131072u /* owners and tags that are told apart: all owners that there can be, and as many tags */

/* What a stretch of a pool has, in granules, while it is counted. */
struct survey_cell {
	uint64_t live, free;
	uint32_t largest, starts;
};

struct survey {
	struct ist_manager *manager;
	struct ist_stat_head head; /* the layout */
	uint64_t *snapshot; /* head.body_size bytes */
	struct survey_cell *cells; /* head.cell_room */
	struct ist_stat_owner *owners; /* all of them, sorted by id while client memory is added to them */
	size_t owner_count, owner_room;
	uint64_t uncounted; /* owners for whom there was no memory */
};

/* The layout of a file with so many rows. */
void survey_layout(struct survey *survey, struct ist_manager *manager, uint64_t owners, uint64_t cells);
/* 0 or -ENOMEM; survey_drop in either case. */
int survey_init(struct survey *survey);
void survey_drop(struct survey *survey);

/* Put a snapshot together. One thread at a time. */
void survey_take(struct survey *survey);

static inline struct ist_stat_body *survey_body(const struct survey *survey)
{
	return (struct ist_stat_body *)(void *)survey->snapshot;
}

/* owners.c: those that there are, with what they have. Then rows for those that have most. */
void survey_owners(struct survey *survey);
void survey_owner_has(struct survey *survey, uint32_t id, size_t bytes);
void survey_owner_rows(struct survey *survey);

/* Of a table of the snapshot. */
static inline void *survey_table(const struct survey *survey, uint64_t at)
{
	return (char *)survey->snapshot + (at - survey->head.body_at);
}

#endif
