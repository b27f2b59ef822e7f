/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A reference model of a pool, as simple as can be: who owns each granule. Every call goes to the pool and to the
 * model; whatever disagrees is printed and ends the process, so that tests and fuzzers alike can use it.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <isthmus/isthmus.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_REQUIRE(condition)                                                                             \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

struct model_object {
	struct ist_shm shm; /* as the pool gave it */
	struct ist_shm stale; /* a copy of one that is freed; view.size 0: none */
	uint64_t stale_since, stale_uses; /* allocations of the pool and uses of its place by then */
	bool is_bare; /* by pointer: of shm there is only the view, and so of stale */
	unsigned char fill; /* what its bytes were last filled with */
};

enum model_kind { MODEL_DRIVER, MODEL_CLIENT, MODEL_CLIENT_NOZERO };

struct model {
	struct ist_driver_pool *driver; /* one of the two */
	struct ist_client_pool *client;
	enum model_kind kind;
	char *vaddr;
	uint64_t paddr;
	size_t size, granule, granules;
	unsigned *owner; /* of each granule: index of its object + 1, or 0 */
	uint64_t *uses,
	        *covered; /* of each granule: how many started there; the last that covered it otherwise */
	struct model_object *objects;
	size_t object_count;
	size_t used, peak_seen;
	uint64_t allocs, frees, failures, misuses;
};

/* A model of one pool of a fresh manager over a carve-out at {vaddr, paddr} (both pools are in it). */
struct model *model_make(struct ist_manager *manager, enum model_kind kind, const struct ist_view *carve_out,
                         size_t objects);
void model_drop(struct model *model);

/* Allocate into slot `index` (does nothing if it is taken); checks result, place, contents; fills the memory. */
void model_alloc(struct model *model, size_t index, size_t size);

/* The same in bulk, of a driver pool (does nothing of others): into the empty ones of `count` slots from `index` on. */
void model_alloc_bulk(struct model *model, size_t index, size_t size, unsigned count);

/* Free what there is in `count` slots from `index` on, in one call, by pointer, with handles or not. */
void model_free_bulk(struct model *model, size_t index, unsigned count);

/* Free slot `index` (does nothing if it is empty); its contents must be untouched. Keeps a stale copy. */
void model_free(struct model *model, size_t index);

/* Free the stale copy of slot `index` again: must be refused. */
void model_free_stale(struct model *model, size_t index);

/* Free an altered copy of slot `index`: vaddr, paddr or size changed by `delta` != 0: must be refused. */
void model_free_altered(struct model *model, size_t index, unsigned member, int64_t delta);

/* Slice the view of slot `index` at any two offsets and compare with plain arithmetic. */
void model_slice(struct model *model, size_t index, uint64_t from, uint64_t to);

/* Compare the pool's statistics with the model's. */
void model_check_stats(struct model *model);

/* Free everything; the pool must then be one free run. */
void model_finish(struct model *model);

#endif
