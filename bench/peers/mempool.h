/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* DPDK's mempool, with the cache of one lcore in front, in ordinary pages. */
#ifndef BENCH_PEERS_MEMPOOL_H
#define BENCH_PEERS_MEMPOOL_H

#include <stdbool.h>
#include <stddef.h>

/* Starts DPDK in this thread, and a pool of `count` objects of `size` bytes. False: it would not. Once only. */
bool mempool_start(unsigned count, size_t size);

/* Both true if all went well. */
bool mempool_get(void **out, unsigned count);
void mempool_put(void *const *objects, unsigned count);

#endif
