/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A reference model of the PA map: its mappings in an array, oldest first. Every call goes to the map and to the model;
 * whatever disagrees is printed and ends the process.
 */
#ifndef TESTS_PAMAP_MODEL_H
#define TESTS_PAMAP_MODEL_H

#include "pamap/pamap.h"
#include "support/model.h"

#define PAMAP_MODEL_MAX 2048u

struct pamap_model {
	struct pamap *map;
	size_t count, checks;
	struct pamap_entry entry[PAMAP_MODEL_MAX];
	bool hidden[65536];
	struct pamap_reap reap[65536];
};

/* About 2 MiB: the caller keeps it static. */
void pamap_model_make(struct pamap_model *model);
void pamap_model_drop(struct pamap_model *model);

/* Each returns what the map returned; -ENOMEM and -EAGAIN are believed, all other results must be the model's. */
int pamap_model_insert(struct pamap_model *model, const struct pamap_entry *entry, unsigned flags);
int pamap_model_remove(struct pamap_model *model, const struct pamap_entry *entry);
int pamap_model_replace(struct pamap_model *model, const struct pamap_entry *entry, const struct pamap_entry *with);
int pamap_model_hide(struct pamap_model *model, uint16_t owner);
int pamap_model_reap(struct pamap_model *model, uint16_t owner, unsigned budget);

/* Look up [at, at + len) of any owner and of `owner`, alone and in a batch. */
void pamap_model_look_up(struct pamap_model *model, uint64_t at, uint64_t len, uint16_t owner);
/*
 * Look up the ends of mappings and what is beside them (of a different part of many mappings at each call), iterate,
 * compare the statistics.
 */
void pamap_model_check(struct pamap_model *model);

#endif
