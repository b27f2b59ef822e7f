/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Ends and beginnings of epochs. The argument is in bias.h. */
#include "percpu/bias.h"

#include <errno.h>

#include "base/bits.h"
#include "base/twin.h"
#include "percpu/percpu.h"
#include "percpu/rseq.h"

/* Faults that the tests must find. */
#define TWIN_UNBIAS_WITHOUT_FENCE 308
#define TWIN_UNBIAS_UNSETTLED 309 /* an epoch that has ended counts as settled */
#define TWIN_UNBIAS_NOT_ALL 311 /* who does not know the word does nothing about it */

#ifndef BIAS_GROUP /* models have fewer */
#define BIAS_GROUP 64u /* blocks that share a fence */
#endif

void percpu_use_bias(struct percpu *percpu)
{
	percpu->is_biased = percpu->sequences;
}

void percpu_begin_bias(struct percpu *percpu, uint32_t block)
{
	struct percpu_head *head = percpu_head(percpu, block);
	uint64_t none = 0;

	if (!percpu->is_biased)
		return;
	/* Relaxed, here and below: [percpu.B5] is coherence of one word, and [percpu.B2] is the fence's. */
	if (atomic_load_explicit(&head->patience, memory_order_relaxed) == 0) /* tests have less */
		atomic_store_explicit(&head->patience, BIAS_PATIENCE_START, memory_order_relaxed);
	atomic_compare_exchange_strong_explicit(&head->bias, &none,
	                                        bias_word(block, 1, BIAS_PATIENCE_START == 0),
	                                        memory_order_relaxed, memory_order_relaxed);
}

bool percpu_holds_bias(const struct percpu *percpu, uint64_t word)
{
	int32_t number = rseq_number();

	return number >= 0 && (uint32_t)number == bias_block(word) && bias_block(word) < percpu->blocks &&
	       atomic_load_explicit(percpu_entry(percpu, number), memory_order_relaxed) != percpu->empty &&
	       atomic_load_explicit(&percpu_head(percpu, (uint32_t)number)->bias, memory_order_relaxed) ==
	               word;
}

uint64_t percpu_bias_here(const struct percpu *percpu)
{
	int32_t number = percpu->is_biased ? rseq_number() : -1;

	if (number < 0 || (uint32_t)number >= percpu->blocks ||
	    atomic_load_explicit(percpu_entry(percpu, number), memory_order_relaxed) == percpu->empty)
		return 0;
	return atomic_load_explicit(&percpu_head(percpu, (uint32_t)number)->bias, memory_order_relaxed);
}

uint64_t percpu_bias_of_half(const struct percpu *percpu, uint32_t half)
{
	uint32_t block = bias_block(half), now, ago;

	if (half == 0 || block >= percpu->blocks)
		return 0;
	now = bias_epoch(atomic_load_explicit(&percpu_head(percpu, block)->bias,
	                                      memory_order_relaxed)); /* [percpu.B5] */
	ago = (now - bias_epoch(half)) & (BIAS_HALF_EPOCHS - 1);
	return bias_word(block, now - ago, half & BIAS_ON);
}

/* Nobody gives out the word any more. It costs more and more to have it taken away again. */
static void end_epoch(struct percpu_head *head, uint64_t word)
{
	uint32_t patience = atomic_load_explicit(&head->patience, memory_order_relaxed);
	uint64_t off = bias_word(bias_block(word), bias_epoch(word), false);

	if (atomic_compare_exchange_strong_explicit(&head->bias, &word, off, memory_order_relaxed,
	                                            memory_order_relaxed))
		atomic_store_explicit(&head->patience,
		                      (uint32_t)bits_min(bits_max(2 * (size_t)patience, BIAS_PATIENCE_FIRST),
		                                         BIAS_PATIENCE_MOST),
		                      memory_order_relaxed);
}

static void raise_settled(struct percpu_head *head, uint32_t epoch)
{
	uint32_t settled = atomic_load_explicit(&head->settled, memory_order_relaxed);

	/* Release: the fence comes before [percpu.B2]. Ends when it is ours or higher. */
	while (settled < epoch &&
	       !atomic_compare_exchange_weak_explicit(&head->settled, &settled, epoch, memory_order_release,
	                                              memory_order_relaxed))
		continue;
}

