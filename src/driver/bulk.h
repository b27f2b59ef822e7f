/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Messages by pointer, many at once.
 *
 * Allocating. What magazines hold is taken in one sequence a batch; what they lack as ist_driver_pool_alloc takes it. Nothing
 * is alive before all is there, and nothing is written to the caller's array: the first SLAB_BATCH runs are on the stack,
 * those before them in a list through pool->links, whose entries belong to the owners of their granules (slab.h [slab.S1]). So
 * that a call that fails gives all back and leaves no trace. A thread that stops inside holds what it has got so far.
 *
 * Freeing. A pointer says where; what lives there says of itself how long it is, and what decides between several who
 * free it at once.
 *  - A bare allocation with room for it says by which word of token.h its end is decided (its owner, below); without
 *    room it has none, and a compare-exchange decides.
 *  - One with a handle has a word that we do not know. percpu_revoke_all makes it anybody's ([percpu.B6] there), then a
 *    compare-exchange decides. That is slow, and makes frees on the CPU it belongs to slower for a while.
 * As for handles, the linearization point is the store of a sequence (percpu_retire, percpu_retire_push) or the
 * compare-exchange, and token.h says why they never meet. Of many that are alike one sequence ends one after the other, and puts
 * all into the magazine at its end; a thread that stops inside holds those that it has ended.
 *
 * Which life is it?
 *   [driver.F1] What belongs to a number is stored before it, and published with it (arch_publish). A number that is
 *        loaded first (acquire), what belongs to it next (acquire), and the number again by what ends the life: if that
 *        is the same, so was the life, and what was loaded between is of it; else the call is refused, or tries nothing
 *        at all. Only a generation that came round between two loads could deceive, of an allocation that somebody else
 *        has freed, and taken again as often.
 *   [driver.F2] How long the run is is asked only after the life was ended, by the one who ended it: then nobody else
 *        may change what the state says.
 */
#ifndef DRIVER_BULK_H
#define DRIVER_BULK_H

#include "driver/driver_pool.h"

/*
 * The owner of a bare allocation of OWNER_FROM granules or more, in state bytes 4 to 7: half of its word (token.h), whose
 * bytes have no highest bit, since that is for those that start there. 0: none. Where an allocation lives on while its
 * block has TOKEN_HALF_EPOCHS epochs, and the last of these begins between two steps of one of two frees at once, both may be
 * obeyed; handles have the whole word.
 */
#define OWNER_FROM 8u
#define OWNED_FROM ((OWNER_FROM - 1) * DRIVER_GRANULE + 1) /* bytes asked */
#define OWNER_AT 4u
#define OWNER_BYTES 4u

/* As ist_driver_pool_alloc_bulk and ist_driver_pool_free_bulk. */
int driver_pool_alloc_bulk(struct ist_driver_pool *pool, size_t size, unsigned count, void **out);
int driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count);

#endif
