/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Carrying out a plan through one peer: timed, checked, or to find the smallest pool that is enough. */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include "lib/clock.h"
#include "lib/histogram.h"
#include "plan.h"

struct replay_setup {
	const struct peer *peer;
	const struct plan *plan;
	struct region region;
	bool multi; /* one thread per worker of the plan instead of one for all */
};

/* A fault of a peer (or no memory): the run proves nothing. Empty when there is none. */
struct replay_fault {
	char text[256];
};

void replay_fault_set(struct replay_fault *fault, const struct replay_setup *setup, const char *what,
                      int error);

struct replay_result {
	struct histogram
	        kinds[STEP_KIND_COUNT]; /* ticks, the clock's own included; without refused requests */
	uint64_t refused[POOL_COUNT]; /* requests of recorded objects that got no memory */
	uint64_t left_out; /* steps on objects that got no memory */
	uint64_t attempts_served, attempts_refused;
	uint64_t attempts_impossible; /* of the refused: larger than the pool */
};

/* Replay once. Returns 0, or -1 with *fault set. */
int replay_timed(const struct replay_setup *setup, struct replay_result *result, struct replay_fault *fault);

/*
 * Replay the allocations and frees of one pool only, in one thread, without zeroing, until the first refusal. An
 * attempt counts as a request unless it exceeds `impossible` bytes. Returns 1 when all was served, 0 when not, -1
 * with *fault set.
 */
int replay_fits(const struct replay_setup *setup, enum pool pool, size_t impossible,
                struct replay_fault *fault);

/* The smallest pool in which replay_fits: bytes, or 0 when there is none up to sixteen times the given pool. */
int replay_smallest(const struct replay_setup *setup, enum pool pool, size_t *bytes,
                    struct replay_fault *fault);

#define TIMELINE_POINTS 600u

/* One point for each part of the replay: what was live at its fullest moment. */
struct timeline {
	uint32_t count;
	size_t live[TIMELINE_POINTS]; /* client bytes in whole pages */
	size_t largest_free[TIMELINE_POINTS]; /* longest run of client pages that no request owns, in bytes */
};

/*
 * Replay in one thread and check every answer: inside its pool, aligned, overlapping nothing that is live, zeroed
 * where it must be, and the same bytes by either address. Returns 0, or -1 with *fault set.
 */
int replay_checked(const struct replay_setup *setup, struct timeline *timeline, struct replay_fault *fault);

#endif
