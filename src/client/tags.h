/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Where the memory of each owner may be, so that his end costs what he has, whatever others have. A bit for each chunk of pages
 * and each residue of owner ids: while an allocation of an owner starts in the chunk, the bit is set. It may be set for no
 * reason; whoever walks through the chunk then looks, and clears it.
 *
 *   [client.T1] The bit of an allocation is looked at after its record was made live, and set if need be; whoever clears one
 *        looks at the chunk's records afterwards, and sets it again if one of them wants it. Both put a full fence
 *        between the two: so either the allocation finds the bit cleared, or the other finds the record.
 * Between clearing and setting again the bit is wrong: those who clear and those who walk keep out of each other's way by a
 * lock (the end of an owner: that of the space).
 *
 * A thread that stops between record and bit has not returned from its call yet: its allocation may outlive an end of
 * its owner that begins meanwhile, like one that is made after it.
 *
 * Pools below TAGS_FROM pages have none of this: there all pages are looked at.
 */
#ifndef CLIENT_TAGS_H
#define CLIENT_TAGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fence.h"
#include "base/mutant.h"

/* Models have fewer. */
#ifndef TAGS_PAGES
#define TAGS_PAGES 512u /* of a chunk */
#define TAGS_FROM 4096u
#define TAGS 1024u
#endif

#define MUTANT_TAG_UNFENCED 322 /* the bit may be looked at before the record is seen */

struct tags {
	_Atomic uint64_t *bits; /* null: none */
	size_t chunks, words; /* words: of the bits of one residue */
};

/* Bytes of zeroed memory for a pool of so many pages. They cost memory where bits were set. */
size_t tags_bytes(size_t pages);
void tags_init(struct tags *tags, size_t pages, void *zeroed_memory);

static inline _Atomic uint64_t *tags_word(const struct tags *tags, uint32_t owner, size_t chunk)
{
	return &tags->bits[owner % TAGS * tags->words + chunk / 64];
}

static inline uint64_t tags_bit(size_t chunk)
{
	return UINT64_C(1) << (chunk % 64);
}

/* The owner has something that starts in the page's chunk, and its record is live. */
static inline void tags_set(const struct tags *tags, uint32_t owner, size_t page)
{
	size_t chunk = page / TAGS_PAGES;
	_Atomic uint64_t *word;

	if (owner == 0 || !tags->bits)
		return;
	word = tags_word(tags, owner, chunk);
	if (!IS_MUTANT(MUTANT_TAG_UNFENCED))
		fence_full(); /* [client.T1] */
	if (!(atomic_load_explicit(word, memory_order_relaxed) & tags_bit(chunk)))
		atomic_fetch_or_explicit(word, tags_bit(chunk), memory_order_relaxed);
}

/* From now on only what is set afterwards counts: look at the chunk. */
static inline void tags_clear(const struct tags *tags, uint32_t owner, size_t page)
{
	size_t chunk = page / TAGS_PAGES;

	atomic_fetch_and_explicit(tags_word(tags, owner, chunk), ~tags_bit(chunk), memory_order_relaxed);
	fence_full(); /* [client.T1] */
}

/* Whether these two owners share their bits. */
static inline bool tags_are_one(uint32_t owner, uint32_t other)
{
	return owner % TAGS == other % TAGS;
}

/* The first page of the first chunk from that of `page` on in which the owner may have something; SIZE_MAX: none. */
size_t tags_next(const struct tags *tags, uint32_t owner, size_t page);

#endif
