/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The PA map: address ranges to where they lie on the other side, read under RCU. One instance maps physical to
 * virtual addresses, another one the other way round.
 *
 * This is the first, small engine behind the interface: a sorted array that every update copies. Readers search it
 * in O(log n) without a store to shared memory and never wait; updates cost O(n).
 */
#ifndef PAMAP_PAMAP_H
#define PAMAP_PAMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pamap;

/* What a lookup finds. */
struct pamap_value {
	uint64_t to; /* where the first byte looked up lies on the other side */
};

/* Control path: all three may block. pamap_create: -ENOMEM. Nobody else may be using a map that is destroyed. */
int pamap_create(struct pamap **out);
void pamap_destroy(struct pamap *map);

/*
 * Add the range [from, from + size), which lies at [to, to + size) on the other side. Neither may run past the top
 * of the address space. -EINVAL: size 0 or such a range; -EEXIST: it overlaps one that is there; -ENOMEM.
 * Linearization point: the publication of the new array.
 */
int pamap_insert(struct pamap *map, uint64_t from, uint64_t size, uint64_t to);

/*
 * Remove the range that starts at `from`, and wait until no reader can still see it. -ENOENT: there is none;
 * -ENOMEM: nothing changed. Not inside an RCU read section of the caller's.
 */
int pamap_remove(struct pamap *map, uint64_t from);

/*
 * Whether [at, at + len), len != 0, without wrapping, lies in one range, and where. Wait-free (the first lookup of a
 * thread registers it with RCU, which takes a lock once, unless the map is empty).
 */
bool pamap_lookup(struct pamap *map, uint64_t at, uint64_t len, struct pamap_value *out);

#endif
