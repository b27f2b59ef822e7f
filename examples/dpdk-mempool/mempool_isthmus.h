/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A handler of DPDK's mempool over isthmus, by the name "isthmus": rte_mempool_set_ops_byname(mp, MEMPOOL_ISTHMUS, NULL), or
 * rte_pktmbuf_pool_create_by_ops. See README.md for what it does and costs.
 */
#ifndef MEMPOOL_ISTHMUS_H
#define MEMPOOL_ISTHMUS_H

#include <rte_mempool.h>

#define MEMPOOL_ISTHMUS "isthmus"

/*
 * Objects that were put back wrongly, since the pool was made: free already, of another pool, or not the start of an object. They were refused
 * and changed nothing. rte_mempool_put cannot say so: this can. Objects in the cache of an lcore are not the handler's yet: what is put
 * there twice is told when the cache is flushed. Slow, as rte_mempool_avail_count is: it walks the pool's bookkeeping.
 */
uint64_t mempool_isthmus_misuses(const struct rte_mempool *mp);

#endif
