/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Plugging against draining, and token against ending a life, in the memory model of C11: the engine's own code over
 * sequences and a fence that order no more than the kernel's do.
 */
#include "support.h"

#include "../../src/percpu/token.c"
#include "../../src/percpu/drain.c"
#include "../../src/percpu/percpu.c"
#include "percpu_support.c"

#include "../model.h"

static struct percpu percpu;
static const uint16_t slots[] = {2};
static uint32_t got[MODEL_THREADS][4];
static int count[MODEL_THREADS];
static int contents[4]; /* plain: who has a value alone may touch its contents */

static void keep(void *context, unsigned class, uint32_t value)
{
	int thread = *(int *)context;

	(void)class;
	got[thread][count[thread]++] = value;
	contents[value]++;
}

static void take(int thread)
{
	uint32_t value;

	if (percpu_take(&percpu, 0, &value, 1, true))
		keep(&thread, 0, value);
}

static void give(int thread)
{
	uint32_t value;

	if (count[thread] == 0)
		return;
	value = got[thread][--count[thread]];
	contents[value]++;
	if (!percpu_put(&percpu, 0, &value, 1, true))
		got[thread][count[thread]++] = value;
}

static void drain(int thread)
{
	percpu_drain(&percpu, PERCPU_ALL, keep, NULL, &thread);
}

static void stock(uint32_t values)
{
	MODEL_ASSERT(percpu_create(&percpu, 1, slots) == 0);
	for (uint32_t block = 0; block < percpu.blocks; block++)
		percpu_set_capacity(&percpu, block, 0, 2);
	for (uint32_t value = 1; value <= values; value++)
		MODEL_ASSERT(percpu_put(&percpu, 0, &value, 1, true) == 1);
}

static void two_inside(void)
{
	stock(2);
}

static void one_inside(void)
{
	stock(1);
}

static void check_values(uint32_t values)
{
	unsigned seen = 0;

	drain(0);
	for (int thread = 0; thread < MODEL_THREADS; thread++) {
		for (int i = 0; i < count[thread]; i++) {
			MODEL_ASSERT(!(seen >> got[thread][i] & 1));
			seen |= 1u << got[thread][i];
		}
	}
	MODEL_ASSERT(seen == (2u << values) - 2);
}

static void check_two(void)
{
	check_values(2);
}

static void check_one(void)
{
	check_values(1);
}

static void on_cpu_0_take(void)
{
	genmc_cpu = 0;
	take(0);
}

static void on_cpu_0_take_and_give(void)
{
	genmc_cpu = 0;
	take(0);
	give(0);
}

/* One value inside, and the block not plugged. */
static void one_inside_unplugged(void)
{
	one_inside();
	atomic_store_explicit(percpu_entry(&percpu, 0), percpu.empty, memory_order_relaxed);
}

/* What percpu_take comes to then, without its tries. */
static void on_cpu_0_plug_and_pop(void)
{
	uint32_t value;
	int thread = 0;

	genmc_cpu = 0;
	if (plug(&percpu, 0) && percpu_pop(&percpu, PERCPU_AT(0), &value))
		keep(&thread, 0, value);
}

static void on_cpu_1_drain(void)
{
	genmc_cpu = MODEL_CPUS - 1;
	drain(1);
}

/* A drain that stops before its fence. */
static void unplug_and_stop(void)
{
	struct drain stopped = {.percpu = &percpu, .reach = PERCPU_ALL, .end = MODEL_CPUS};

	atomic_fetch_add_explicit(&percpu.drainers, 1, memory_order_seq_cst);
	unplug(&stopped);
}

/* The block is laid out by whoever comes first: its CPU, or who gives it its capacity. */
static void not_laid_out(void)
{
	MODEL_ASSERT(percpu_create(&percpu, 1, slots) == 0);
	got[0][count[0]++] = 1;
}

static void set_capacity(void)
{
	genmc_cpu = MODEL_CPUS - 1;
	percpu_set_capacity(&percpu, 0, 0, 1);
}

static void on_cpu_0_give_and_take(void)
{
	genmc_cpu = 0;
	give(0);
	take(0);
}

const struct model_scenario model_scenarios[] = {
        {"taken, and drained", two_inside, {on_cpu_0_take, on_cpu_1_drain, NULL}, check_two},
        {"taken, put back, and drained",
         one_inside,
         {on_cpu_0_take_and_give, on_cpu_1_drain, NULL},
         check_one},
        {"plugged, drained, and about to be drained",
         one_inside_unplugged,
         {on_cpu_0_plug_and_pop, on_cpu_1_drain, unplug_and_stop},
         check_one},
        {"laid out by two at once", not_laid_out, {on_cpu_0_give_and_take, set_capacity, NULL}, check_one},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
