/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What is protected: ranges of physical pages, sorted and disjoint. Few and rarely changed: an array, which is copied to add to it,
 * so that whoever registers looks through it in a read section without a lock. Changes are made under space.lock.
 *
 *   [space.E1] Who protects publishes the array (release), then the next number, space.protections_changed (release), then a full fence, then looks
 *        whether something there is in use. Who registers without the lock reads the number (acquire), then the array; links
 *        his pages; then a full fence; then reads the number again. If it is the same, the second fence came before the
 *        first, and the links are found; else it is done over under the lock. If the number that was read first is of this
 *        change already, so is the array.
 *   [space.E2] A range is taken out by a mark (relaxed), so that it takes no memory and cannot fail: who registers at the same time
 *        may be refused or not. The next copy leaves it out. No ABA: nothing is compared but space.protections_changed, which only grows.
 *
 * A thread that stops in a read section keeps the arrays that were replaced since, and holds up nobody.
 */
#ifndef SPACE_RANGES_H
#define SPACE_RANGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rcu/rcu.h"

struct range {
	uint64_t page, pages;
};

struct ranges {
	struct rcu_item item; /* once it is replaced */
	size_t count;
	struct {
		struct range range;
		atomic_bool is_out;
	} at[];
};

/* Null stands for none in all of these. Whether any page of these is in one. */
bool ranges_overlap(const struct ranges *ranges, uint64_t page, uint64_t pages);
/* A copy with one more, which overlaps none. Null: no memory. */
struct ranges *ranges_with(const struct ranges *ranges, const struct range *range);
/* Take out the one with these very values; false: there is none. */
bool ranges_take_out(struct ranges *ranges, const struct range *range);
/* After it was replaced: when no reader has it any more. */
void ranges_retire(struct ranges *ranges);

#endif
