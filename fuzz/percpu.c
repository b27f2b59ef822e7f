/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Target: the per-CPU magazines against a set. What goes in comes out once, from magazines or from a drain; levels and
 * operations add up. Which magazine a value is in is not followed: the thread may change CPUs at any time.
 */
#include <string.h>

#include "input.h"
#include "percpu/percpu.h"
#include "support/model.h"

enum { CLASSES = 4, VALUES = 256, BATCH = 32 };

static const uint16_t slots[CLASSES] = {1, 8, 32, 200};

struct set {
	struct percpu percpu;
	unsigned char inside[CLASSES][VALUES];
	unsigned held; /* values that are inside */
	uint64_t moved;
};

static void came_out(void *context, unsigned class, uint32_t value)
{
	struct set *set = context;

	MODEL_REQUIRE(class < CLASSES && value < VALUES && set->inside[class][value]);
	set->inside[class][value] = 0;
	set->held--;
	set->moved++;
}

static void put_in(struct set *set, unsigned class, const uint32_t *values, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		set->inside[class][values[i]] = 1;
	set->held += count;
	set->moved += count;
}

/* Up to `most` values of a class that are not inside, from `from` on. */
static unsigned choose(const struct set *set, unsigned class, unsigned from, unsigned most, uint32_t *values)
{
	unsigned count = 0;

	for (unsigned i = 0; i < VALUES && count < most; i++) {
		if (!set->inside[class][(from + i) % VALUES])
			values[count++] = (from + i) % VALUES;
	}
	return count;
}

static void one_call(struct set *set, struct input *in)
{
	unsigned op = (unsigned)input_number(in, 1), class = op / 8 % CLASSES,
	         from = (unsigned)input_number(in, 1);
	uint32_t values[BATCH];
	unsigned count;

	switch (op % 8) {
	case 0:
		if (percpu_pop(&set->percpu, PERCPU_AT(class), values))
			came_out(set, class, values[0]);
		break;
	case 1:
		if (choose(set, class, from, 1, values) &&
		    percpu_push(&set->percpu, PERCPU_AT(class), values[0]))
			put_in(set, class, values, 1);
		break;
	case 2:
		count = percpu_take(&set->percpu, class, values, 1 + from % BATCH, op & 64);
		MODEL_REQUIRE(count <= 1 + from % BATCH);
		for (unsigned i = 0; i < count; i++)
			came_out(set, class, values[i]);
		break;
	case 3:
	case 4:
		count = choose(set, class, from, 1 + op / 64 * 10, values);
		put_in(set, class, values, count ? percpu_put(&set->percpu, class, values, count, true) : 0);
		break;
	case 5:
		percpu_drain(&set->percpu, (enum percpu_reach)(from % 3), came_out, NULL, set);
		MODEL_REQUIRE(from % 3 != PERCPU_ALL || set->held == 0);
		break;
	case 6:
		for (uint32_t block = 0; block < set->percpu.blocks; block++)
			percpu_set_capacity(&set->percpu, block, class, from % (slots[class] + 1u));
		break;
	default:
		MODEL_REQUIRE(set->held == 0 || percpu_empty_stamp(&set->percpu) == 0);
		break;
	}
}

static void check_words(struct set *set)
{
	uint64_t levels = 0, operations = 0;

	for (uint32_t block = 0; block < set->percpu.blocks; block++) {
		for (unsigned class = 0; class < CLASSES; class ++) {
			const struct magazine *magazine = percpu_magazine(&set->percpu, block, class);
			uint64_t word = atomic_load_explicit(&magazine->word, memory_order_relaxed);

			levels += magazine_level(magazine, word);
			operations += magazine_operations(word);
		}
	}
	MODEL_REQUIRE(levels == set->held && operations == set->moved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct set set;
	struct input in = {data, size};

	memset(&set, 0, sizeof(set));
	MODEL_REQUIRE(percpu_create(&set.percpu, CLASSES, slots) == 0);
	for (uint32_t block = 0; block < set.percpu.blocks; block++) {
		for (unsigned class = 0; class < CLASSES; class ++)
			percpu_set_capacity(&set.percpu, block, class, slots[class]);
	}
	while (input_more(&in))
		one_call(&set, &in);
	check_words(&set);
	percpu_drain(&set.percpu, PERCPU_ALL, came_out, NULL, &set);
	MODEL_REQUIRE(set.held == 0 && percpu_empty_stamp(&set.percpu) != 0);
	percpu_destroy(&set.percpu);
	return 0;
}
