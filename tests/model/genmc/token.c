/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Ends of one life in the memory model of C11: by a sequence on the CPU that its token is of, by who has the word and is
 * elsewhere, and by who has no word at all. One is obeyed (token.h, [percpu.B1] to [percpu.B6]), whatever is seen late.
 */
#include "support.h"

#include "../../src/percpu/token.c"
#include "../../src/percpu/drain.c"
#include "../../src/percpu/percpu.c"
#include "percpu_support.c"

#include "../model.h"

enum { LIVE = 7, DEAD = 8 };

static struct percpu percpu;
static const uint16_t slots[] = {1};
static _Atomic uint64_t record;
static _Atomic uint64_t word; /* as it was handed out with the life: null until then */
static bool ended[MODEL_THREADS];

/* Of a life that was handed out: relaxed, as the engine reads it; what comes with it comes with `record`. */
static bool exchange(void)
{
	uint64_t live = LIVE;

	return atomic_compare_exchange_strong_explicit(&record, &live, DEAD, memory_order_relaxed,
	                                               memory_order_relaxed);
}

/* What both pools do with a handle. */
static bool end_life(uint64_t token)
{
	if (percpu_holds_token(&percpu, token)) {
		if (percpu_replace(&percpu, token, &record, LIVE, DEAD))
			return true;
		if (atomic_load_explicit(&record, memory_order_relaxed) != LIVE)
			return false;
	}
	if (percpu_revoke(&percpu, token))
		return false;
	return exchange();
}

static void set_up(void)
{
	uint64_t value, token;
	uint32_t one = 1;

	MODEL_ASSERT(percpu_create(&percpu, 1, slots) == 0);
	percpu_use_tokens(&percpu);
	percpu_set_capacity(&percpu, 0, 0, 1);
	MODEL_ASSERT(percpu_put(&percpu, 0, &one, 1, true) == 1);
	MODEL_ASSERT(percpu_pop_token(&percpu, PERCPU_AT(0), &value, &token) && token & TOKEN_ON);
	atomic_store_explicit(&word, token, memory_order_relaxed);
	atomic_store_explicit(&record, LIVE, memory_order_release);
}

static void end_at_home(void)
{
	genmc_cpu = 0;
	ended[0] = end_life(atomic_load_explicit(&word, memory_order_relaxed));
}

/* On a CPU that has no block. */
static void end_afar(void)
{
	genmc_cpu = -1;
	ended[1] = end_life(atomic_load_explicit(&word, memory_order_relaxed));
}

static void end_afar_too(void)
{
	genmc_cpu = -1;
	ended[2] = end_life(atomic_load_explicit(&word, memory_order_relaxed));
}

/* As client_pool_free_found does it. */
static void end_without_word(void)
{
	genmc_cpu = -1;
	if (atomic_load_explicit(&record, memory_order_acquire) != LIVE)
		return;
	percpu_revoke_all(&percpu);
	ended[2] = exchange();
}

static void check(void)
{
	MODEL_ASSERT(ended[0] + ended[1] + ended[2] == 1);
}

/* Handed out while somebody without a word looks for it [percpu.B6]. */
static void set_up_unborn(void)
{
	set_up();
	atomic_store_explicit(&record, DEAD, memory_order_relaxed);
	atomic_store_explicit(&word, 0, memory_order_relaxed);
}

static void begin_and_end(void)
{
	uint64_t token;

	genmc_cpu = 0;
	token = percpu_token_here(&percpu);
	atomic_store_explicit(&record, LIVE, memory_order_release);
	ended[0] = end_life(token);
}

const struct model_scenario model_scenarios[] = {
        {"at home and afar", set_up, {end_at_home, end_afar, NULL}, check},
        {"at home and without a word", set_up, {end_at_home, end_without_word, NULL}, check},
        {"at home and twice afar", set_up, {end_at_home, end_afar, end_afar_too}, check},
        {"at home, afar and without a word", set_up, {end_at_home, end_afar, end_without_word}, check},
        {"begun and ended at home, and without a word",
         set_up_unborn,
         {begin_and_end, end_without_word, NULL},
         check},
        {NULL, NULL, {NULL, NULL, NULL}, NULL},
};

#include "../threads.c"
