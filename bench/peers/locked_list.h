/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Best fit over lists of free stretches behind a mutex, as many a driver has it; over memory of its own. */
#ifndef BENCH_PEERS_LOCKED_LIST_H
#define BENCH_PEERS_LOCKED_LIST_H

#include <pthread.h>

#include "region_list.h"

struct locked_list {
	pthread_mutex_t mutex;
	struct region_list list;
};

/* False when there is no memory. It stays for as long as the program runs. */
bool locked_list_init(struct locked_list *locked, size_t bytes);

/* Memory aligned to 8 bytes, null when nothing fits; and back, with the same size. */
void *locked_list_take(struct locked_list *locked, size_t size);
void locked_list_give(struct locked_list *locked, void *memory, size_t size);

#endif
