/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef BUDDY_CHUNK_H
#define BUDDY_CHUNK_H

/* Granules in a chunk: a cache line of bits. Models take smaller chunks, down to one word, to have fewer steps. */
#ifndef BUDDY_CHUNK_POWER
#define BUDDY_CHUNK_POWER 9
#endif
#define BUDDY_CHUNK (1u << BUDDY_CHUNK_POWER)

#endif