/* As percpu_unbias, for blocks first to end - 1, at most BIAS_GROUP, with one fence. */
static void unbias_group(struct percpu *percpu, uint32_t first, uint32_t end)
{
	uint32_t ended[BIAS_GROUP] = {0};
	bool any = false;

	for (uint32_t block = first; block < end; block++) {
		struct percpu_head *head = percpu_head(percpu, block);
		/* Relaxed: [percpu.B5]. Acquire: [percpu.B2]. A block that was never used has epoch 0. */
		uint64_t now = atomic_load_explicit(&head->bias, memory_order_relaxed);

		if (atomic_load_explicit(&head->settled, memory_order_acquire) >= bias_epoch(now))
			continue;
		if (now & BIAS_ON)
			end_epoch(head, now);
		ended[block - first] = bias_epoch(now);
		any = true;
	}
	if (any)
		rseq_fence();
	for (uint32_t block = first; any && block < end; block++)
		raise_settled(percpu_head(percpu, block), ended[block - first]);
}

void percpu_unbias_all(struct percpu *percpu)
{
	if (!percpu->is_biased || TWIN_BROKEN(TWIN_UNBIAS_NOT_ALL))
		return;
	for (uint32_t first = 0; first < percpu->blocks; first += BIAS_GROUP)
		unbias_group(percpu, first, (uint32_t)bits_min(first + BIAS_GROUP, percpu->blocks));
}

int percpu_unbias(struct percpu *percpu, uint64_t word)
{
	struct percpu_head *head;
	uint64_t now;

	if (word == 0)
		return 0;
	if (!percpu->is_biased || !bias_is_word(word) || bias_block(word) >= percpu->blocks)
		return -EINVAL;
	head = percpu_head(percpu, bias_block(word));
	now = atomic_load_explicit(&head->bias, memory_order_relaxed);
	if (bias_epoch(word) > bias_epoch(now) || bias_epoch(word) == 0)
		return -EINVAL;
	/* Acquire: [percpu.B2]. */
	if (!(word & BIAS_ON) ||
	    atomic_load_explicit(&head->settled, memory_order_acquire) >= bias_epoch(word))
		return 0;
	end_epoch(head, word);
	if (TWIN_BROKEN(TWIN_UNBIAS_UNSETTLED) && now != word)
		return 0;
	if (!TWIN_BROKEN(TWIN_UNBIAS_WITHOUT_FENCE))
		rseq_fence();
	raise_settled(head, bias_epoch(word));
	return 0;
}

void percpu_ended_at_home(struct percpu *percpu, uint64_t word)
{
	int32_t number = rseq_number();
	struct percpu_head *head;
	uint32_t count;

	if (word == 0 || word & BIAS_ON || number < 0 || (uint32_t)number != bias_block(word) ||
	    bias_epoch(word) == BIAS_EPOCH_LAST)
		return;
	head = percpu_head(percpu, (uint32_t)number);
	/* An estimate: it does not matter if a thread that comes between loses one. */
	count = atomic_load_explicit(&head->ended, memory_order_relaxed) + 1;
	if (count >= atomic_load_explicit(&head->patience, memory_order_relaxed)) {
		count = 0;
		atomic_compare_exchange_strong_explicit(
		        &head->bias, &word, bias_word(bias_block(word), bias_epoch(word) + 1, true),
		        memory_order_relaxed, memory_order_relaxed);
	}
	atomic_store_explicit(&head->ended, count, memory_order_relaxed);
}

int percpu_end(struct percpu *percpu, uint64_t word, const struct percpu_ending *ending)
{
	int error;

	for (int i = 0; i < PERCPU_TRIES && percpu_holds_bias(percpu, word); i++) {
		if (ending->end_here(ending))
			return 0;
		error = ending->look(ending);
		if (error)
			return error;
	}
	if (percpu_unbias(percpu, word))
		return -EINVAL;
	error = ending->end_anywhere(ending);
	if (!error)
		percpu_ended_at_home(percpu, word);
	return error;
}

bool percpu_belongs_elsewhere(struct percpu *percpu, uint64_t word)
{
	int32_t number = rseq_number();
	struct percpu_head *head;
	uint32_t count;

	if (word == 0 || number < 0 || (uint32_t)number == bias_block(word))
		return false;
	if (word & BIAS_ON)
		return true;
	head = percpu_head(percpu, bias_block(word));
	/* An estimate, as in percpu_ended_at_home. */
	count = atomic_load_explicit(&head->ended, memory_order_relaxed);
	if (count < BIAS_PRICE_ELSEWHERE)
		return false;
	atomic_store_explicit(&head->ended, count - BIAS_PRICE_ELSEWHERE, memory_order_relaxed);
	return true;
}
