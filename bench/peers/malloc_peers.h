/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* General allocators to compare with, each loaded into a scope of its own, so that none becomes the program's malloc. */
#ifndef BENCH_MALLOC_PEERS_H
#define BENCH_MALLOC_PEERS_H

#include <stddef.h>

enum { MALLOC_PEERS = 4 };

struct malloc_peer {
	const char *name;
	const char *library; /* null: the program's own */
	const char *alloc_name, *free_name;
	void *(*alloc)(size_t size); /* null: it is not installed */
	void (*free)(void *memory);
};

/* jemalloc, mimalloc, gperftools' tcmalloc and the C library's, in this order. */
extern struct malloc_peer malloc_peers[MALLOC_PEERS];

/* Load what is installed, and say on standard error what is not. */
void malloc_peers_load(void);

#endif
