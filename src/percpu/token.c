/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Ends and beginnings of epochs. The argument is in token.h. */
#include "percpu/token.h"

#include <errno.h>

#include "base/bits.h"
#include "base/mutant.h"
#include "percpu/percpu.h"
#include "percpu/rseq.h"

/* Faults that the tests must find. */
#define MUTANT_REVOKE_WITHOUT_FENCE 308
#define MUTANT_REVOKE_UNREVOKED 309 /* an epoch that has ended counts as revoked */
#define MUTANT_REVOKE_NOT_ALL 311 /* who does not know the word does nothing about it */

#ifndef TOKEN_GROUP /* models have fewer */
#define TOKEN_GROUP 64u /* blocks that share a fence */
#endif

void percpu_use_tokens(struct percpu *percpu)
{
	percpu->has_tokens = percpu->sequences;
}

void percpu_begin_token(struct percpu *percpu, uint32_t block)
{
	struct percpu_head *head = percpu_head(percpu, block);
	uint64_t none = 0;

	if (!percpu->has_tokens)
		return;
	/* Relaxed, here and below: [percpu.B5] is coherence of one word, and [percpu.B2] is the fence's. */
	if (atomic_load_explicit(&head->threshold, memory_order_relaxed) == 0) /* tests have less */
		atomic_store_explicit(&head->threshold, TOKEN_THRESHOLD_START, memory_order_relaxed);
	atomic_compare_exchange_strong_explicit(&head->token, &none,
	                                        token_word(block, 1, TOKEN_THRESHOLD_START == 0),
	                                        memory_order_relaxed, memory_order_relaxed);
}

bool percpu_holds_token(const struct percpu *percpu, uint64_t word)
{
	int32_t number = rseq_number();

	return number >= 0 && (uint32_t)number == token_block(word) && token_block(word) < percpu->blocks &&
	       atomic_load_explicit(percpu_entry(percpu, number), memory_order_relaxed) != percpu->empty &&
	       atomic_load_explicit(&percpu_head(percpu, (uint32_t)number)->token, memory_order_relaxed) ==
	               word;
}

uint64_t percpu_token_here(const struct percpu *percpu)
{
	int32_t number = percpu->has_tokens ? rseq_number() : -1;

	if (number < 0 || (uint32_t)number >= percpu->blocks ||
	    atomic_load_explicit(percpu_entry(percpu, number), memory_order_relaxed) == percpu->empty)
		return 0;
	return atomic_load_explicit(&percpu_head(percpu, (uint32_t)number)->token, memory_order_relaxed);
}

uint64_t percpu_token_of_half(const struct percpu *percpu, uint32_t half)
{
	uint32_t block = token_block(half), now, ago;

	if (half == 0 || block >= percpu->blocks)
		return 0;
	now = token_epoch(atomic_load_explicit(&percpu_head(percpu, block)->token,
	                                       memory_order_relaxed)); /* [percpu.B5] */
	ago = (now - token_epoch(half)) & (TOKEN_HALF_EPOCHS - 1);
	return token_word(block, now - ago, half & TOKEN_ON);
}

/* Nobody gives out the word any more. It costs more and more to have it taken away again. */
static void end_epoch(struct percpu_head *head, uint64_t word)
{
	uint32_t threshold = atomic_load_explicit(&head->threshold, memory_order_relaxed);
	uint64_t off = token_word(token_block(word), token_epoch(word), false);

	if (atomic_compare_exchange_strong_explicit(&head->token, &word, off, memory_order_relaxed,
	                                            memory_order_relaxed))
		atomic_store_explicit(
		        &head->threshold,
		        (uint32_t)bits_min(bits_max(2 * (size_t)threshold, TOKEN_THRESHOLD_FIRST),
		                           TOKEN_THRESHOLD_MOST),
		        memory_order_relaxed);
}

static void raise_revoked(struct percpu_head *head, uint32_t epoch)
{
	uint32_t revoked = atomic_load_explicit(&head->revoked, memory_order_relaxed);

	/* Release: the fence comes before [percpu.B2]. Ends when it is ours or higher. */
	while (revoked < epoch &&
	       !atomic_compare_exchange_weak_explicit(&head->revoked, &revoked, epoch, memory_order_release,
	                                              memory_order_relaxed))
		continue;
}

