/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A small driver pool by how much of it is in use: messages of 384 bytes in 16 KiB, which hold 42 of them. Each thread gets
 * `depth` messages and puts them back. An iteration is a message; its CPU time.
 */
#include <stdatomic.h>

#include "suites.h"

enum { SIZE = 384, POOL = 16 << 10, MOST = 16, BATCH = 256 };

static void depth(struct gbench_state *state, void *context)
{
	unsigned count = (unsigned)gbench_argument(state);
	struct ist_shm messages[MOST];

	while (gbench_keep_running_batch(state, BATCH)) {
		for (unsigned done = 0; done < BATCH; done += count) {
			for (unsigned m = 0; m < count; m++) {
				if (ist_driver_pool_alloc(context, SIZE, &messages[m]))
					abort(); /* all that all threads hold fits */
				atomic_store_explicit((_Atomic char *)messages[m].view.vaddr, 1,
				                      memory_order_relaxed);
			}
			for (unsigned m = 0; m < count; m++) {
				if (ist_shm_free(&messages[m]))
					abort();
			}
		}
	}
}

void suite_depth_register(void)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(suites_manager(POOL, 0));
	struct gbench *b;

	for (int threads = 1; threads <= 4; threads *= 2) {
		b = gbench_register(depth, pool, "driver/depth/isthmus, %d", threads);
		if (threads < 4)
			gbench_over(b, "depth", 1, 2, 4, 8, 16);
		else
			gbench_over(b, "depth", 1, 2, 4, 8);
		gbench_threads(b, threads);
	}
}
