/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The snapshot that one process writes and others read, in the memory model of C11 [stat.Q1], [stat.Q2]: what was copied whole is
 * of one round, and of one that had been published when the copy began, or later.
 */
#include "support.h"

#include "stat/sequence.h"

#include "../model.h"

enum { WORDS = 2 };

static uint64_t sequence, words[WORDS];
static _Atomic int published; /* rounds, with nothing that orders them but for who is told */

static void set_up(void)
{
}

static void publish(uint64_t round)
{
	const uint64_t snapshot[WORDS] = {round, round};

	stat_publish(&sequence, words, snapshot, sizeof(snapshot));
}

static void publish_one(void)
{
	publish(1);
	atomic_store_explicit(&published, 1, memory_order_release);
}

static void publish_two(void)
{
	publish(1);
	publish(2);
}

static void copy(void)
{
	int told = atomic_load_explicit(&published, memory_order_acquire);
	uint64_t to[WORDS];

	if (!stat_copy(&sequence, to, words, sizeof(to))) {
		MODEL_ASSERT(!told); /* nobody is writing any more */
		return;
	}
	MODEL_ASSERT(to[0] == to[1]);
	MODEL_ASSERT(to[0] >= (uint64_t)told);
}

static void check(void)
{
	uint64_t to[WORDS];

	MODEL_ASSERT(stat_copy(&sequence, to, words, sizeof(to)) && to[0] == sequence / 2);
}

const struct model_scenario model_scenarios[] = {
        {"one round beside two readers", set_up, {publish_one, copy, copy}, check},
        {"two rounds beside a reader", set_up, {publish_two, copy, NULL}, check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
