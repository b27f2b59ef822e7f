/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A batch of lives that end one by one, each by a sequence of its own, in C: the counterpart of arch_retire_push_batch of arch_*.h, for
 * models, behind their arch_retire_push_2.
 * A pointer is read once; of a state the number first, then what belongs to it, and the sequence reads the number again.
 */
#ifndef PERCPU_ARCH_EACH_H
#define PERCPU_ARCH_EACH_H

static inline bool each_is_like_batch(const struct arch_batch *batch, uint64_t place, uint32_t *number)
{
	const _Atomic uint8_t *state = batch->states + place;

	*number = arch_load_acquire(state, 2);
	return (*number & ARCH_NUMBER_FIXED) == ARCH_NUMBER && arch_load(state + 2, 2) == batch->behind &&
	       arch_load_acquire(state + 4, 4) == batch->owner;
}

static inline struct arch_done arch_retire_push_batch(char *const *table, uint64_t token, size_t at,
                                                      struct arch_batch *batch, void *const *vaddrs,
                                                      uint64_t count)
{
	struct arch_done done = {0, 0};

	while (done.retired < count && done.pushed == done.retired) {
		uint64_t place = arch_place(batch->base, vaddrs[done.retired]);
		enum arch_retired retired;
		uint32_t number;

		if (place >= batch->places || !each_is_like_batch(batch, place, &number))
			break;
		retired = arch_retire_push_2(table, token, at, batch->states, place, &number, 0);
		if (retired == ARCH_REFUSED)
			break;
		batch->at[done.retired++] = (uint32_t)place;
		done.pushed += retired == ARCH_PUSHED;
	}
	return done;
}

#endif
