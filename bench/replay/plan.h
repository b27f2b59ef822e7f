/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What a trace means for a pair of pools: a list of steps that the replay carries out without any decision of its
 * own. traces/README.md says which event becomes which step.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "peers/peer.h"
#include "trace.h"

/* The kinds that are measured apart. */
enum step_kind {
	STEP_DRIVER_ALLOC,
	STEP_DRIVER_FREE,
	STEP_MSG_GET,
	STEP_MSG_PUT,
	STEP_CLIENT_ALLOC,
	STEP_CLIENT_FREE,
	STEP_TO_PHYS,
	STEP_TO_VIRT,
	STEP_KIND_COUNT,
};

/*
 * The slot of a step that has no object: a translation somewhere in the driver pool, or an attempt: a request that
 * the recorded system refused, made again and given back at once.
 */
#define STEP_NO_SLOT UINT32_MAX

struct step {
	uint64_t size; /* bytes asked for or translated */
	uint64_t offset; /* of a translation, from the start of its object */
	uint32_t slot; /* where the replay keeps the object, or STEP_NO_SLOT */
	uint32_t ticket; /* how many steps on this slot come before */
	uint16_t worker;
	uint8_t kind; /* enum step_kind */
	uint8_t op; /* enum trace_op: what was recorded */
};

#define PLAN_WORKERS_MAX 64u

struct plan {
	struct step *steps;
	uint32_t step_count;
	uint32_t slot_count;
	uint32_t worker_count;

	/* The steps of worker w: order[first[w]] to order[first[w + 1] - 1], as indices into steps. */
	uint32_t *order;
	uint32_t first[PLAN_WORKERS_MAX + 1];

	uint64_t kinds[STEP_KIND_COUNT];
	uint64_t attempts; /* requests that the recorded system refused */
	uint64_t peak_asked[POOL_COUNT]; /* most bytes live at once, as asked */
	uint64_t peak_rounded
	        [POOL_COUNT]; /* the same with client requests in whole pages, driver ones in 8 bytes */

	/* Events that become no step. */
	uint64_t mappings; /* register, unregister and refused ones */
	uint64_t mapping_lookups; /* translations of what was registered */
	uint64_t calls; /* calls and supplicant requests: no memory operation in themselves */
	uint64_t slot_pages; /* birth and end of pages that only hold message slots */
};

static inline enum pool step_pool(enum step_kind kind)
{
	return kind == STEP_CLIENT_ALLOC || kind == STEP_CLIENT_FREE ? POOL_CLIENT : POOL_DRIVER;
}

static inline bool step_allocates(enum step_kind kind)
{
	return kind == STEP_DRIVER_ALLOC || kind == STEP_CLIENT_ALLOC || kind == STEP_MSG_GET;
}

static inline bool step_frees(enum step_kind kind)
{
	return kind == STEP_DRIVER_FREE || kind == STEP_CLIENT_FREE || kind == STEP_MSG_PUT;
}

static inline bool step_is_attempt(const struct step *step)
{
	return step->slot == STEP_NO_SLOT && step_allocates(step->kind);
}

static inline size_t step_rounded(enum pool pool, uint64_t size)
{
	return pool == POOL_CLIENT ? round_to_pages((size_t)size) : ((size_t)size + 7) & ~(size_t)7;
}

const char *step_kind_name(enum step_kind kind);

/* Returns false when there is no memory. */
bool plan_make(const struct trace *trace, struct plan *plan);
void plan_release(struct plan *plan);

#endif