/* As percpu_revoke, for blocks first to end - 1, at most TOKEN_GROUP, with one fence. */
static void revoke_group(struct percpu *percpu, uint32_t first, uint32_t end)
{
	uint32_t ended[TOKEN_GROUP] = {0};
	bool any = false;

	for (uint32_t block = first; block < end; block++) {
		struct percpu_head *head = percpu_head(percpu, block);
		/* Relaxed: [percpu.B5]. Acquire: [percpu.B2]. A block that was never used has epoch 0. */
		uint64_t now = atomic_load_explicit(&head->token, memory_order_relaxed);

		if (atomic_load_explicit(&head->revoked, memory_order_acquire) >= token_epoch(now))
			continue;
		if (now & TOKEN_ON)
			end_epoch(head, now);
		ended[block - first] = token_epoch(now);
		any = true;
	}
	if (any)
		rseq_fence();
	for (uint32_t block = first; any && block < end; block++)
		raise_revoked(percpu_head(percpu, block), ended[block - first]);
}

void percpu_revoke_all(struct percpu *percpu)
{
	if (!percpu->has_tokens || IS_MUTANT(MUTANT_REVOKE_NOT_ALL))
		return;
	for (uint32_t first = 0; first < percpu->blocks; first += TOKEN_GROUP)
		revoke_group(percpu, first, (uint32_t)bits_min(first + TOKEN_GROUP, percpu->blocks));
}

int percpu_revoke(struct percpu *percpu, uint64_t word)
{
	struct percpu_head *head;
	uint64_t now;

	if (word == 0)
		return 0;
	if (!percpu->has_tokens || !token_is_word(word) || token_block(word) >= percpu->blocks)
		return -EINVAL;
	head = percpu_head(percpu, token_block(word));
	now = atomic_load_explicit(&head->token, memory_order_relaxed);
	if (token_epoch(word) > token_epoch(now) || token_epoch(word) == 0)
		return -EINVAL;
	/* Acquire: [percpu.B2]. */
	if (!(word & TOKEN_ON) ||
	    atomic_load_explicit(&head->revoked, memory_order_acquire) >= token_epoch(word))
		return 0;
	end_epoch(head, word);
	if (IS_MUTANT(MUTANT_REVOKE_UNREVOKED) && now != word)
		return 0;
	if (!IS_MUTANT(MUTANT_REVOKE_WITHOUT_FENCE))
		rseq_fence();
	raise_revoked(head, token_epoch(word));
	return 0;
}

void percpu_ended_locally(struct percpu *percpu, uint64_t word)
{
	int32_t number = rseq_number();
	struct percpu_head *head;
	uint32_t count;

	if (word == 0 || word & TOKEN_ON || number < 0 || (uint32_t)number != token_block(word) ||
	    token_epoch(word) == TOKEN_EPOCH_LAST)
		return;
	head = percpu_head(percpu, (uint32_t)number);
	/* An estimate: it does not matter if a thread that comes between loses one. */
	count = atomic_load_explicit(&head->ended, memory_order_relaxed) + 1;
	if (count >= atomic_load_explicit(&head->threshold, memory_order_relaxed)) {
		count = 0;
		atomic_compare_exchange_strong_explicit(
		        &head->token, &word, token_word(token_block(word), token_epoch(word) + 1, true),
		        memory_order_relaxed, memory_order_relaxed);
	}
	atomic_store_explicit(&head->ended, count, memory_order_relaxed);
}

int percpu_end(struct percpu *percpu, uint64_t word, const struct percpu_ending *ending)
{
	int error;

	for (int i = 0; i < PERCPU_TRIES && percpu_holds_token(percpu, word); i++) {
		if (ending->end_here(ending))
			return 0;
		error = ending->look(ending);
		if (error)
			return error;
	}
	if (percpu_revoke(percpu, word))
		return -EINVAL;
	error = ending->end_anywhere(ending);
	if (!error)
		percpu_ended_locally(percpu, word);
	return error;
}

bool percpu_belongs_elsewhere(struct percpu *percpu, uint64_t word)
{
	int32_t number = rseq_number();
	struct percpu_head *head;
	uint32_t count;

	if (word == 0 || number < 0 || (uint32_t)number == token_block(word))
		return false;
	if (word & TOKEN_ON)
		return true;
	head = percpu_head(percpu, token_block(word));
	/* An estimate, as in percpu_ended_locally. */
	count = atomic_load_explicit(&head->ended, memory_order_relaxed);
	if (count < TOKEN_PRICE_ELSEWHERE)
		return false;
	atomic_store_explicit(&head->ended, count - TOKEN_PRICE_ELSEWHERE, memory_order_relaxed);
	return true;
}
