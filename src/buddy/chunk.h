/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef BUDDY_CHUNK_H
#define BUDDY_CHUNK_H

#define BUDDY_CHUNK 512u /* granules in a chunk: a cache line of bits */

#endif
