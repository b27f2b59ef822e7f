/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * DPDK's mempool, in ordinary pages: with its own handler, a ring, and with isthmus as the handler (examples/dpdk-mempool); each with the cache of one
 * lcore in front, and bare.
 */
#ifndef BENCH_PEERS_MEMPOOL_H
#define BENCH_PEERS_MEMPOOL_H

#include <stdbool.h>
#include <stddef.h>

enum mempool_kind { MEMPOOL_RING, MEMPOOL_OURS, MEMPOOL_RING_BARE, MEMPOOL_OURS_BARE, MEMPOOL_KINDS };

/* Starts DPDK in this thread, and a pool of `count` objects of `size` bytes of each kind. False: it would not. Once only. */
bool mempool_start(unsigned count, size_t size);

const char *mempool_name(enum mempool_kind kind);

/* True if all went well. */
bool mempool_get(enum mempool_kind kind, void **out, unsigned count);
void mempool_put(enum mempool_kind kind, void *const *objects, unsigned count);

#endif
