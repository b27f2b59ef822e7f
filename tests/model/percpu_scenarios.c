/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The per-CPU engine with restartable sequences: CPUs that use, plug and are drained of their magazines. No value is
 * lost or taken twice [percpu.P1]; a verdict inside a drain sees everything empty [percpu.P3]; and so do two equal stamps.
 */
#include <string.h>

#include "model.h"
#include "percpu/percpu.h"

enum { VALUES = 3 };

static struct percpu percpu;
static const uint16_t slots[] = {4};
static uint32_t got[MODEL_THREADS][16];
static int count[MODEL_THREADS];

static void fresh(void)
{
	if (percpu.table != NULL)
		percpu_destroy(&percpu);
	memset(&percpu, 0, sizeof(percpu));
	memset(count, 0, sizeof(count));
	MODEL_ASSERT(percpu_create(&percpu, 1, slots) == 0);
	for (uint32_t block = 0; block < percpu.blocks; block++)
		percpu_set_capacity(&percpu, block, 0, 4);
}

/* CPU 0 has all values. */
static void stocked(void)
{
	fresh();
	for (uint32_t value = 1; value <= VALUES; value++)
		MODEL_ASSERT(percpu_put(&percpu, 0, &value, 1, true) == 1);
}

/* Thread 0 has all values, and no CPU has plugged its block. */
static void held(void)
{
	fresh();
	for (uint32_t value = 1; value <= VALUES; value++)
		got[0][count[0]++] = value;
}

static void keep(void *context, unsigned class, uint32_t value)
{
	int thread = *(int *)context;

	(void)class;
	got[thread][count[thread]++] = value;
}

static void take(int thread)
{
	uint32_t value;

	if (percpu_pop(&percpu, PERCPU_AT(0), &value) || percpu_take(&percpu, 0, &value, 1, true))
		keep(&thread, 0, value);
}

static void give(int thread)
{
	uint32_t value;

	if (count[thread] == 0)
		return;
	value = got[thread][--count[thread]];
	if (!percpu_push(&percpu, PERCPU_AT(0), value) && !percpu_put(&percpu, 0, &value, 1, true))
		keep(&thread, 0, value);
}

static unsigned levels(void)
{
	unsigned sum = 0;

	for (uint32_t block = 0; block < percpu.blocks; block++)
		sum += magazine_level(percpu_magazine(&percpu, block, 0),
		                      percpu_magazine(&percpu, block, 0)->word);
	return sum;
}

/* Called inside a drain of everything, before anything can be plugged again. */
static void must_be_empty(void *context)
{
	(void)context;
	MODEL_ASSERT(levels() == 0);
}

static void drain(int thread)
{
	percpu_drain(&percpu, PERCPU_ALL, keep, must_be_empty, &thread);
}

static void check(void)
{
	unsigned seen = 0;
	int last = MODEL_THREADS - 1;

	percpu_drain(&percpu, PERCPU_ALL, keep, must_be_empty, &last);
	for (int thread = 0; thread < MODEL_THREADS; thread++) {
		for (int i = 0; i < count[thread]; i++) {
			MODEL_ASSERT(!(seen >> got[thread][i] & 1));
			seen |= 1u << got[thread][i];
		}
	}
	MODEL_ASSERT(seen == (2u << VALUES) - 2);
}

static void take_and_give(void)
{
	take(0);
	give(0);
}

static void take_two(void)
{
	take(2);
	take(2);
}

static void give_two(void)
{
	give(0);
	give(0);
}

static void drain_from_afar(void)
{
	drain(1);
}

static void drain_at_home(void)
{
	drain(2);
}

/* While a stamp stays the same nothing may be inside. */
static void look_at_stamps(void)
{
	uint64_t stamp = percpu_empty_stamp(&percpu);
	unsigned inside = levels();

	if (stamp && stamp == percpu_empty_stamp(&percpu))
		MODEL_ASSERT(inside == 0);
}

const struct model_scenario model_scenarios[] = {
        {"a CPU at work is drained", stocked, {take_and_give, drain_from_afar, NULL}, check},
        {"a CPU changes threads and is drained", stocked, {take_and_give, drain_from_afar, take_two}, check},
        {"two drains and a CPU that plugs", held, {give_two, drain_from_afar, drain_at_home}, check},
        {"stamps, a CPU that plugs, and a drain", held, {give_two, look_at_stamps, drain_at_home}, check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};
