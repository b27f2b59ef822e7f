/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One magazine and its C11 fallback under two or three threads: every value comes out once, with what was written for it. */
#include <string.h>

#include "model.h"
#include "percpu/arch_generic.h"

enum { SLOTS = 4 };

static struct block {
	struct magazine magazine; /* first: slots are found from it */
	_Atomic uint32_t slots[SLOTS];
	_Atomic uint32_t claim;
} block;

static int contents[8]; /* plain: a value's owner alone may touch them */
static uint32_t got[MODEL_THREADS][4];
static int count[MODEL_THREADS];

static void fill(uint32_t values)
{
	memset(&block, 0, sizeof(block));
	memset(got, 0, sizeof(got));
	memset(count, 0, sizeof(count));
	memset(contents, 0, sizeof(contents));
	magazine_begin(&block.magazine, offsetof(struct block, slots) / sizeof(uint32_t));
	magazine_set_capacity(&block.magazine, SLOTS);
	for (uint32_t value = 1; value <= values; value++) {
		contents[value] = 1;
		MODEL_ASSERT(fallback_push(&block.magazine, value));
	}
}

static void pop(int thread)
{
	uint32_t value;

	if (!fallback_pop(&block.magazine, &value))
		return;
	got[thread][count[thread]++] = value;
	contents[value]++;
}

/* If somebody else is at it, or it is full, the value stays with the thread. */
static void push(int thread)
{
	uint32_t value = got[thread][count[thread] - 1];

	if (!fallback_claim(&block.claim))
		return;
	contents[value]++;
	if (fallback_push(&block.magazine, value))
		count[thread]--;
	fallback_let_go(&block.claim);
}

static void check_all(uint32_t values)
{
	unsigned seen = 0;
	uint32_t value;

	while (fallback_pop(&block.magazine, &value)) {
		MODEL_ASSERT(!(seen >> value & 1));
		seen |= 1u << value;
	}
	for (int thread = 0; thread < MODEL_THREADS; thread++) {
		for (int i = 0; i < count[thread]; i++) {
			MODEL_ASSERT(!(seen >> got[thread][i] & 1));
			seen |= 1u << got[thread][i];
		}
	}
	MODEL_ASSERT(seen == (2u << values) - 2);
}

static void three_inside(void)
{
	fill(3);
}

static void check_three(void)
{
	check_all(3);
}

static void pop_one(void)
{
	pop(0);
}

/* Takes two and puts the first of them back: the level is what it was, the slot below it is not. */
static void pop_two_push_one(void)
{
	pop(1);
	pop(1);
	if (count[1] == 2) {
		uint32_t first = got[1][0];

		got[1][0] = got[1][1];
		got[1][1] = first;
		push(1);
	}
}

static void pop_and_push(void)
{
	pop(2);
	if (count[2])
		push(2);
}

static void pop_and_push_too(void)
{
	pop(1);
	if (count[1])
		push(1);
}

static void drain(void)
{
	for (int i = 0; i < 4; i++)
		pop(0);
}

const struct model_scenario model_scenarios[] = {
        {"one takes while another takes two and puts one back",
         three_inside,
         {pop_one, pop_two_push_one, NULL},
         check_three},
        {"two take and put back, one takes",
         three_inside,
         {pop_one, pop_and_push_too, pop_and_push},
         check_three},
        {"one drains, two take and put back",
         three_inside,
         {drain, pop_and_push_too, pop_and_push},
         check_three},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};
