/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A record that is found by its id while its last reference is put, and its place used again: who finds it finds a life that
 * has not ended, and each life ends once (tee/count.h).
 */
#include "tee/count.h"

#include <stddef.h>

#include "model.h"

static struct count count;
static int life; /* plain: 0 while there is none; written by who ended the last one, read with a reference */
static _Atomic int ends;

static void one_life(void)
{
	life = 1;
	atomic_store_explicit(&ends, 0, memory_order_relaxed);
	count_begin(&count);
}

/* The last reference is gone: what it was is taken apart. */
static int put(void)
{
	if (!count_drop(&count))
		return 0;
	MODEL_ASSERT(life != 0);
	life = 0;
	atomic_fetch_add_explicit(&ends, 1, memory_order_relaxed);
	return 1;
}

static void look(void)
{
	if (!count_take(&count))
		return;
	MODEL_ASSERT(life != 0);
	put();
}

static void put_last(void)
{
	put();
}

/* And whoever ended it, this thread only, begins another life in its place. */
static void put_and_begin(void)
{
	if (!put())
		return;
	life = 2;
	count_begin(&count);
}

static void look_twice(void)
{
	look();
	look();
}

/* Of what nobody finds: three who have it let go, one of them after it gave itself one more. */
static void three_have_it(void)
{
	one_life();
	count_more(&count);
	count_more(&count);
}

static void put_unfound(void)
{
	if (!count_drop_unfound(&count))
		return;
	MODEL_ASSERT(life != 0);
	life = 0;
	atomic_fetch_add_explicit(&ends, 1, memory_order_relaxed);
}

static void more_and_put_unfound(void)
{
	count_more(&count);
	put_unfound();
	put_unfound();
}

static void check_ended(void)
{
	MODEL_ASSERT(atomic_load_explicit(&ends, memory_order_relaxed) == 1);
	MODEL_ASSERT(life == 0);
}

static void check_one(void)
{
	MODEL_ASSERT(atomic_load_explicit(&ends, memory_order_relaxed) == 1);
	MODEL_ASSERT(life == 0);
	MODEL_ASSERT(!count_take(&count));
}

static void check_two(void)
{
	int ended = atomic_load_explicit(&ends, memory_order_relaxed);

	MODEL_ASSERT(ended == 1);
	MODEL_ASSERT(life != 1);
	MODEL_ASSERT((life == 2) == count_take(&count));
}

const struct model_scenario model_scenarios[] = {
        {"the last is put while two look", one_life, {put_last, look, look}, check_one},
        {"the last is put while one looks twice", one_life, {put_last, look_twice, NULL}, check_one},
        {"the place is used again while two look", one_life, {put_and_begin, look, look}, check_two},
        {"what nobody finds is put by all who have it",
         three_have_it,
         {put_unfound, put_unfound, more_and_put_unfound},
         check_ended},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};
