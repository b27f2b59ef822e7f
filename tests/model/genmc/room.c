/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which region has room, in the memory model of C11 [provider.E1] [provider.E2]: one frees, another frees and is done, and somebody who knows that
 * asks. He finds the region, wherever the first one is.
 */
#include "support.h"
typedef int pthread_cond_t; /* its own <pthread.h> lacks these, which nobody uses here */
typedef int pthread_once_t;
typedef int pid_t;
#include "../rcu_stub.h"

#include "../../src/provider/room.c"
#include "../model.h"

static uint64_t bound[4];
static struct grown_region *regions[2];
static struct grown_region region;
static struct room room;
static _Atomic uint64_t pages; /* that are free */
static _Atomic int done;

uint64_t region_free_pages(const struct grown_region *of)
{
	(void)of;
	return atomic_load_explicit(&pages, memory_order_relaxed);
}

static void set_up(void)
{
	room.bound = bound;
	room.region = regions;
	room.leaves = 2;
	regions[0] = &region;
}

static void free_one(void)
{
	atomic_fetch_add_explicit(&pages, 1, memory_order_relaxed);
	room_tell(&room, &region);
}

static void free_another(void)
{
	free_one();
	atomic_store_explicit(&done, 1, memory_order_release);
}

/* As alloc_in_regions does it. */
static bool finds_room(void)
{
	bool is_behind = room_is_behind(&room);

	room_hear(&room);
	if (room_find(&room, 0, 1))
		return true;
	if (!is_behind)
		return false;
	room_look(&room);
	return room_find(&room, 0, 1) != NULL;
}

static void ask(void)
{
	if (atomic_load_explicit(&done, memory_order_acquire))
		MODEL_ASSERT(finds_room());
}

static void check(void)
{
	MODEL_ASSERT(finds_room());
}

const struct model_scenario model_scenarios[] = {
        {"two free, and one who knows of the second asks", set_up, {free_one, free_another, ask}, check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
