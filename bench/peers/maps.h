/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Maps from physical to virtual addresses, as a program would make one with what is at hand: for comparison. */
#ifndef BENCH_PEERS_MAPS_H
#define BENCH_PEERS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct map_peer {
	const char *name;
	void *(*create)(size_t most); /* room for so many entries */
	void (*insert)(void *map, uint64_t paddr, uint64_t bytes, uint64_t vaddr); /* no two overlap */
	bool (*find)(void *map, uint64_t paddr,
	             uint64_t *vaddr); /* any thread, while others insert and find */
	void (*destroy)(void *map);
};

/* A balanced tree under a reader-writer lock; std::map under std::shared_mutex; liburcu's hash table, of single pages. */
extern const struct map_peer map_peer_tree, map_peer_std, map_peer_hash;

#ifdef __cplusplus
}
#endif

#endif
