/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What a thread has in its hands [slab.S2]: the run of its own call, or a batch that is put down before the next one is taken up, and
 * is no larger than 1/64 of the pool and a line. So that is all that stays away if it stops. The slow paths are compiled in here, with
 * what they take and put down looked at on the way.
 */
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "slab/slab.h"
#include "support/support.h"

static struct slabs *watched;
static size_t carried, most_carried,
        batches; /* granules of the batch in hand; of the largest one; how many there were */
static uint64_t batch; /* which one: how many had ended before */
static size_t batch_each, wanted_each; /* granules of an object of it; of the one that is asked for */

static bool is_in_batch(void)
{
	return atomic_load_explicit(&watched->in_transit, memory_order_relaxed) % (UINT64_C(1) << 16) > 0;
}

static size_t batch_limit(void)
{
	return watched->buddy.granules / 64 + watched->line;
}

/* The batch that was taken up last has ended since: all of it was put down, but for what a refill keeps for its caller. */
static void take_up(size_t granules, size_t each)
{
	uint64_t now = atomic_load_explicit(&watched->in_transit, memory_order_relaxed) >> 16;

	assert_true(carried == 0 || (now != batch && carried == batch_each));
	batch = now;
	batch_each = each;
	carried = granules;
	batches++;
	if (granules > most_carried && granules <= batch_limit()) /* larger ones are one object */
		most_carried = granules;
}

static void put_down(size_t granules)
{
	assert_true(granules <= carried);
	carried -= granules;
}

static unsigned watched_take(struct percpu *percpu, unsigned class, uint32_t *values, unsigned count,
                             bool may_plug)
{
	unsigned taken = percpu_take(percpu, class, values, count, may_plug);
	size_t granules = watched->classes.granules[class];

	if (taken && is_in_batch()) {
		assert_true(taken == 1 || taken * granules <= batch_limit());
		take_up(taken * granules, 0);
	} else {
		assert_true(taken <= 1);
	}
	return taken;
}

static int watched_alloc(struct buddy *buddy, size_t count, uint32_t near, size_t *start)
{
	int error = buddy_alloc_near(buddy, count, near, start);

	if (error == 0 && is_in_batch()) {
		assert_true(count <= batch_limit());
		take_up(count, wanted_each);
	}
	return error;
}

static void watched_free(struct buddy *buddy, size_t start, size_t count)
{
	if (is_in_batch() && carried)
		put_down(count);
	buddy_free(buddy, start, count);
}

static unsigned watched_put(struct percpu *percpu, unsigned class, const uint32_t *values, unsigned count,
                            bool may_plug)
{
	unsigned put = percpu_put(percpu, class, values, count, may_plug);

	if (is_in_batch() && carried)
		put_down(put * (size_t)watched->classes.granules[class]);
	return put;
}

#define percpu_take watched_take
#define percpu_put watched_put
#define buddy_alloc_near watched_alloc
#define buddy_free watched_free
#include "../../src/slab/keep.c"
#include "../../src/slab/slab.c"

enum { ROUNDS = 20000, RUNS = 4096 };

struct kind {
	const char *name;
	size_t granules, line;
	void (*classes)(struct slab_classes *classes);
};

static const struct kind kinds[] = {
        {"16 KiB of messages", 2048, 64, slab_classes_exact},
        {"64 KiB of messages", 8192, 64, slab_classes_spaced},
        {"1 MiB of messages", 131072, 64, slab_classes_spaced},
        {"64 MiB of pages", 16384, 0, slab_classes_pages},
        {"2 MiB of pages", 512, 0, slab_classes_pages},
};

struct run {
	size_t start, granules;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* Sizes come in phases, so that magazines fill with what is then in the way of others. */
static void churn(struct slabs *slabs, struct run *runs, uint64_t seed)
{
	size_t count = 0, wanted = 1;

	for (int i = 0; i < ROUNDS; i++) {
		struct run run;

		if (i % 64 == 0)
			wanted = 1 + next_random(&seed) %
			                     (next_random(&seed) % 4 ? 32 : slabs->buddy.granules / 16);
		wanted_each =
		        wanted <= SLAB_LARGEST ? slabs_granules(slabs, slabs_at(slabs, wanted)) : wanted;
		if (count < RUNS && next_random(&seed) % 256 < (i / 2048 % 2 ? 100 : 156) &&
		    slabs_take_slow(slabs, wanted, wanted, &run.start, &run.granules) == 0) {
			runs[count++] = run;
		} else if (count > 0) {
			size_t at = next_random(&seed) % count;

			slabs_give_slow(slabs, runs[at].start, runs[at].granules, 0);
			runs[at] = runs[--count];
		}
	}
	while (count-- > 0)
		slabs_give_slow(slabs, runs[count].start, runs[count].granules, 0);
}

static void test_batch_in_hand(void **state)
{
	struct run *runs = malloc(RUNS * sizeof(*runs));

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct slabs *slabs = aligned_alloc(CACHE_LINE, bits_round_up(sizeof(*slabs), CACHE_LINE));
		size_t bytes = buddy_bytes(kinds[k].granules);
		void *memory = platform_map(bytes);

		memset(slabs, 0, sizeof(*slabs));
		watched = slabs;
		carried = most_carried = batches = 0;
		slabs->line = kinds[k].line;
		kinds[k].classes(&slabs->classes);
		assert_int_equal(slabs_create(slabs, memory, kinds[k].granules, 0), 0);
		for (uint64_t seed = 1; seed <= 4; seed++)
			churn(slabs, runs, seed * UINT64_C(0x9e3779b97f4a7c15));
		print_message("%s: %zu batches, the largest %zu of %zu granules\n", kinds[k].name, batches,
		              most_carried, kinds[k].granules);
		assert_true(batches > 100);
		slabs_destroy(slabs);
		platform_unmap(memory, bytes);
		free(slabs);
	}
	free(runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_batch_in_hand)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
