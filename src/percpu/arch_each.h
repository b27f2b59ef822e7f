/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Where a batch of lives ends one by one, each by a sequence of its own: behind arch_retire_2 of whoever has no better. */
#ifndef PERCPU_ARCH_EACH_H
#define PERCPU_ARCH_EACH_H

static inline unsigned arch_retire_batch(char *const *table, uint64_t token, _Atomic uint8_t *states,
                                         const struct arch_ending *ending, unsigned from, unsigned end)
{
	unsigned at = from;

	for (; at < end; at++) {
		uint32_t live = ending->live[at];

		if (!arch_retire_2(table, token, states, ending->places[at], &live, 0))
			break;
	}
	return at - from;
}

#endif
